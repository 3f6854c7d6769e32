//! Is the device alive? Seed 0: an interactive operation proves device and bus; a heartbeat proves progress.

use lifeboat_core::health::Verdict;
use lifeboat_driver::DriverError;
use lifeboat_pci::Bar;

use crate::{regs, Lb1};

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Writes `pattern` to the liveness register and expects its complement back: nothing but a living device computes
    /// that. One write and one read, or two.
    ///
    /// # Errors
    /// [`DriverError::Bus`]. A dead device is a verdict, not an error.
    pub(crate) fn liveness(&self, pattern: u32) -> Result<Verdict, DriverError> {
        self.write(regs::LIVENESS, pattern)?;
        match self.read(regs::LIVENESS) {
            Ok(value) if value == !pattern => Ok(Verdict::Alive),
            Ok(_) => self.identity().map(|verdict| if verdict == Verdict::Alive { Verdict::Unsure } else { verdict }),
            Err(DriverError::Gone) => Ok(Verdict::Dead),
            Err(error) => Err(error),
        }
    }

    /// The heartbeat, in milliseconds since the device was enabled. One that stands still means a dead device even if
    /// its registers answer.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn heartbeat(&self) -> Result<u32, DriverError> {
        self.read(regs::HEARTBEAT)
    }
}
