//! A 64-bit register that is accessed as two registers of 32 bits.

use crate::{Bar, BusError, ALL_ONES};

/// The halves of a 64-bit register, read or to be written one after the other.
///
/// Two accesses are not one, so a driver chooses this for a register of which it knows that it may:
///
/// - The device can change the register between the two reads. [`Halves::read_counter`] copes with a counter.
/// - The device can vanish between the two reads. Then one half is real and the other all-ones: see
///   [`Halves::may_be_lost`].
/// - The device can act at the write of one half, so the order matters: the documentation of the device says which.
///
/// It is no number by itself, so that nobody takes it for the value of one access:
///
/// ```
/// # use lifeboat_pci::{Bar, BusError, Halves};
/// fn serial(registers: &dyn Bar) -> Result<Option<u64>, BusError> {
///     let halves = Halves::read_low_first(registers, 0x40)?;
///     Ok((!halves.may_be_lost()).then(|| halves.value()))
/// }
/// ```
/// ```compile_fail,E0308
/// # use lifeboat_pci::{Bar, BusError, Halves};
/// fn serial(registers: &dyn Bar) -> Result<u64, BusError> {
///     Halves::read_low_first(registers, 0x40)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halves {
    /// Bits 31:0, at the register's offset.
    pub low: u32,
    /// Bits 63:32, four bytes further.
    pub high: u32,
}

/// How often [`Halves::read_counter`] reads again. A high half changes once in 2^32 counts, so a second change in a row means
/// that the register is no counter, or that reading it takes seconds.
const READS_AGAIN: usize = 2;

impl Halves {
    /// Reads the low half, then the high one.
    ///
    /// # Errors
    /// Those of [`Bar::read32`]; [`BusError::Misaligned`] if `offset` is not a multiple of 8.
    pub fn read_low_first(bar: &(impl Bar + ?Sized), offset: u64) -> Result<Self, BusError> {
        let high_at = high_half(bar, offset)?;
        let low = bar.read32(offset)?;
        Ok(Self { low, high: bar.read32(high_at)? })
    }

    /// Reads the high half, then the low one.
    ///
    /// # Errors
    /// As [`Halves::read_low_first`].
    pub fn read_high_first(bar: &(impl Bar + ?Sized), offset: u64) -> Result<Self, BusError> {
        let high = bar.read32(high_half(bar, offset)?)?;
        Ok(Self { low: bar.read32(offset)?, high })
    }

    /// Reads a counter: both halves were there at one moment, although the low one may overflow into the high one meanwhile.
    /// Takes three reads, and two more for each time that the high half has changed. `None` if it changes each time.
    ///
    /// # Errors
    /// As [`Halves::read_low_first`].
    pub fn read_counter(bar: &(impl Bar + ?Sized), offset: u64) -> Result<Option<Self>, BusError> {
        let high_at = high_half(bar, offset)?;
        let mut high = bar.read32(high_at)?;
        for _ in 0..=READS_AGAIN {
            let low = bar.read32(offset)?;
            let high_after = bar.read32(high_at)?;
            if high_after == high {
                return Ok(Some(Self { low, high }));
            }
            high = high_after;
        }
        Ok(None)
    }

    /// Writes the low half, then the high one.
    ///
    /// # Errors
    /// Those of [`Bar::write32`]; [`BusError::Misaligned`] if `offset` is not a multiple of 8. If the second half fails, the
    /// first is written.
    pub fn write_low_first(self, bar: &(impl Bar + ?Sized), offset: u64) -> Result<(), BusError> {
        let high_at = high_half(bar, offset)?;
        bar.write32(offset, self.low)?;
        bar.write32(high_at, self.high)
    }

    /// Writes the high half, then the low one.
    ///
    /// # Errors
    /// As [`Halves::write_low_first`].
    pub fn write_high_first(self, bar: &(impl Bar + ?Sized), offset: u64) -> Result<(), BusError> {
        bar.write32(high_half(bar, offset)?, self.high)?;
        bar.write32(offset, self.low)
    }

    /// The halves as one number.
    pub fn value(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }

    /// Whether one half is all-ones, so that the device may have been lost before or between the reads. A register can legally
    /// hold such a half: whether the device is there, a register that never reads all-ones tells.
    pub fn may_be_lost(self) -> bool {
        self.low == ALL_ONES || self.high == ALL_ONES
    }
}

impl From<u64> for Halves {
    fn from(value: u64) -> Self {
        // Both fit: one is masked, the other shifted.
        let half = |half| u32::try_from(half).unwrap_or(ALL_ONES);
        Self { low: half(value & 0xffff_ffff), high: half(value >> 32) }
    }
}

/// Where the high half is. Fails before the first access if the register does not lie within the window as a whole.
fn high_half(bar: &(impl Bar + ?Sized), offset: u64) -> Result<u64, BusError> {
    const BYTES: u64 = 8;
    if offset.checked_add(BYTES).is_none_or(|end| end > bar.size()) {
        return Err(BusError::OutOfRange { offset, len: BYTES });
    }
    if offset % BYTES != 0 {
        return Err(BusError::Misaligned { offset });
    }
    Ok(offset + 4) // No overflow: the register ends within the window.
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::vec::Vec;

    use super::*;

    /// Sixteen bytes of registers; notes accesses, counts up before each read, and vanishes before one of them.
    struct Registers {
        value: Cell<u64>,
        counts_by: u64,
        vanishes_before: usize,
        accesses: RefCell<Vec<(u64, Option<u32>)>>,
    }

    fn registers(value: u64) -> Registers {
        Registers { value: Cell::new(value), counts_by: 0, vanishes_before: usize::MAX, accesses: RefCell::default() }
    }

    impl Bar for Registers {
        fn size(&self) -> u64 {
            16
        }
        fn read32(&self, offset: u64) -> Result<u32, BusError> {
            self.value.set(self.value.get().wrapping_add(self.counts_by));
            self.accesses.borrow_mut().push((offset, None));
            if self.accesses.borrow().len() > self.vanishes_before {
                return Ok(ALL_ONES);
            }
            let halves = Halves::from(self.value.get());
            Ok(if offset % 8 == 0 { halves.low } else { halves.high })
        }
        fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
            self.accesses.borrow_mut().push((offset, Some(value)));
            Ok(())
        }
        fn read_bytes(&self, _: u64, _: &mut [u8]) -> Result<(), BusError> {
            Err(BusError::Unsupported)
        }
        fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), BusError> {
            Err(BusError::Unsupported)
        }
    }

    const VALUE: u64 = 0x0123_4567_89ab_cdef;

    #[test]
    fn a_backend_without_other_widths_says_so_and_accesses_nothing() {
        let bar = registers(VALUE);
        assert_eq!(bar.read8(0), Err(BusError::Unsupported));
        assert_eq!(bar.read16(0), Err(BusError::Unsupported));
        assert_eq!(bar.read64(0), Err(BusError::Unsupported));
        assert_eq!(bar.write8(0, 0), Err(BusError::Unsupported));
        assert_eq!(bar.write16(0, 0), Err(BusError::Unsupported));
        assert_eq!(bar.write64(0, 0), Err(BusError::Unsupported));
        assert!(bar.accesses.borrow().is_empty());
    }

    #[test]
    fn halves_are_accessed_in_the_order_that_the_driver_chose() {
        let bar = registers(VALUE);
        let order = || bar.accesses.take().into_iter().map(|(offset, _)| offset).collect::<Vec<_>>();
        assert_eq!(Halves::read_low_first(&bar, 8).unwrap().value(), VALUE);
        assert_eq!(order(), [8, 12]);
        assert_eq!(Halves::read_high_first(&bar, 8).unwrap().value(), VALUE);
        assert_eq!(order(), [12, 8]);
        Halves::from(VALUE).write_low_first(&bar, 0).unwrap();
        assert_eq!(bar.accesses.take(), [(0, Some(0x89ab_cdef)), (4, Some(0x0123_4567))]);
        Halves::from(VALUE).write_high_first(&bar, 0).unwrap();
        assert_eq!(bar.accesses.take(), [(4, Some(0x0123_4567)), (0, Some(0x89ab_cdef))]);
    }

    #[test]
    fn a_register_that_does_not_lie_within_the_window_is_not_accessed_in_part() {
        let bar = registers(VALUE);
        for offset in [12, 16, u64::MAX - 3, u64::MAX - 7] {
            assert_eq!(Halves::read_low_first(&bar, offset), Err(BusError::OutOfRange { offset, len: 8 }));
            assert_eq!(Halves::from(0).write_low_first(&bar, offset), Err(BusError::OutOfRange { offset, len: 8 }));
        }
        assert_eq!(Halves::read_high_first(&bar, 4), Err(BusError::Misaligned { offset: 4 }));
        assert_eq!(Halves::read_counter(&bar, 4), Err(BusError::Misaligned { offset: 4 }));
        assert!(bar.accesses.borrow().is_empty());
    }

    #[test]
    fn health_1_a_device_lost_before_or_between_the_halves_is_suspected() {
        for vanishes_before in [0, 1] {
            let bar = || Registers { vanishes_before, ..registers(VALUE) };
            assert!(Halves::read_low_first(&bar(), 0).unwrap().may_be_lost());
            assert!(Halves::read_high_first(&bar(), 0).unwrap().may_be_lost());
            assert!(Halves::read_counter(&bar(), 0).unwrap().unwrap().may_be_lost());
        }
        assert!(!Halves::read_low_first(&registers(VALUE), 0).unwrap().may_be_lost());
    }

    #[test]
    fn a_counter_is_never_read_across_its_overflow() {
        // The low half overflows between the first two reads: read naively, the result would be 2^32 too small.
        let bar = Registers { counts_by: 1, ..registers(0x1_ffff_fffe) };
        assert_eq!(Halves::read_counter(&bar, 0).unwrap().unwrap().value(), 0x2_0000_0002);
        let no_counter = Registers { counts_by: 1 << 32, ..registers(0) };
        assert_eq!(Halves::read_counter(&no_counter, 0), Ok(None));
        assert_eq!(no_counter.accesses.borrow().len(), 7, "it gives up");
    }
}
