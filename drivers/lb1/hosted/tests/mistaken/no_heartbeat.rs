//! A device whose driver has no heartbeat is watched by what it computes alone (HEALTH-2).

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::time::Duration;

use lifeboat::Module;
use lifeboat_core::fence::FenceError;
use lifeboat_core::unplug::Loss;
use lifeboat_gpu::Fault;

use crate::driver::{At, COMPUTATIONS, NO_HEARTBEAT};
use crate::machine::{Ended, Plain, bound, options, plugged, telling, turn};

/// As long as it lives, devices have no heartbeat.
struct NoHeartbeat;

impl NoHeartbeat {
    fn new() -> Self {
        NO_HEARTBEAT.store(true, SeqCst);
        Self
    }
}

impl Drop for NoHeartbeat {
    fn drop(&mut self) {
        NO_HEARTBEAT.store(false, SeqCst);
    }
}

/// Binds a device whose heartbeat stands still, and lets it be looked at until it is lost, or so many
/// times.
fn lost_within(looks: u32) -> Option<Loss> {
    let (card, function) = plugged();
    let mut module = Module::new();
    module.register::<Plain>(());
    let (lost, told) = mpsc::channel();
    let binding = module.probe(&function, &options(), telling(lost)).unwrap();
    card.inject(Fault::StuckHeartbeat);
    let before = COMPUTATIONS.load(SeqCst);
    let mut found = None;
    while found.is_none() && COMPUTATIONS.load(SeqCst) < before + looks {
        found = told.recv_timeout(Duration::from_millis(10)).ok();
    }
    binding.unplug(found.unwrap_or(Loss::Unbound)).unwrap();
    drop(binding);
    module.unload().unwrap();
    found
}

#[test]
fn health_2_a_heartbeat_that_stands_still_is_a_hang_only_of_a_device_that_has_one() {
    let _turn = turn();
    assert_eq!(lost_within(1000), Some(Loss::Hung));
    let _without = NoHeartbeat::new();
    // Three looks made a hang of the other.
    assert_eq!(lost_within(12), None);
}

#[test]
fn health_2_a_device_without_a_heartbeat_still_ends_its_jobs_and_answers_no_nonsense_for_long() {
    let _turn = turn();
    let _without = NoHeartbeat::new();
    let Ended { short, hung } = bound(At::Nowhere, true, None);
    assert_eq!((short, hung), (Ok(()), Err(FenceError::Guilty)));
    let Ended { hung, .. } = bound(At::Computes, true, Some(Loss::Nonsense));
    assert!(hung.is_err());
}
