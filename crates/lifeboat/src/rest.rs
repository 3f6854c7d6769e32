//! Brings a device to rest.
//!
//! When a binding ends, the worker does that as its last act, so that an unplug waits no longer for
//! an access that stalls than its limit allows; or the unplug itself, if the worker never comes to
//! it, as when a fence callback blocks it.

use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Duration;

use lifeboat_core::health::Verdict;
use lifeboat_driver::{Driver, DriverError};
use lifeboat_pci::{ConfigSpace, set_bus_master, set_memory_decode};

use crate::drive::{drive, nothing};
use crate::link::{BoundLink, Link, Sections};

/// How long somebody who is to bring the device to rest is waited for besides what is waited for
/// otherwise: as long as the device's part of a dump takes, and a shutdown that the device does not end.
pub(crate) const REST_LIMIT: Duration = Duration::from_millis(700);

const NOBODY: u8 = 0;
const UNDER_WAY: u8 = 1;
const ALIVE: u8 = 2;
const NOT_ALIVE: u8 = 3;

/// Whether the device of a binding has been brought to rest, and whether it was alive.
#[derive(Default)]
pub(crate) struct Rest(AtomicU8);

impl Rest {
    /// Stops the device, if nobody else does or has done so. Nothing waits for a device that is dead (HEALTH-3).
    pub(crate) fn bring<D: Driver>(&self, link: &Link) {
        if self.0.compare_exchange(NOBODY, UNDER_WAY, SeqCst, SeqCst).is_ok() {
            let alive = stop::<D>(link);
            self.0.store(if alive { ALIVE } else { NOT_ALIVE }, SeqCst);
        }
    }

    /// Whether nobody has begun with it.
    pub(crate) fn is_due(&self) -> bool {
        self.0.load(SeqCst) == NOBODY
    }

    /// Nobody is to begin with it any more. Whether the device was alive, as far as that is known: one that takes longer
    /// than anybody waits for it is not.
    pub(crate) fn end(&self) -> bool {
        let _ = self.0.compare_exchange(NOBODY, NOT_ALIVE, SeqCst, SeqCst);
        self.0.load(SeqCst) == ALIVE
    }
}

/// Stops a device that was not bound. Its DMA is to be cut off all the same.
pub(crate) fn quiesce<D: Driver>(link: &BoundLink<'_>) {
    stop::<D>(link);
}

/// Shuts the device down if it is alive. Says whether it was.
fn stop<D: Driver>(link: &impl Sections) -> bool {
    let alive = link.io(D::presence) == Ok(Verdict::Alive);
    let down = || drive(link, link.code(D::shut_down)?, nothing);
    if alive {
        match down() {
            Ok(()) => {}
            Err(DriverError::Gone) => tracing::debug!("the device was lost while it was shut down"),
            Err(error) => {
                tracing::warn!(%error, "the device could not be shut down; its DMA is cut off all the same");
            }
        }
    }
    alive
}

/// The rest of it, also of a device that did not answer as it should: what is there at all must not
/// reach memory.
pub(crate) fn cut_dma_off(config: &(impl ConfigSpace + ?Sized)) {
    let off = set_bus_master(config, false).and_then(|()| set_memory_decode(config, false));
    if let Err(error) = off {
        tracing::debug!(%error, "configuration space could not be written");
    }
}
