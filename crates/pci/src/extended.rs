//! The extended part of configuration space, from 256 bytes on, and the walk along its own capability list
//! (PCI Express Base 4.0, chapter 7.6).

use crate::{BusError, ConfigSpace, ALL_ONES, CONFIG_BYTES, EXTENDED_CONFIG_BYTES};

/// The kind of an extended capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedCapabilityId(pub u16);

impl ExtendedCapabilityId {
    /// Advanced error reporting: which errors the function has seen, and their headers.
    pub const AER: Self = Self(0x0001);
    /// The [serial number](serial_number) of the device.
    pub const SERIAL_NUMBER: Self = Self(0x0003);
    /// Downstream port containment: a port that takes its link down when an error passes. A capability of ports.
    pub const DPC: Self = Self(0x001d);
}

/// Bytes of the shortest capability that is worth having: its header and one register. Bounds the walk.
const SHORTEST: u16 = 8;

/// More capabilities than fit into the extended part: the list is a loop.
const MAX_CAPABILITIES: u16 = (EXTENDED_CONFIG_BYTES - CONFIG_BYTES) / SHORTEST;

/// Finds an extended capability and returns its offset. `None` if the function lacks it, has no extended part
/// ([`ConfigSpace::size`]), or is gone: a list that reads all-ones, goes in circles or leaves the extended part ends the
/// walk.
///
/// # Errors
/// Those of [`ConfigSpace::read32`].
pub fn find_extended_capability(
    config: &(impl ConfigSpace + ?Sized),
    wanted: ExtendedCapabilityId,
) -> Result<Option<u16>, BusError> {
    let last = config.size().min(EXTENDED_CONFIG_BYTES).saturating_sub(4);
    let mut at = CONFIG_BYTES;
    for _ in 0..MAX_CAPABILITIES {
        // A next offset of 0 ends the list; 0xffc is where all-ones leads.
        if !(CONFIG_BYTES..=last).contains(&at) {
            return Ok(None);
        }
        let header = config.read32(at)?;
        // A function without extended capabilities has 0 in the place of the first.
        if header == ALL_ONES || header == 0 {
            return Ok(None);
        }
        let [a, b, c, d] = header.to_le_bytes();
        if ExtendedCapabilityId(u16::from_le_bytes([a, b])) == wanted {
            return Ok(Some(at));
        }
        at = u16::from_le_bytes([c, d]) >> 4 & !3;
    }
    Ok(None)
}

/// The serial number of the device, an EUI-64. `None` if the function has none, or is gone.
///
/// It is of the device and not of the function: functions of one device have the same. Another number in the same slot is
/// another device. A device can do without, and some have 0 or the number of all devices of their model, so equal numbers
/// prove less.
///
/// # Errors
/// Those of [`ConfigSpace::read32`].
pub fn serial_number(config: &(impl ConfigSpace + ?Sized)) -> Result<Option<u64>, BusError> {
    let Some(at) = find_extended_capability(config, ExtendedCapabilityId::SERIAL_NUMBER)? else { return Ok(None) };
    let low = config.read32(at + 4)?;
    let high = config.read32(at + 8)?;
    // Half of a number may be all-ones. The capability's header is not: so it tells, read last, whether the function was
    // there for both halves.
    if config.read32(at)? == ALL_ONES {
        return Ok(None);
    }
    Ok(Some(u64::from(high) << 32 | u64::from(low)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// A space that vanishes after some reads.
    struct Fake {
        bytes: Vec<u8>,
        reads_left: Cell<usize>,
    }

    impl ConfigSpace for Fake {
        fn size(&self) -> u16 {
            self.bytes.len().try_into().unwrap()
        }
        fn read32(&self, offset: u16) -> Result<u32, BusError> {
            let at = usize::from(offset);
            let Some(bytes) = self.bytes.get(at..at + 4) else {
                return Err(BusError::OutOfRange { offset: offset.into(), len: 4 });
            };
            let Some(left) = self.reads_left.get().checked_sub(1) else { return Ok(ALL_ONES) };
            self.reads_left.set(left);
            Ok(u32::from_le_bytes(bytes.try_into().unwrap()))
        }
        fn read16(&self, _: u16) -> Result<u16, BusError> {
            Err(BusError::Unsupported)
        }
        fn write16(&self, _: u16, _: u16) -> Result<(), BusError> {
            Err(BusError::Unsupported)
        }
        fn write32(&self, _: u16, _: u32) -> Result<(), BusError> {
            Err(BusError::Unsupported)
        }
    }

    fn of(bytes: Vec<u8>) -> Fake {
        Fake { bytes, reads_left: Cell::new(usize::MAX) }
    }

    /// Capabilities of version 1, by offset, id and next.
    fn with(list: &[(u16, u16, u16)]) -> Fake {
        let mut config = of(vec![0; 4096]);
        for &(at, id, next) in list {
            set(&mut config, at, u32::from(id) | 1 << 16 | u32::from(next) << 20);
        }
        config
    }

    fn set(config: &mut Fake, at: u16, value: u32) {
        let at = usize::from(at);
        config.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn with_serial(low: u32, high: u32) -> Fake {
        let mut config = with(&[(0x100, 1, 0x148), (0x148, 3, 0)]);
        set(&mut config, 0x14c, low);
        set(&mut config, 0x150, high);
        config
    }

    use ExtendedCapabilityId as Id;

    #[test]
    fn finds_each_capability_of_a_list_in_any_order() {
        let config = with(&[(0x100, 0x01, 0xffc), (0xffc, 0x1d, 0x200), (0x200, 0x03, 0)]);
        assert_eq!(find_extended_capability(&config, Id::AER), Ok(Some(0x100)));
        assert_eq!(find_extended_capability(&config, Id::DPC), Ok(Some(0xffc)));
        assert_eq!(find_extended_capability(&config, Id::SERIAL_NUMBER), Ok(Some(0x200)));
        assert_eq!(find_extended_capability(&config, Id(0x0b)), Ok(None));
    }

    #[test]
    fn a_conventional_function_has_none_and_is_not_read_past_its_end() {
        let config = of(vec![0xff; 256]);
        assert_eq!(find_extended_capability(&config, Id::AER), Ok(None));
        assert_eq!(serial_number(&config), Ok(None));
        assert_eq!(config.read32(0x100), Err(BusError::OutOfRange { offset: 0x100, len: 4 }));
    }

    #[test]
    fn health_1_a_vanished_function_has_none() {
        let config = of(vec![0xff; 4096]);
        assert_eq!(find_extended_capability(&config, Id::AER), Ok(None));
        // Not even that with all bits set, where a walk that went on would end.
        assert_eq!(find_extended_capability(&config, Id(u16::MAX)), Ok(None));
    }

    #[test]
    fn an_empty_list_has_none() {
        assert_eq!(find_extended_capability(&with(&[]), Id(0)), Ok(None));
    }

    #[test]
    fn circular_lists_end() {
        let one = with(&[(0x100, 0x01, 0x100)]);
        assert_eq!(find_extended_capability(&one, Id::DPC), Ok(None));
        let two = with(&[(0x100, 0x01, 0x140), (0x140, 0x0b, 0x100)]);
        assert_eq!(find_extended_capability(&two, Id::DPC), Ok(None));
    }

    #[test]
    fn the_longest_list_is_walked_to_its_end() {
        let list: Vec<_> = (0x100..0x1000).step_by(8).map(|at| (at, 0x0b, (at + 8) & 0xfff)).collect();
        let mut config = with(&list);
        set(&mut config, 0xff8, 0x1001d);
        assert_eq!(find_extended_capability(&config, Id::DPC), Ok(Some(0xff8)));
    }

    #[test]
    fn a_list_that_leads_into_the_conventional_part_ends_there() {
        let config = with(&[(0x100, 0x01, 0x40), (0x40, 0x1d, 0)]);
        assert_eq!(find_extended_capability(&config, Id::DPC), Ok(None));
    }

    #[test]
    fn the_serial_number_is_read_low_half_first_in_its_capability() {
        assert_eq!(serial_number(&with_serial(0xff00_0001, 0xa036_9fff)), Ok(Some(0xa036_9fff_ff00_0001)));
        assert_eq!(serial_number(&with_serial(u32::MAX, 1)), Ok(Some(0x1_ffff_ffff)), "half of it may be all-ones");
        assert_eq!(serial_number(&with(&[(0x100, 1, 0)])), Ok(None));
    }

    #[test]
    fn health_1_no_number_is_made_of_a_function_that_vanishes_on_the_way() {
        // Two reads find the capability, two read the number, one asks whether it was there.
        for reads in 0..5 {
            let config = with_serial(1, 2);
            config.reads_left.set(reads);
            assert_eq!(serial_number(&config), Ok(None), "gone after {reads} reads");
        }
        let config = with_serial(1, 2);
        config.reads_left.set(5);
        assert_eq!(serial_number(&config), Ok(Some(0x2_0000_0001)));
    }
}
