//! Configuration space of a function, and the capabilities in it.
//!
//! Reading it reaches the device. A dead one can make the reader wait without end, so the daemon reads in a process
//! that it can abandon: it passes a [`ReadConfig`] that does. A sleeping function is never read.

use std::io;

use crate::inventory::function::{Function, Power};
use crate::system::System;

/// Size of the space of a function on a bus without extended configuration space, in bytes.
const CONVENTIONAL: usize = 0x100;

/// Reader of the whole configuration space of a function.
pub type ReadConfig<'a> = &'a dyn Fn(&System, &Function) -> io::Result<Vec<u8>>;

/// Reads the configuration space in this process. See the module's text for when not to.
///
/// # Errors
/// Errors of the system.
pub fn read_here(system: &System, function: &Function) -> io::Result<Vec<u8>> {
    system.sys.read(function.attribute("config"))
}

/// Reason for which a configuration space cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The function sleeps, and reading would wake it.
    #[error("asleep")]
    Asleep,
    /// The system refuses.
    #[error("configuration space: {0}")]
    System(#[from] io::Error),
    /// The function does not answer: everything reads as ones.
    #[error("configuration space reads all-ones")]
    AllOnes,
    /// Fewer bytes than the header has.
    #[error("configuration space: {0} bytes")]
    Short(usize),
}

/// Configuration space of a function that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    bytes: Vec<u8>,
}

impl Config {
    /// Reads the space, unless the function sleeps. Asks the kernel for the state of the power anew, because a
    /// function may have fallen asleep since the inventory.
    ///
    /// # Errors
    /// See [`Unread`].
    pub fn read(system: &System, function: &Function, read: ReadConfig) -> Result<Self, Unread> {
        let status = system.sys.text(function.attribute("power/runtime_status"));
        let power = status.as_deref().map_or(function.power, |status| Power::of_status(Some(status)));
        if power == Power::Asleep {
            return Err(Unread::Asleep);
        }
        let bytes = read(system, function)?;
        let Some(header) = bytes.get(..64) else { return Err(Unread::Short(bytes.len())) };
        // A virtual function legally has all-ones for vendor and device. Bits 11 to 15 of the command register,
        // which follows them, are zero in every function that answers.
        if header.iter().take(8).all(|&byte| byte == 0xff) {
            return Err(Unread::AllOnes);
        }
        Ok(Self { bytes })
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        let bytes = self.bytes.get(offset..offset.checked_add(2)?)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        let bytes = self.bytes.get(offset..offset.checked_add(4)?)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Returns the offset of a capability in the first 256 bytes.
    fn capability(&self, id: u8) -> Option<usize> {
        const STATUS: usize = 0x06;
        const HAS_LIST: u16 = 1 << 4;
        const POINTER: usize = 0x34;
        if self.u16(STATUS)? & HAS_LIST == 0 {
            return None;
        }
        let mut at = usize::from(*self.bytes.get(POINTER)? & 0xfc);
        // The list can be a circle: there is room for 48 entries.
        for _ in 0..48 {
            if at < 0x40 {
                return None;
            }
            if *self.bytes.get(at)? == id {
                return Some(at);
            }
            at = usize::from(*self.bytes.get(at + 1)? & 0xfc);
        }
        None
    }

    /// Returns the offset of an extended capability.
    fn extended(&self, id: u16) -> Option<usize> {
        let mut at = CONVENTIONAL;
        // The list can be a circle: there is room for 480 entries of 8 bytes.
        for _ in 0..480 {
            let header = self.u32(at)?;
            if header == 0 || header == u32::MAX {
                return None;
            }
            if header & 0xffff == u32::from(id) {
                return Some(at);
            }
            at = usize::try_from(header >> 20).ok()? & 0xffc;
            if at < CONVENTIONAL {
                return None;
            }
        }
        None
    }

    /// Tells whether the extended space was read: only then a missing capability is known to be missing.
    pub fn is_extended(&self) -> bool {
        self.bytes.len() > CONVENTIONAL
    }

    /// Returns the serial number of the Device Serial Number capability.
    pub fn serial(&self) -> Option<u64> {
        const DEVICE_SERIAL_NUMBER: u16 = 0x0003;
        let at = self.extended(DEVICE_SERIAL_NUMBER)?;
        Some(u64::from(self.u32(at + 8)?) << 32 | u64::from(self.u32(at + 4)?))
    }

    /// Tells whether the slot below this port can cut its power: a slot is there and has a power controller.
    pub fn cuts_power(&self) -> bool {
        const PCI_EXPRESS: u8 = 0x10;
        const SLOT_IMPLEMENTED: u16 = 1 << 8;
        const POWER_CONTROLLER_PRESENT: u32 = 1 << 1;
        let Some(at) = self.capability(PCI_EXPRESS) else { return false };
        let slot = self.u16(at + 2).is_some_and(|capabilities| capabilities & SLOT_IMPLEMENTED != 0);
        slot && self.u32(at + 0x14).is_some_and(|slot| slot & POWER_CONTROLLER_PRESENT != 0)
    }
}

#[cfg(test)]
mod tests;
