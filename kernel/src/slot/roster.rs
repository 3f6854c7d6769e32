// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Every function that the driver has, for callbacks of the bus that are given nothing but the function.

use kernel::{
    new_mutex, pci,
    prelude::*,
    sync::{Arc, Mutex},
};

/// A slot, as the bus's callbacks see it.
pub(crate) trait Told: Send + Sync {
    fn function(&self) -> &pci::Device;

    /// The link to the device is down, or the device is about to be reset: ends the binding, and returns when that is done.
    fn link_is_down(self: Arc<Self>);

    /// The link to the device is up: binds it, and returns when that is done.
    fn link_is_up(self: Arc<Self>);

    /// The link to the device will not come up again.
    fn link_is_dead(self: Arc<Self>);

    /// Somebody has had the device reset: binds it, whatever became of it before.
    fn was_reset(self: Arc<Self>);

    /// Restores the device's configuration after a reset of its slot. Whether the device answers.
    fn restore(&self) -> bool;
}

/// See the module documentation.
#[pin_data]
pub(crate) struct Slots {
    #[pin]
    all: Mutex<KVec<Arc<dyn Told>>>,
}

impl Slots {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self { all <- new_mutex!(KVec::new(), "lifeboat::slots") })
    }

    /// ENOMEM.
    pub(super) fn add(&self, slot: Arc<dyn Told>) -> Result {
        self.all.lock().push(slot, GFP_KERNEL)?;
        Ok(())
    }

    /// Removes a slot, if it is there.
    pub(super) fn remove<T: Told>(&self, slot: &Arc<T>) {
        let removed = {
            let mut all = self.all.lock();
            let at = all.iter().position(|each| is(&**each, slot.function()));
            at.and_then(|at| all.remove(at).ok())
        };
        drop(removed);
    }

    /// The slot of a function.
    pub(super) fn find(&self, function: &pci::Device) -> Option<Arc<dyn Told>> {
        self.all.lock().iter().find(|each| is(&***each, function)).cloned()
    }
}

fn is(slot: &dyn Told, function: &pci::Device) -> bool {
    core::ptr::eq(slot.function(), function)
}
