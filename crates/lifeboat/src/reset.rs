//! Waiting for a reset, a proof and signs of life, and bringing a device to rest.

use std::time::{Duration, Instant};

use lifeboat_core::Timestamp;
use lifeboat_core::health::Verdict;
use lifeboat_core::polling::Polling;
use lifeboat_lb1::{DriverError, PROOF_LIMIT, Progress, Unproven, regs, set_bus_master, set_memory_decode};
use lifeboat_pci::ConfigSpace;
use lifeboat_sync::lint;

use crate::link::{BoundLink, Registers};

/// How long to wait for a reset: twice what the device states.
pub(crate) const RESET_LIMIT: Duration = Duration::from_millis(2 * regs::RESET_MAX_MS);
/// How long to wait between two looks. A reset takes well under a millisecond on a healthy device.
const RESET_POLL: Duration = Duration::from_micros(100);
/// How long to wait between two looks at a heartbeat.
const HEARTBEAT_POLL: Duration = Duration::from_micros(500);
/// How long to wait for the heartbeat to move: it counts milliseconds.
pub(crate) const HEARTBEAT_LIMIT: Duration = Duration::from_millis(100);

/// Brings a device to rest, in order if it is alive; on a dead one nothing waits (HEALTH-3). After it the device starts
/// no transfer. Says whether it was alive.
pub(crate) fn quiesce(link: &BoundLink<'_>, config: &(impl ConfigSpace + ?Sized)) -> bool {
    let alive = stop(link);
    cut_dma_off(config);
    alive
}

/// The first part of it, if it is alive: no interrupt, nothing that runs. Says whether it was.
pub(crate) fn stop(link: &impl Registers) -> bool {
    let alive = link.registers(|lb1, _| lb1.identity()) == Ok(Verdict::Alive);
    if alive {
        match shut_down(link) {
            Ok(true) => {}
            Ok(false) => tracing::warn!("the device does not come out of reset; its DMA is cut off all the same"),
            Err(error) => tracing::debug!(%error, "the device was lost while it was shut down"),
        }
    }
    alive
}

/// The second part, also of a device that did not answer as it should: what is there at all must not reach memory.
pub(crate) fn cut_dma_off(config: &(impl ConfigSpace + ?Sized)) {
    let off = set_bus_master(config, false).and_then(|()| set_memory_decode(config, false));
    if let Err(error) = off {
        tracing::debug!(%error, "configuration space could not be written");
    }
}

/// Masks interrupts and resets. Each access has a section of its own: the waiting is outside.
fn shut_down(link: &impl Registers) -> Result<bool, DriverError> {
    link.registers(|lb1, _| lb1.mask_interrupts())?;
    link.registers(|lb1, _| lb1.begin_device_reset())?;
    wait_for_reset(RESET_LIMIT, || link.registers(|lb1, _| lb1.device_reset()))
}

/// Asks until a reset is no longer under way; `true` if it has succeeded. Ends early if the device is gone (GATE-9).
pub(crate) fn wait_for_reset(
    limit: Duration,
    ask: impl FnMut() -> Result<Progress, DriverError>,
) -> Result<bool, DriverError> {
    lint::might_block("waiting for a reset");
    wait_until_done(limit, ask)
}

/// Asks until a ring has done a job of the driver's own. Ends early if the device is gone (GATE-9).
///
/// # Errors
/// [`DriverError::Unproven`] if it has not, and those of `ask`.
pub(crate) fn wait_for_proof(ring: u8, ask: impl FnMut() -> Result<Progress, DriverError>) -> Result<(), DriverError> {
    lint::might_block("waiting for a ring's proof");
    if wait_until_done(PROOF_LIMIT, ask)? {
        Ok(())
    } else {
        Err(DriverError::Unproven { ring, what: Unproven::Silent })
    }
}

/// Asks until it is no longer under way; `true` if it has succeeded.
fn wait_until_done(
    limit: Duration,
    mut ask: impl FnMut() -> Result<Progress, DriverError>,
) -> Result<bool, DriverError> {
    let ended = ask_until(limit, RESET_POLL, || {
        Ok(match ask()? {
            Progress::Done => Some(true),
            Progress::Failed => Some(false),
            Progress::UnderWay => None,
        })
    });
    Ok(ended?.unwrap_or(false))
}

/// Asks until the heartbeat has moved; `false` if it does not. Ends early if the device is gone (GATE-9).
pub(crate) fn wait_for_heartbeat(
    limit: Duration,
    mut ask: impl FnMut() -> Result<u32, DriverError>,
) -> Result<bool, DriverError> {
    lint::might_block("waiting for a heartbeat");
    let first = ask()?;
    std::thread::sleep(HEARTBEAT_POLL);
    let moved = ask_until(limit, HEARTBEAT_POLL, || Ok((ask()? != first).then_some(())));
    Ok(moved?.is_some())
}

/// Asks until there is an answer, with pauses of `pause`; `None` if there is none within the limit, which is
/// [`Polling`]'s: it does not depend on how busy this machine is.
fn ask_until<T>(
    limit: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, DriverError>,
) -> Result<Option<T>, DriverError> {
    let began = Instant::now();
    let now = || Timestamp::new(began.elapsed());
    let mut polling = Polling::new(limit, pause, now());
    loop {
        let last = polling.looks(now());
        let answer = ask()?;
        if answer.is_some() || last {
            return Ok(answer);
        }
        polling.pauses(now());
        std::thread::sleep(pause);
    }
}
