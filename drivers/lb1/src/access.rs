//! The registers of an LB1.

use lifeboat_core::health::Verdict;
use lifeboat_driver::{DriverError, IdRegister, Registers};
use lifeboat_pci::Bar;

use crate::regs;

/// The register that decides whether an LB1 is there.
const ID: IdRegister = IdRegister::new(regs::ID, regs::ID_VALUE);

/// The registers of an LB1, borrowed for one section. Every read has a [loss check](Registers).
#[derive(Debug)]
pub struct Lb1<'a, B: ?Sized>(Registers<'a, B>);

impl<'a, B: Bar + ?Sized> Lb1<'a, B> {
    /// Borrows BAR0.
    pub fn new(bar: &'a B) -> Self {
        Self(Registers::new(bar, ID))
    }

    /// See [`Registers::identity`].
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub fn identity(&self) -> Result<Verdict, DriverError> {
        self.0.identity()
    }

    /// See [`Registers::check`].
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub fn check(&self) -> Result<(), DriverError> {
        self.0.check()
    }

    pub(crate) fn read(&self, register: u64) -> Result<u32, DriverError> {
        self.0.read(register)
    }

    pub(crate) fn write(&self, register: u64, value: u32) -> Result<(), DriverError> {
        self.0.write(register, value)
    }

    pub(crate) fn write_pair(&self, low_register: u64, value: u64) -> Result<(), DriverError> {
        self.0.write_pair(low_register, value)
    }
}
