//! Register access with a loss check.

use core::fmt;

use lifeboat_core::health::{judge_identity, Reading, Verdict};
use lifeboat_pci::{Bar, BusError};

use crate::regs;

/// The registers of an LB1, borrowed for one section.
///
/// Every read is checked: if it gives all-ones, the identity register, which never does, is read too, and decides
/// whether the device is gone or the register really holds that (HEALTH-1).
#[derive(Debug)]
pub struct Lb1<'a, B: ?Sized> {
    bar: &'a B,
}

/// What can go wrong between the driver and its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverError {
    /// The access could not be attempted.
    Bus(BusError),
    /// The device is no longer there.
    Gone,
    /// Something answers that is not an LB1 of a version this driver knows.
    NotLb1 {
        /// The register that is wrong, as an offset in BAR0.
        register: u64,
        /// What it read.
        value: u32,
    },
    /// The device says of itself what cannot be true; the text says what.
    Impossible(&'static str),
    /// The device says that a reset failed.
    ResetFailed,
    /// The device has come back from a reset as another: its identity, what it has, or what it computes is not as before.
    Changed,
    /// An argument does not exist on this device: a ring, context, segment, or an address out of range.
    NoSuchThing,
}

impl From<BusError> for DriverError {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => error.fmt(f),
            Self::Gone => f.write_str("the device is gone"),
            Self::NotLb1 { register, value } => write!(f, "not an LB1: register {register:#x} reads {value:#x}"),
            Self::Impossible(what) => write!(f, "the device says what cannot be true: {what}"),
            Self::ResetFailed => f.write_str("the device reports a failed reset"),
            Self::Changed => f.write_str("the device is another one after its reset"),
            Self::NoSuchThing => f.write_str("the device has no such ring, context, segment or address"),
        }
    }
}

impl core::error::Error for DriverError {}

impl<'a, B: Bar + ?Sized> Lb1<'a, B> {
    /// Borrows BAR0.
    pub fn new(bar: &'a B) -> Self {
        Self { bar }
    }

    /// Whether the device answers as only an LB1 can. One read.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub fn identity(&self) -> Result<Verdict, DriverError> {
        Ok(judge_identity(self.bar.read32(regs::ID)?, regs::ID_VALUE))
    }

    /// For who has read all-ones, or something that ends with them, from elsewhere than a register: whether the device is there.
    /// One read.
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

    pub(crate) fn read(&self, register: u64) -> Result<u32, DriverError> {
        match Reading::of(self.bar.read32(register)?) {
            Reading::Answered(value) => Ok(value),
            Reading::Suspicious if self.identity()? == Verdict::Dead => Err(DriverError::Gone),
            Reading::Suspicious => Ok(u32::MAX),
        }
    }

    pub(crate) fn write(&self, register: u64, value: u32) -> Result<(), DriverError> {
        Ok(self.bar.write32(register, value)?)
    }

    /// Writes a 64-bit value to two registers, low half first.
    pub(crate) fn write_pair(&self, low_register: u64, value: u64) -> Result<(), DriverError> {
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
