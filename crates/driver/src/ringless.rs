//! What the driver of a device without rings takes for the types and procedures of rings.

use crate::{DriverError, Io, Sequence, Step};

/// A ring, a job or a fault of a device that has no rings: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRing {}

/// A procedure that a device does not have: it fails at its first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable(
    /// Why.
    pub DriverError,
);

impl Sequence for Unavailable {
    type Output = ();

    fn step(&mut self, _: &Io<'_>) -> Result<Step<()>, DriverError> {
        Err(self.0)
    }

    fn overdue(&self) -> DriverError {
        self.0
    }
}
