//! The base with another subsystem, which does nothing, and a driver that makes mistakes (DRV-3).
//!
//! The driver is that of LB1 but for one function, which panics, gives what cannot be true, or does not return
//! (`blocks`). Whatever it is, the device ends by the one path of an unplug: every fence signals, nobody else panics,
//! nothing leaks.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

mod blocks;
mod driver;
mod machine;
mod no_heartbeat;
mod own_credits;

use std::sync::Arc;

use lifeboat::sched::RingIndex;
use lifeboat::{Base, Listeners, Module, ProbeError};
use lifeboat_core::fence::FenceError;
use lifeboat_core::sched::Priority;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::DriverError;

use crate::driver::{Armed, At, NONSENSE, PANICS};
use crate::machine::{Ended, Plain, Sound, bound, device, options, plugged, turn};

#[test]
fn drv_3_a_driver_without_a_mistake_is_the_control() {
    let _turn = turn();
    let Ended { short, hung } = bound(At::Nowhere, true, None);
    assert_eq!((short, hung), (Ok(()), Err(FenceError::Guilty)));
}

#[test]
fn drv_3_a_panic_in_any_function_is_a_crash_of_the_device_alone() {
    let _turn = turn();
    for at in [
        At::Run,
        At::Progress,
        At::Place,
        At::Began,
        At::Fault,
        At::ResetRing,
        At::ResetRingStep,
        At::ResetRingOverdue,
        At::ResetDevice,
        At::ResetDeviceStep,
        At::Pending,
        At::PendingRings,
        At::Presence,
        At::Read,
        At::Computes,
        At::Heartbeat,
        At::Identify,
    ] {
        let Ended { hung, .. } = bound(at, false, Some(Loss::Crashed));
        assert!(hung.is_err(), "{at:?}");
    }
    for at in [At::ShutDown, At::ShutDownStep] {
        let Ended { short, .. } = bound(at, false, None);
        assert_eq!(short, Ok(()), "{at:?}");
    }
}

#[test]
fn drv_3_what_cannot_be_true_ends_jobs_or_the_device() {
    let _turn = turn();
    for (at, loss) in [
        (At::Run, None),
        (At::Progress, None),
        (At::Place, None),
        (At::Began, None),
        (At::Fault, None),
        (At::ResetRingStep, None),
        (At::Pending, None),
        (At::PendingRings, None),
        (At::Presence, None),
        (At::Read, None),
        (At::ShutDownStep, None),
        (At::ResetDeviceStep, Some(Loss::Crashed)),
        (At::Computes, Some(Loss::Nonsense)),
        (At::Heartbeat, Some(Loss::Hung)),
        (At::Identify, Some(Loss::Replaced)),
    ] {
        let Ended { hung, .. } = bound(at, true, loss);
        assert!(hung.is_err(), "{at:?}");
    }
}

#[test]
fn drv_3_a_mistake_in_probe_refuses_the_device_and_the_next_probe_may_bind_it() {
    let _turn = turn();
    let refused = |nonsense| if nonsense { DriverError::Impossible("a mistake") } else { DriverError::Panicked };
    for (at, nonsense, error) in [
        (At::Info, false, ProbeError::Driver(DriverError::Panicked)),
        (At::Rings, false, ProbeError::Driver(DriverError::Panicked)),
        (At::RingShape, false, ProbeError::Driver(DriverError::Panicked)),
        (At::Ring, false, ProbeError::Driver(DriverError::Panicked)),
        (At::BringUp, false, ProbeError::Driver(DriverError::Panicked)),
        (At::BringUpStep, false, ProbeError::Driver(refused(false))),
        (At::Info, true, ProbeError::Driver(refused(true))),
        (At::RingShape, true, ProbeError::NoMemory),
        (At::BringUpStep, true, ProbeError::ResetTimedOut),
    ] {
        let (card, function) = plugged();
        let mut module = Module::new();
        module.register::<Plain>(());
        let armed = Armed::new(at, if nonsense { NONSENSE } else { PANICS });
        assert_eq!(module.probe(&function, &options(), Listeners::none()).unwrap_err(), error, "{at:?}");
        drop(armed);
        assert!(card.witness().is_empty(), "{at:?}: {:?}", card.witness().violations());
        module.unload().unwrap_or_else(|holders| panic!("{at:?}: {holders}"));
    }
}

#[test]
fn a_device_is_bound_by_the_driver_that_is_asked_for_if_the_module_has_it() {
    let _turn = turn();
    let (_card, function) = plugged();
    let mut module = Module::new();
    module.register::<Plain>(());
    assert_eq!(
        module.probe_as::<Sound>(&function, &options(), Listeners::none()).unwrap_err(),
        ProbeError::Unregistered
    );
    module.register::<Sound>(());
    let (_card, function) = plugged();
    let binding = module.probe_as::<Sound>(&function, &options(), Listeners::none()).unwrap();
    assert!(binding.device::<Arc<Base<Sound>>>().is_some() && binding.device::<Arc<Base<Plain>>>().is_none());
    drop(binding);
    module.unload().unwrap();
}

#[test]
fn drv_3_a_device_that_shows_no_rings_is_bound_and_unplugged_all_the_same() {
    let _turn = turn();
    let (card, function) = plugged();
    let mut module = Module::new();
    module.register::<Plain>(());
    let armed = Armed::new(At::Rings, NONSENSE);
    let binding = module.probe(&function, &options(), Listeners::none()).unwrap();
    let base = device::<Plain>(&binding);
    assert!(base.scheduler().queue(RingIndex(0), Priority::Normal).is_err());
    assert!(binding.unplug(Loss::Unbound).unwrap().device_alive);
    drop((armed, base, binding));
    assert!(card.witness().is_empty(), "{:?}", card.witness().violations());
    module.unload().unwrap();
}
