// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A function for as long as it is bound to this driver: not only in the bus's callbacks.

use kernel::{device::Bound, devres, new_mutex, pci, prelude::*, sync::aref::ARef, sync::Arc, sync::Mutex};

/// A function that is bound to this driver, and what one thread at a time does with it.
#[pin_data]
pub(crate) struct Place<T> {
    function: ARef<pci::Device>,
    /// `None` once the function is not bound any more.
    #[pin]
    content: Mutex<Option<T>>,
}

impl<T: Unpin + Send + 'static> Place<T> {
    /// The place of a function. ENOMEM.
    pub(crate) fn new(function: &pci::Device<Bound>, content: T) -> Result<Arc<Self>> {
        let this = Arc::pin_init(
            pin_init!(Self { function: function.into(), content <- new_mutex!(Some(content), "lifeboat::place") }),
            GFP_KERNEL,
        )?;
        let end = Ok::<_, Error>(End(this.clone()));
        devres::register::<End<T>, _>(function.as_ref(), end, GFP_KERNEL)?;
        Ok(this)
    }

    /// Waits for the caller's turn, and gives it the function and the content. `None` if the function is not bound any more.
    pub(crate) fn turn<R>(&self, f: impl FnOnce(&pci::Device<Bound>, &mut T) -> R) -> Option<R> {
        let mut content = self.content.lock();
        let content = (*content).as_mut()?;
        // SAFETY: `Bound` is a marker of the type, whose layout it does not change. The function is bound during the call:
        // before the kernel ends the binding it drops `End`, which waits for the lock, and then there is no content.
        let bound = unsafe { &*core::ptr::from_ref::<pci::Device>(&self.function).cast::<pci::Device<Bound>>() };
        Some(f(bound, content))
    }
}

/// The end of a place. The kernel drops it when the function is being unbound.
struct End<T: Unpin>(Arc<Place<T>>);

impl<T: Unpin> Drop for End<T> {
    fn drop(&mut self) {
        let content = self.0.content.lock().take();
        drop(content);
    }
}
