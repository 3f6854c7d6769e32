// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The driver that this module is the shell of: the only place that names a device.
//!
//! | file | concept |
//! |---|---|
//! | this one | the driver, the name of the module, and the devices that the bus gives it |
//! | `programs` | its small jobs for the self-test and the load |
//! | `reference` | what their commands must do |

mod programs;
mod reference;

use kernel::pci;
use lifeboat_driver::{Driver, PciId};

use crate::glue::pci_id;

/// Gives a macro the module's name, which the kernel's `module!` wants as it is written.
macro_rules! with_name {
    ($give_to:ident) => {
        $give_to! { "lifeboat" }
    };
}
pub(crate) use with_name;

/// The driver.
pub(crate) type Driven = lifeboat_lb1::Lb1Driver;

const IDS: &[PciId] = Driven::FACTS.ids;

// The kernel's macro counts the entries as they are written.
const _: () = assert!(IDS.len() == 1, "the table below lists every id");
kernel::pci_device_table!(PCI_TABLE, (), [(pci_id(IDS[0]), ())]);

/// Devices that the bus gives to the driver.
pub(crate) const ID_TABLE: pci::IdTable<()> = &PCI_TABLE;
