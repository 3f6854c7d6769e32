// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Message interrupts that can be given back before the binding ends.

use kernel::{
    device::Bound,
    devres::Devres,
    irq::{Flags, ThreadedHandler, ThreadedRegistration},
    pci::{self, IrqType, IrqTypes, IrqVectorRegistration},
    prelude::*,
    sync::Arc,
};
use lifeboat_driver::InterruptUse;
use lifeboat_pci::IrqKind;

use crate::NAME;

/// A handler that is registered, of whatever type. Dropped, it does not run and will not.
trait Registered {}

impl<H: ThreadedHandler + Send + 'static> Registered for ThreadedRegistration<'static, H> {}

/// The vectors of a function, each with its handler. Dropped, no handler runs and none will; so it must not be dropped
/// in one.
pub(crate) struct Interrupts {
    // The order of the fields matters: a handler is unregistered before its vector is freed. Nobody else has a count of
    // one; a pinned `KBox` would do, but does not become that of a trait.
    _handlers: KVec<Arc<dyn Registered>>,
    _vectors: KBox<IrqVectorRegistration<'static>>,
}

// SAFETY: handlers may be unregistered and vectors freed by any thread: both only need a context that can sleep. The
// handlers themselves are `Sync`, and are dropped with it; `request`, which alone makes this, takes only such as are
// `Send`.
unsafe impl Send for Interrupts {}

impl Interrupts {
    /// Turns on interrupts of the kinds that the driver can use, with as many vectors as there are and the driver has a
    /// use for, and a handler for each. Of several kinds the kernel prefers MSI-X.
    pub(crate) fn request<H: ThreadedHandler + Send + 'static>(
        function: &pci::Device<Bound>,
        uses: &InterruptUse,
        mut handler: impl FnMut() -> H,
    ) -> Result<Devres<Self>> {
        // SAFETY: the reference is stretched, but what is made with it goes into a `Devres` before this function
        // returns, or is dropped here. A `Devres` drops its content before the device's unbind ends, at the latest;
        // until then a bound device stays bound.
        let bound: &'static pci::Device<Bound> = unsafe { &*core::ptr::from_ref(function) };
        let types = uses.kinds.iter().fold(IrqTypes::default(), |types, kind| match kind {
            IrqKind::Msi => types.with(IrqType::Msi),
            IrqKind::MsiX => types.with(IrqType::MsiX),
            // A kind that this shell does not know.
            _ => types,
        });
        let vectors = bound.alloc_irq_vectors(uses.least.max(1).into(), uses.most.into(), types)?;
        let vectors = KBox::new(vectors, GFP_KERNEL)?;
        // SAFETY: the box's content does not move until it is dropped, and `Interrupts` drops it after everything that
        // holds this reference; so do the local variables below, which are dropped in reverse order.
        let lasting: &'static IrqVectorRegistration<'static> = unsafe { &*core::ptr::from_ref(&*vectors) };
        let mut handlers = KVec::<Arc<dyn Registered>>::new();
        for index in 0..lasting.len() {
            let vector = lasting.index(index)?;
            // SAFETY: the registration is not leaked: it is owned by a vector that `Interrupts` owns.
            let registration = unsafe {
                ThreadedRegistration::new(vector.into(), Flags::TRIGGER_NONE, NAME, Ok::<H, Error>(handler()))
            };
            let registered: Arc<dyn Registered> = Arc::pin_init(registration, GFP_KERNEL)?;
            handlers.push(registered, GFP_KERNEL)?;
        }
        let interrupts = Self { _handlers: handlers, _vectors: vectors };
        Devres::new(function.as_ref(), Ok::<_, Error>(interrupts))
    }
}
