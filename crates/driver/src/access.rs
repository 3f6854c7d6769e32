//! Register access with a loss check.

use lifeboat_core::health::{judge_identity, Reading, Verdict};
use lifeboat_pci::Bar;

use crate::DriverError;

/// A register whose value is fixed, and neither all-ones nor zero. It decides whether the device is
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRegister {
    /// Offset in its BAR, in bytes.
    pub offset: u64,
    /// Value that it reads while the device is there.
    pub value: u32,
}

impl IdRegister {
    /// A register at `offset` that always reads `value`.
    ///
    /// # Panics
    /// If the value is all-ones or zero, which an absent device may read as, too; at compile time,
    /// in a constant.
    #[must_use]
    pub const fn new(offset: u64, value: u32) -> Self {
        assert!(value != 0 && value != u32::MAX, "an absent device may read as that, too");
        Self { offset, value }
    }
}

/// The registers of a device, borrowed for one section.
///
/// Every read is checked: if it gives all-ones, the [identity register](IdRegister) is read too. It
/// decides whether the device is gone or the register really holds that (HEALTH-1).
#[derive(Debug)]
pub struct Registers<'a, B: ?Sized> {
    bar: &'a B,
    id: IdRegister,
}

impl<'a, B: Bar + ?Sized> Registers<'a, B> {
    /// Borrows the window with the registers.
    pub fn new(bar: &'a B, id: IdRegister) -> Self {
        Self { bar, id }
    }

    /// Whether the device answers as only one of its kind can. One read.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub fn identity(&self) -> Result<Verdict, DriverError> {
        Ok(judge_identity(self.bar.read32(self.id.offset)?, self.id.value))
    }

    /// Checks that the device is there: for a caller that has read all-ones from elsewhere than a
    /// register. One read.
    ///
    /// # Errors
    /// [`DriverError::Gone`] if it is not, [`DriverError::Bus`].
    pub fn check(&self) -> Result<(), DriverError> {
        if self.identity()? == Verdict::Dead {
            Err(DriverError::Gone)
        } else {
            Ok(())
        }
    }

    /// Reads a register. One read, or two.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub fn read(&self, register: u64) -> Result<u32, DriverError> {
        match Reading::of(self.bar.read32(register)?) {
            Reading::Answered(value) => Ok(value),
            Reading::Suspicious if self.identity()? == Verdict::Dead => Err(DriverError::Gone),
            Reading::Suspicious => Ok(u32::MAX),
        }
    }

    /// Writes a register. Posted: success says nothing about the device having seen it.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub fn write(&self, register: u64, value: u32) -> Result<(), DriverError> {
        Ok(self.bar.write32(register, value)?)
    }

    /// Writes a 64-bit value to two registers, low half first.
    ///
    /// # Errors
    /// [`DriverError::Bus`]; then perhaps the low half was written.
    pub fn write_pair(&self, low_register: u64, value: u64) -> Result<(), DriverError> {
        let [low, high] = halves(value);
        self.write(low_register, low)?;
        self.write(low_register + 4, high)
    }
}

/// Low and high half.
#[allow(clippy::cast_possible_truncation)] // the low half is what is wanted
fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use lifeboat_pci::BusError;

    use super::*;

    const ID: IdRegister = IdRegister::new(8, 0x1234);

    /// Register 0 reads all-ones, and the identity register as it is told.
    struct Mock {
        id: u32,
        reads: Cell<u32>,
    }

    impl Bar for Mock {
        fn size(&self) -> u64 {
            12
        }

        fn read32(&self, offset: u64) -> Result<u32, BusError> {
            self.reads.set(self.reads.get() + 1);
            Ok(if offset == ID.offset { self.id } else { u32::MAX })
        }

        fn write32(&self, _: u64, _: u32) -> Result<(), BusError> {
            Err(BusError::Unmapped)
        }

        fn read_bytes(&self, _: u64, _: &mut [u8]) -> Result<(), BusError> {
            Err(BusError::Unmapped)
        }

        fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), BusError> {
            Err(BusError::Unmapped)
        }
    }

    fn read(id: u32) -> (Result<u32, DriverError>, u32) {
        let bar = Mock { id, reads: Cell::new(0) };
        let value = Registers::new(&bar, ID).read(0);
        (value, bar.reads.get())
    }

    #[test]
    fn health_1_the_identity_register_decides_what_all_ones_mean() {
        assert_eq!(read(ID.value), (Ok(u32::MAX), 2), "the register holds that");
        assert_eq!(read(u32::MAX), (Err(DriverError::Gone), 2));
        assert_eq!(read(0), (Err(DriverError::Gone), 2));
        assert_eq!(read(7), (Ok(u32::MAX), 2), "something is there; what it is, others find out");
    }
}
