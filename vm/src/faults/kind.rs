//! Kinds of faults. Each ends the device, or disturbs it; [`Kind::recover`] has it work again.

use std::fmt;
use std::time::{Duration, Instant};

use lifeboat_gpu_server::control::Fault;

use crate::card::hotplug::SLOT;
use crate::pace;
use crate::suite::bench::Bench;
use crate::suite::failure::Failure;

/// What happens to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The driver is unbound.
    Unbind,
    /// The bus is told to forget the device.
    SysfsRemove,
    /// It reads all-ones, without an event.
    FallOff,
}

/// Those that end the device, and need no job to do so.
pub const LOSSES: [Kind; 3] = [Kind::Unbind, Kind::SysfsRemove, Kind::FallOff];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unbind => "unbind",
            Self::SysfsRemove => "sysfs-remove",
            Self::FallOff => "fall-off",
        })
    }
}

impl Kind {
    /// Has it happen. Where it ends the device, the loss has been announced when this returns.
    ///
    /// # Errors
    /// It cannot happen, or nobody notices.
    pub fn strike(self, bench: &Bench<'_>) -> Result<(), Failure> {
        match self {
            Self::Unbind => {
                bench.driver().unbind()?;
            }
            Self::SysfsRemove => {
                let remove = format!("/sys/bus/pci/devices/{SLOT}/remove");
                bench.machine.agent.write(&remove, "1", pace::DRIVER)?;
            }
            Self::FallOff => {
                bench.gpu()?.inject(Fault::Gone, None)?;
                bench.driver().wait_for_state("gone")?;
            }
        }
        Ok(())
    }

    /// Brings the device back, and waits until programs can use it. Says how long that took.
    ///
    /// # Errors
    /// It does not come back.
    pub fn recover(self, bench: &Bench<'_>) -> Result<Duration, Failure> {
        let began = Instant::now();
        let driver = bench.driver();
        match self {
            Self::Unbind => drop(driver.bind()?),
            Self::SysfsRemove => drop(bench.machine.agent.write("/sys/bus/pci/rescan", "1", pace::DRIVER)?),
            Self::FallOff => {
                driver.unbind()?;
                bench.gpu()?.replace()?;
                driver.bind()?;
            }
        }
        driver.wait_for_state("ready")?;
        Ok(began.elapsed())
    }
}
