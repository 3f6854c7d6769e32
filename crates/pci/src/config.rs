//! The configuration space, and the walk along its capability list.

use crate::BusError;

/// Offsets of the configuration registers that drivers use (PCI Local Bus 3.0, chapter 6).
pub mod offset {
    /// Vendor id in the low half, device id in the high half (32 bits).
    pub const ID: u16 = 0x00;
    /// Command register (16 bits); see [`super::command`].
    pub const COMMAND: u16 = 0x04;
    /// Status register (16 bits).
    pub const STATUS: u16 = 0x06;
    /// Revision (8 bits) and class code (24 bits).
    pub const CLASS: u16 = 0x08;
    /// First of six base address registers (32 bits each).
    pub const BAR0: u16 = 0x10;
    /// Subsystem vendor and device id (32 bits).
    pub const SUBSYSTEM: u16 = 0x2c;
    /// Offset of the first capability (8 bits).
    pub const CAPABILITIES: u16 = 0x34;
}

/// Bits of the command register.
pub mod command {
    /// The function answers accesses to its memory BARs.
    pub const MEMORY: u16 = 1 << 1;
    /// The function may start transfers of its own: DMA and MSI.
    pub const BUS_MASTER: u16 = 1 << 2;
    /// The legacy interrupt line is held off.
    pub const INTX_DISABLE: u16 = 1 << 10;
}

/// The kind of a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityId(pub u8);

impl CapabilityId {
    /// Message signalled interrupts.
    pub const MSI: Self = Self(0x05);
    /// PCI Express; function-level reset is announced here.
    pub const PCI_EXPRESS: Self = Self(0x10);
    /// Message signalled interrupts with a table in a BAR.
    pub const MSI_X: Self = Self(0x11);
}

/// Size of the configuration space of a conventional function, in bytes.
pub const CONFIG_BYTES: u16 = 0x100;

/// Size of the configuration space of a PCI Express function, in bytes: [`CONFIG_BYTES`], and the
/// [extended](crate::find_extended_capability) part from there on.
pub const EXTENDED_CONFIG_BYTES: u16 = 0x1000;

/// Access to configuration space: 256 bytes, or 4 KiB where function, bus and backend have its extended part.
pub trait ConfigSpace {
    /// How many bytes can be accessed: [`CONFIG_BYTES`], as by default, or [`EXTENDED_CONFIG_BYTES`].
    fn size(&self) -> u16 {
        CONFIG_BYTES
    }

    /// Reads the aligned 32-bit register at `offset`. All-ones if the function is gone, as from every read here.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`] past [`size`](Self::size), or [`BusError::Misaligned`].
    fn read32(&self, offset: u16) -> Result<u32, BusError>;

    /// Reads the aligned 16-bit register at `offset`.
    ///
    /// # Errors
    /// As [`ConfigSpace::read32`].
    fn read16(&self, offset: u16) -> Result<u16, BusError>;

    /// Writes the aligned 16-bit register at `offset`. Bits that are read-only keep their value.
    ///
    /// # Errors
    /// As [`ConfigSpace::read32`].
    fn write16(&self, offset: u16, value: u16) -> Result<(), BusError>;

    /// Writes the aligned 32-bit register at `offset`. Bits that are read-only keep their value.
    ///
    /// # Errors
    /// As [`ConfigSpace::read32`].
    fn write32(&self, offset: u16, value: u32) -> Result<(), BusError>;

    /// Reads the 8-bit register at `offset`. By default half of a 16-bit read, which does the same: reads of configuration
    /// space change nothing.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`].
    fn read8(&self, offset: u16) -> Result<u8, BusError> {
        let [low, high] = self.read16(offset & !1)?.to_le_bytes();
        Ok(if offset % 2 == 0 { low } else { high })
    }

    /// Writes the 8-bit register at `offset`, and not its neighbour. Bits that are read-only keep their value.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`], or [`BusError::Unsupported`], as by default: a 16-bit write of what was read would clear the
    /// neighbour's bits that are cleared by writing ones.
    fn write8(&self, offset: u16, value: u8) -> Result<(), BusError> {
        let _ = (offset, value);
        Err(BusError::Unsupported)
    }
}

/// More capabilities than fit into 192 bytes: the list is a loop, or the function is gone.
const MAX_CAPABILITIES: usize = 48;

/// Finds a capability and returns its offset, or `None` if the function lacks it (or is gone: a list that reads
/// all-ones, or goes in circles, ends the walk).
///
/// # Errors
/// Those of [`ConfigSpace::read16`].
pub fn find_capability(config: &(impl ConfigSpace + ?Sized), wanted: CapabilityId) -> Result<Option<u16>, BusError> {
    let mut at = config.read16(offset::CAPABILITIES)? & 0xfc;
    for _ in 0..MAX_CAPABILITIES {
        // The list lives between the standard header and the end; 0 ends it, and 0xfc is where all-ones leads.
        if !(0x40..=0xf8).contains(&at) {
            return Ok(None);
        }
        let header = config.read16(at)?;
        if header == u16::MAX {
            return Ok(None);
        }
        let [id, next] = header.to_le_bytes();
        if CapabilityId(id) == wanted {
            return Ok(Some(at));
        }
        at = u16::from(next & 0xfc);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake([u8; 256]);

    impl ConfigSpace for Fake {
        fn read32(&self, at: u16) -> Result<u32, BusError> {
            let at = usize::from(at);
            Ok(u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap()))
        }
        fn read16(&self, at: u16) -> Result<u16, BusError> {
            let at = usize::from(at);
            Ok(u16::from_le_bytes(self.0[at..at + 2].try_into().unwrap()))
        }
        fn write16(&self, _: u16, _: u16) -> Result<(), BusError> {
            Ok(())
        }
        fn write32(&self, _: u16, _: u32) -> Result<(), BusError> {
            Ok(())
        }
    }

    fn with(list: &[(u8, u8, u8)]) -> Fake {
        let mut bytes = [0; 256];
        bytes[0x34] = list[0].0;
        for &(at, id, next) in list {
            bytes[usize::from(at)] = id;
            bytes[usize::from(at) + 1] = next;
        }
        Fake(bytes)
    }

    #[test]
    fn finds_the_second_capability() {
        let config = with(&[(0x40, 0x10, 0x80), (0x80, 0x05, 0)]);
        assert_eq!(find_capability(&config, CapabilityId::MSI), Ok(Some(0x80)));
        assert_eq!(find_capability(&config, CapabilityId(0x11)), Ok(None));
    }

    #[test]
    fn a_byte_is_read_by_its_half_of_a_word_and_never_written_so() {
        let config = with(&[(0x40, 0x10, 0x80)]);
        assert_eq!((config.read8(0x40), config.read8(0x41), config.read8(0x42)), (Ok(0x10), Ok(0x80), Ok(0)));
        assert_eq!(config.write8(0x40, 1), Err(BusError::Unsupported));
        assert_eq!(config.size(), 0x100);
    }

    #[test]
    fn a_vanished_function_has_no_capabilities() {
        assert_eq!(find_capability(&Fake([0xff; 256]), CapabilityId::MSI), Ok(None));
    }

    #[test]
    fn a_circular_list_ends() {
        let config = with(&[(0x40, 0x10, 0x80), (0x80, 0x09, 0x40)]);
        assert_eq!(find_capability(&config, CapabilityId::MSI), Ok(None));
    }
}
