//! Kinds of faults. Each ends the device, or disturbs it; after [`Kind::recover`] it works again.

use std::fmt;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lifeboat_gpu_server::control::{Fault, Lasts, Trigger};

use crate::card::hotplug::SLOT;
use crate::pace;
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};

/// What happens to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The driver is unbound.
    Unbind,
    /// The bus is told to forget the device.
    SysfsRemove,
    /// It reads all-ones, without an event.
    FallOff,
    /// The same, for a moment.
    LinkDown,
    /// Its BARs do not answer for a moment, and configuration space does.
    SilentBars,
    /// Configuration space does not answer for a moment, and the BARs do.
    SilentConfig,
    /// Its registers read nonsense.
    Garbage,
    /// Its heartbeat stands still.
    StuckHeartbeat,
    /// Another model is in its place.
    SwapModel,
    /// A card with less memory is in its place.
    SwapSize,
    /// A job hangs.
    Hang,
    /// A job faults.
    JobFault,
    /// A job hangs, and the reset of its ring fails.
    FailedRingReset,
    /// A job hangs, and neither its ring nor the device can be reset.
    FailedReset,
    /// An interrupt does not come.
    LostInterrupt,
    /// An interrupt comes that nobody sent.
    SpuriousInterrupt,
    /// No interrupt comes for a moment.
    NoInterrupts,
    /// Interrupts come that nobody sent, one right after the other, for a moment.
    InterruptStorm,
    /// Doorbells ring nobody for a moment.
    DeadDoorbell,
    /// Commands take longer.
    Slow,
    /// Reads of registers take longer.
    SlowReads,
    /// A read of a register takes long.
    StalledRead,
}

/// What becomes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is lost.
    Ends,
    /// It goes on.
    Stays,
    /// It is lost if somebody looks at the wrong moment.
    Either,
}

/// Those that end the device, and need no job to do so.
pub const LOSSES: [Kind; 3] = [Kind::Unbind, Kind::SysfsRemove, Kind::FallOff];

/// All of them, with their names.
pub const ALL: [(Kind, &str); 22] = [
    (Kind::Unbind, "unbind"),
    (Kind::SysfsRemove, "sysfs-remove"),
    (Kind::FallOff, "fall-off"),
    (Kind::LinkDown, "link-down"),
    (Kind::SilentBars, "silent-bars"),
    (Kind::SilentConfig, "silent-config"),
    (Kind::Garbage, "garbage"),
    (Kind::StuckHeartbeat, "stuck-heartbeat"),
    (Kind::SwapModel, "swap-model"),
    (Kind::SwapSize, "swap-size"),
    (Kind::Hang, "hang"),
    (Kind::JobFault, "job-fault"),
    (Kind::FailedRingReset, "failed-ring-reset"),
    (Kind::FailedReset, "failed-reset"),
    (Kind::LostInterrupt, "lost-interrupt"),
    (Kind::SpuriousInterrupt, "spurious-interrupt"),
    (Kind::NoInterrupts, "no-interrupts"),
    (Kind::InterruptStorm, "interrupt-storm"),
    (Kind::DeadDoorbell, "dead-doorbell"),
    (Kind::Slow, "slow"),
    (Kind::SlowReads, "slow-reads"),
    (Kind::StalledRead, "stalled-read"),
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALL.iter().find(|(kind, _)| kind == self).map_or("?", |(_, name)| name))
    }
}

impl Kind {
    /// What becomes of the device.
    pub fn effect(self) -> Effect {
        match self {
            Self::Unbind
            | Self::SysfsRemove
            | Self::FallOff
            | Self::StuckHeartbeat
            | Self::SwapModel
            | Self::SwapSize
            | Self::FailedReset => Effect::Ends,
            // Nonsense ends with a reset of the device, which nonsense about a ring may lead to.
            Self::Garbage | Self::LinkDown | Self::SilentBars | Self::SilentConfig | Self::DeadDoorbell => {
                Effect::Either
            }
            _ => Effect::Stays,
        }
    }

    /// Whether jobs may end with another error than that of a loss.
    pub fn ends_jobs(self) -> bool {
        !matches!(
            self,
            Self::Unbind | Self::SysfsRemove | Self::FallOff | Self::SpuriousInterrupt | Self::LostInterrupt
        )
    }

    /// Whether what is written to the device may be lost although the device is not.
    pub fn loses_writes(self) -> bool {
        matches!(self, Self::LinkDown | Self::SilentBars | Self::SwapModel | Self::SwapSize)
    }

    /// Has it happen: `random` decides at which job, and for how long. A device that it may leave has been looked at when this
    /// returns; that one is lost is seen by those who use it.
    ///
    /// # Errors
    /// It cannot happen, or nobody looks.
    pub fn strike(self, bench: &Bench<'_>, random: &mut Rng) -> Result<(), Failure> {
        let driver = bench.driver();
        let at_job = Some(Trigger::Job(random.u64(1..=6)));
        let micros = 1000 << random.u32(4..8);
        let moment = Lasts { micros: Some(micros) };
        let inject = |fault, at| bench.gpu().and_then(|gpu| Ok(gpu.inject(fault, at)?));
        match self {
            Self::Unbind => {
                driver.unbind()?;
                return Ok(());
            }
            Self::SysfsRemove => {
                let remove = format!("/sys/bus/pci/devices/{SLOT}/remove");
                bench.machine.agent.write(&remove, "1", pace::DRIVER)?;
                return Ok(());
            }
            Self::FallOff => inject(Fault::Gone, None)?,
            Self::LinkDown => inject(Fault::LinkDown { micros }, None)?,
            Self::SilentBars => inject(Fault::SilentBars(moment), None)?,
            Self::SilentConfig => inject(Fault::SilentConfig(moment), None)?,
            Self::Garbage => inject(Fault::Garbage(Lasts::default()), None)?,
            Self::StuckHeartbeat => inject(Fault::StickHeartbeat, None)?,
            Self::SwapModel => inject(Fault::SwapModel, None)?,
            Self::SwapSize => inject(Fault::SwapSize, None)?,
            Self::Hang => return resets(bench, "ring_resets", || inject(Fault::Hang, at_job)),
            Self::JobFault => return resets(bench, "ring_resets", || inject(Fault::JobFault, at_job)),
            Self::FailedRingReset => {
                return resets(bench, "device_resets", || {
                    inject(Fault::FailReset, None).and_then(|()| inject(Fault::Hang, at_job))
                });
            }
            Self::FailedReset => {
                inject(Fault::FailReset, Some(Trigger::Reset(1)))?;
                inject(Fault::FailReset, Some(Trigger::Reset(2)))?;
                inject(Fault::Hang, at_job)?;
            }
            Self::LostInterrupt => inject(Fault::LoseInterrupt, None)?,
            Self::SpuriousInterrupt => inject(Fault::SpuriousInterrupt, None)?,
            Self::NoInterrupts => inject(Fault::NoInterrupts(moment), None)?,
            Self::InterruptStorm => inject(Fault::InterruptStorm(moment), None)?,
            Self::DeadDoorbell => inject(Fault::DeadDoorbell(moment), None)?,
            Self::Slow => inject(Fault::Slow { micros: micros / 16 }, None)?,
            Self::SlowReads => inject(Fault::SlowReads { micros: micros / 256 }, None)?,
            Self::StalledRead => inject(Fault::StalledRead { micros }, None)?,
        }
        match self.effect() {
            Effect::Ends => Ok(()),
            // Goes on when the fault is over and the driver has looked at the device since.
            Effect::Stays | Effect::Either => {
                std::thread::sleep(Duration::from_micros(micros));
                looked_at(bench)
            }
        }
    }

    /// Whether a driver that recovers devices needs help for this one: it is gone for good, another card, or slow until a reset.
    fn needs_help(self) -> bool {
        matches!(self, Self::FallOff | Self::SwapModel | Self::SwapSize | Self::Slow | Self::SlowReads)
    }

    /// Has the device work again, and waits until programs can use it: the driver by itself where it can, else with the least
    /// help that there is. Tells whether help was needed.
    ///
    /// # Errors
    /// It does not come back.
    pub fn recover(self, bench: &Bench<'_>) -> Result<Helped, Failure> {
        let driver = bench.driver();
        let mut helped = Helped::Yes;
        match self {
            Self::Unbind => drop(driver.bind()?),
            Self::SysfsRemove => drop(bench.machine.agent.write("/sys/bus/pci/rescan", "1", pace::DRIVER)?),
            _ if self.needs_help() || !driver.recovers()? => {
                bench.gpu()?.replace()?;
                driver.rebind()?;
            }
            _ => helped = Helped::No,
        }
        driver.wait_for_state("ready")?;
        Ok(helped)
    }
}

/// Whether a device has come back with help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helped {
    /// Somebody has bound it.
    Yes,
    /// By itself.
    No,
}

/// Does something, and waits for a reset.
fn resets(bench: &Bench<'_>, counter: &str, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let driver = bench.driver();
    let before = driver.counter(counter)?;
    work()?;
    Ok(driver.wait_for_counter(counter, before + 1)?)
}

/// Waits until health polling has looked at the device some times more, or has given it up.
fn looked_at(bench: &Bench<'_>) -> Result<(), Failure> {
    /// Twice as many as it takes to give up a device that is not well.
    const LOOKS: u64 = 6;
    let driver = bench.driver();
    // A device that was lost counts anew when it has returned, and there is none for a moment.
    let looks = || driver.counter("health_polls").unwrap_or(0);
    let (before, began) = (looks(), Instant::now());
    while !driver.is_without_device()? && looks() < before + LOOKS {
        expect(began.elapsed() < bench.limit(pace::DRIVER), || "nobody looks at the device".to_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let kinds: BTreeSet<_> = ALL.iter().map(|(kind, _)| kind).collect();
        let names: BTreeSet<_> = ALL.iter().map(|(kind, _)| kind.to_string()).collect();
        assert_eq!((kinds.len(), names.len()), (ALL.len(), ALL.len()));
        assert!(LOSSES.iter().all(|kind| kind.effect() == Effect::Ends));
    }
}
