// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The [`Shared`] of the module, for callbacks that are given nothing but a PCI device.

use kernel::{prelude::*, sync::Arc};

use crate::shared::Shared;

kernel::sync::global_lock! {
    // SAFETY: `Registered::new` initializes it, before it registers anything that could look here.
    unsafe(uninit) static SHARED: Mutex<Option<Arc<Shared>>> = None;
}

/// A registration: while this lives, [`registered`] finds the [`Shared`].
pub(crate) struct Registered(());

impl Registered {
    /// Registers it. Only the module's init calls this, once, before it registers the driver.
    pub(crate) fn new(shared: Arc<Shared>, _module: &'static ThisModule) -> Self {
        // SAFETY: called once: only the module's init has the means (`ThisModule`), and it makes one of these.
        unsafe { SHARED.init() };
        *SHARED.lock() = Some(shared);
        Self(())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let shared = SHARED.lock().take();
        if let Some(shared) = &shared {
            // Queued work holds the queue as well, and must not be the last holder.
            shared.queue.flush();
        }
        drop(shared);
    }
}

/// The [`Shared`] of the module; ENODEV while the module is not loaded.
pub(crate) fn registered() -> Result<Arc<Shared>> {
    SHARED.lock().clone().ok_or(ENODEV)
}
