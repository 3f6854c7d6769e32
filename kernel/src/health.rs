// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Looks at the device now and then: does it answer, and does it move?

use core::time::Duration;

use kernel::{prelude::*, sync::Arc};
use lifeboat_core::health::Verdict;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::Watch;
use lifeboat_lb1::DriverError;

use crate::clock::Clock;
use crate::device::{Device, State};
use crate::glue::Enabled;
use crate::module_parameters;

/// After how many looks a heartbeat that stands still is a hang. How often to look is a module parameter.
const WATCH: Watch = Watch::DEFAULT;

/// The liveness pattern: neither it nor its complement, rotated or not, is all-ones or zero.
pub(crate) const LIVENESS_PATTERN: u32 = 0x0f1e_2d3c;

/// How long between two looks, or `None` if nobody is to look.
fn period() -> Option<Duration> {
    let ms = *module_parameters::health_ms.value_ref();
    (ms > 0).then(|| Duration::from_millis(ms.into()))
}

/// Begins to look.
pub(crate) fn start(device: &Arc<Device>) {
    look_next(device, Duration::ZERO);
}

/// Looks a period after the last look began, so that the time a look takes does not add to it.
fn look_next(device: &Arc<Device>, since: Duration) {
    if let Some(period) = period() {
        device.health_in(period.saturating_sub(since));
    }
}

/// One look. A device that is gone ends here and now; one that is not well is called suspect until it is well again.
pub(crate) fn poll(device: &Arc<Device>) {
    let clock = Clock::start();
    device.counters.health_polls.add(1);
    match look(device) {
        Ok((Verdict::Dead, _)) | Err(DriverError::Gone) => {
            device.counters.health_failures.add(1);
            device.report_loss(Loss::FellOff);
            return;
        }
        Ok((Verdict::Alive, still)) if still < WATCH.stalls => {
            if device.change(State::Suspect, State::Ready) {
                dev_notice!(device.pci, "the device is well again\n");
            }
        }
        Ok((verdict, _)) => {
            device.counters.health_failures.add(1);
            if device.change(State::Ready, State::Suspect) {
                let hung = if verdict == Verdict::Alive { "its heartbeat stands still" } else { "it answers wrongly" };
                dev_warn!(device.pci, "the device is suspect: {hung}\n");
            }
        }
        // Cut off meanwhile: nothing is left to look at.
        Err(_) => return,
    }
    look_next(device, clock.elapsed());
}

/// Whether the device is there, for who has to know now. Asks the bus, then the device; waits for nothing but a reset of
/// the device that is under way.
pub(crate) fn verdict(device: &Device) -> Verdict {
    if device.enabled.lock().as_ref().is_some_and(Enabled::is_disconnected) {
        return Verdict::Dead;
    }
    let _vitals = device.vitals.lock();
    match liveness(device) {
        Ok(verdict) => verdict,
        Err(DriverError::Gone) => Verdict::Dead,
        Err(_) => Verdict::Unsure,
    }
}

/// Whether the device answers, and for how many looks its heartbeat has stood still.
fn look(device: &Device) -> Result<(Verdict, u32), DriverError> {
    let mut vitals = device.vitals.lock();
    let verdict = liveness(device)?;
    if verdict != Verdict::Alive {
        return Ok((verdict, 0));
    }
    let heartbeat = device.link.registers(|lb1| lb1.heartbeat())?;
    device.counters.heartbeat.set(heartbeat.into());
    Ok((verdict, vitals.look(heartbeat)))
}

/// The vitals' lock must be held. Another pattern each time, so that an old answer is not taken for a new one.
fn liveness(device: &Device) -> Result<Verdict, DriverError> {
    let turns = (device.counters.health_polls.get() % 32) as u32;
    device.link.registers(|lb1| lb1.liveness(LIVENESS_PATTERN.rotate_left(turns)))
}
