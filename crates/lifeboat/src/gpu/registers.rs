//! The registers and the VRAM of an LB1, in the sections of the base.

use lifeboat_driver::DriverError;
use lifeboat_lb1::{Lb1, regs};
use lifeboat_pci::{Bar, BusError};

use crate::hardware::Hardware;
use crate::link::Link;

type Registers<'a> = Lb1<'a, dyn Bar + Send + Sync>;

impl Hardware {
    /// The registers of an LB1.
    #[track_caller]
    pub(super) fn lb1(&self) -> Result<Registers<'_>, BusError> {
        Ok(Lb1::new(self.bar(regs::REGISTER_BAR)?))
    }

    /// The video memory of an LB1.
    #[track_caller]
    pub(super) fn vram(&self) -> Result<&(dyn Bar + Send + Sync), BusError> {
        self.bar(regs::VRAM_BAR)
    }
}

impl Link {
    /// Runs `f` on the registers of an LB1, as [`Link::hardware`].
    #[track_caller]
    pub(super) fn registers<R>(
        &self,
        f: impl FnOnce(&Registers<'_>) -> Result<R, DriverError>,
    ) -> Result<R, DriverError> {
        self.hardware(|hardware| f(&hardware.lb1()?))
    }
}
