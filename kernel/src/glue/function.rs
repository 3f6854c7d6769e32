// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Memory decode and bus mastering, and giving both back: `kernel::pci` can only enable.

use kernel::{
    bindings,
    device::Core,
    dma::{Device as _, DmaMask},
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
        Ok(Self { function: function.into() })
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
