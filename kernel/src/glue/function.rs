// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Memory decode and bus mastering, and giving both back: `kernel::pci` can only enable.

use kernel::{
    bindings,
    device::Core,
    dma::{Device as _, DmaMask},
    error::to_result,
    pci,
    prelude::*,
    sync::aref::ARef,
};

/// A function that answers on its BARs. Dropped, it is disabled again, so that the next probe really enables it.
pub(crate) struct Enabled {
    function: ARef<pci::Device>,
}

impl Enabled {
    /// Enables memory decode, and allows DMA to any address.
    pub(crate) fn new(function: &pci::Device<Core<'_>>) -> Result<Self> {
        // SAFETY: this is called from probe, before anything of this driver allocates or maps memory for the device.
        unsafe { function.dma_set_mask_and_coherent(DmaMask::new::<64>())? };
        function.enable_device_mem()?;
        let this = Self { function: function.into() };
        // SAFETY: the reference held keeps the `pci_dev` valid. Without memory for a part of it, that part is not restored.
        unsafe { bindings::pci_save_state(this.raw()) };
        Ok(this)
    }

    fn raw(&self) -> *mut bindings::pci_dev {
        // `pci::Device` is a transparent wrapper of an `Opaque<pci_dev>`, made for interior mutability.
        core::ptr::from_ref::<pci::Device>(&self.function).cast_mut().cast()
    }

    /// Lets the function start DMA and messages.
    pub(crate) fn set_master(&self) {
        // SAFETY: the reference held keeps the `pci_dev` valid.
        unsafe { bindings::pci_set_master(self.raw()) };
    }

    /// The function starts no DMA and no message any more.
    pub(crate) fn clear_master(&self) {
        // SAFETY: the reference held keeps the `pci_dev` valid.
        unsafe { bindings::pci_clear_master(self.raw()) };
    }

    /// Reads vendor (lower half) and device of the function. All-ones, or another value that no device has, if the function
    /// does not answer.
    pub(crate) fn id(&self) -> u32 {
        let mut id = u32::MAX;
        // SAFETY: the reference held keeps the `pci_dev` valid. After an error the value is all-ones, which is an answer.
        unsafe { bindings::pci_read_config_dword(self.raw(), 0, &mut id) };
        id
    }

    /// Gives a function that may have been reset what it had in its configuration space when it was enabled: above all
    /// its addresses.
    pub(crate) fn restore(&self) {
        // SAFETY: the reference held keeps the `pci_dev` valid, and `new` has saved the state.
        unsafe { bindings::pci_restore_state(self.raw()) };
    }

    /// Whether the bus says that the function is no longer there. `false` proves nothing.
    pub(crate) fn is_disconnected(&self) -> bool {
        // SAFETY: the reference held keeps the `pci_dev` valid. The field is changed without a lock, by `xchg`; the
        // kernel reads it the same way (`pci_dev_is_disconnected`).
        let state = unsafe { (&raw const (*self.raw()).error_state).read_volatile() };
        state == bindings::pci_channel_io_perm_failure
    }
}

impl Drop for Enabled {
    fn drop(&mut self) {
        // SAFETY: the reference held keeps the `pci_dev` valid, and `new` enabled it once.
        unsafe { bindings::pci_disable_device(self.raw()) };
    }
}

/// Tells the system that a function has changed, with these variables. ENOMEM.
pub(crate) fn tell_of_change(function: &pci::Device, variables: &[&CStr]) -> Result {
    const MOST: usize = 8;
    let mut pointers = [core::ptr::null_mut(); MOST + 1];
    for (to, from) in pointers.iter_mut().take(MOST).zip(variables) {
        *to = from.as_char_ptr().cast_mut();
    }
    let raw = core::ptr::from_ref(function).cast_mut().cast::<bindings::pci_dev>();
    let action = bindings::kobject_action_KOBJ_CHANGE;
    // SAFETY: the reference keeps the `pci_dev` valid. The pointers are to strings that live during the call and are only
    // read, and the last one is null.
    to_result(unsafe { bindings::kobject_uevent_env(&raw mut (*raw).dev.kobj, action, pointers.as_mut_ptr()) })
}
