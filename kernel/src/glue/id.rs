// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Ids of devices whose vendors the kernel does not list.

use kernel::{bindings, pci};
use lifeboat_driver::PciId;

/// Matches a vendor and device id. `pci::Vendor` can only be made for vendors that the kernel knows.
pub(crate) const fn pci_id(PciId { vendor, device }: PciId) -> pci::DeviceId {
    let any = !0;
    let id = bindings::pci_device_id {
        vendor: vendor as u32,
        device: device as u32,
        subvendor: any,
        subdevice: any,
        class: 0,
        class_mask: 0,
        driver_data: 0,
        override_only: 0,
    };
    // SAFETY: `pci::DeviceId` is documented as a `repr(transparent)` wrapper of this type without further invariants.
    unsafe { core::mem::transmute::<bindings::pci_device_id, pci::DeviceId>(id) }
}
