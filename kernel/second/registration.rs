// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The registration of the second driver, in place of `src/registration`: `--cfg lifeboat_second` chooses it.

use kernel::{alloc::AllocError, pci, prelude::*};
use lifeboat_driver::{Driver, PciId};
use lifeboat_second::{command::Command, SecondDriver};

use crate::glue::pci_id;
use crate::programs::{Places, Programs};

/// Gives a macro the module's name, as it is written.
macro_rules! with_name {
    ($give_to:ident) => {
        $give_to! { "lifeboat_second" }
    };
}
pub(crate) use with_name;

/// The driver.
pub(crate) type Driven = SecondDriver;

const IDS: &[PciId] = Driven::FACTS.ids;

// The kernel's macro counts the entries as they are written.
const _: () = assert!(IDS.len() == 1, "the table below lists every id");
kernel::pci_device_table!(PCI_TABLE, (), [(pci_id(IDS[0]), ())]);

/// Devices that the bus gives to the driver.
pub(crate) const ID_TABLE: pci::IdTable<()> = &PCI_TABLE;

/// The kinds of jobs for the self-test and the load.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    Fill,
    Copy,
}

impl Programs for SecondDriver {
    type Program = Program;

    const PROGRAMS: &'static [Program] = &[Program::Fill, Program::Copy];
    const BYTES: u32 = 1024;

    fn prepare(
        program: Program,
        seed: u32,
        at: Places,
        source: &[u8],
        result: &mut [u8],
    ) -> Result<KVec<Command>, AllocError> {
        let Places { source: src, result: dst, .. } = at;
        let command = match program {
            Program::Fill => {
                for (byte, value) in result.iter_mut().zip(seed.to_le_bytes().into_iter().cycle()) {
                    *byte = value;
                }
                Command::Fill { dst, bytes: Self::BYTES, pattern: seed }
            }
            Program::Copy => {
                result.copy_from_slice(source);
                Command::Copy { dst, src, bytes: Self::BYTES }
            }
        };
        let mut commands = KVec::with_capacity(1, GFP_KERNEL)?;
        commands.push(command, GFP_KERNEL)?;
        Ok(commands)
    }
}
