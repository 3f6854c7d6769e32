//! How far apart recoveries are, and what is told when there are no more (RECOV-4).

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use lifeboat::core::recovery::{Budget, GivenUp, Patience, Remedy, Spacing};
use lifeboat::core::unplug::Loss;
use lifeboat::{Event, Policy, ProbeError};
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::Device;

use crate::fickle::{Rig, watched};
use crate::machine::LONG;

#[test]
fn recov_4_a_large_budget_does_not_make_the_bus_probe_faster() {
    let rig = Rig::new(Policy { recovery: Budget { attempts: 1_000_000, ..Budget::DEFAULT }, ..watched() });
    let (start, before) = (Instant::now(), rig.slot.begun());
    // It answers, and not as it should: each probe fails at once.
    rig.slot.mood.set_register(regs::LIVENESS, 0xbadf_1235);
    std::thread::sleep(Duration::from_secs(2));
    let (probes, elapsed) = (rig.slot.begun() - before, start.elapsed());
    // At once, and after pauses of 100 ms, 200 ms, 400 ms, ...
    let most = 2 + (elapsed.as_millis() / 100 + 1).ilog2() as usize;
    assert!((1..=most).contains(&probes), "{probes} probes in {elapsed:?}");
    rig.bus.unbind_all();
    drop(rig);
}

#[test]
fn recov_4_a_silent_device_is_looked_at_a_few_times_a_second() {
    fn options() -> Policy {
        let patience = Patience { silent: Duration::from_hours(1), ..Patience::DEFAULT };
        Policy { recovery: Budget { attempts: 1_000_000, ..Budget::DEFAULT }, patience, ..watched() }
    }
    let rig = Rig::new(options());
    let (start, before) = (Instant::now(), rig.slot.begun());
    rig.slot.down();
    std::thread::sleep(Duration::from_secs(2));
    let (looks, elapsed) = (rig.slot.begun() - before, start.elapsed());
    // 20 ms, 40 ms, 80 ms, 160 ms, then 320 ms.
    let most = 6 + elapsed.as_millis() as usize / 320;
    assert!((1..=most).contains(&looks), "{looks} looks in {elapsed:?}");
    rig.slot.up();
    assert_eq!(rig.removed().loss, Loss::FellOff);
    rig.added();
    rig.finish();
}

#[test]
fn recov_4_left_alone_is_told_once_and_says_what_would_help() {
    fn options() -> Policy {
        let spacing = Spacing { first: Duration::from_millis(10), ..Spacing::DEFAULT };
        Policy { recovery: Budget { attempts: 2, ..Budget::DEFAULT }, spacing, ..watched() }
    }
    let rig = Rig::new(options());
    let minor = rig.bus.devices::<Device>()[0].info().minor;
    rig.slot.mood.set_register(regs::LIVENESS, 0xbadf_1235);
    assert_eq!(rig.removed().loss, Loss::Nonsense);
    for _ in 0..2 {
        assert!(matches!(rig.event(), Event::ProbeFailed { error: ProbeError::NotAlive, .. }));
    }
    match rig.event() {
        Event::LeftAlone { minor: Some(last), location, why: GivenUp::Recoveries, helps } => {
            assert_eq!((last, &*location), (minor, "0000:01:00.0"));
            assert_eq!(helps, [Remedy::Rebind, Remedy::BusReset, Remedy::Replace]);
        }
        other => panic!("expected to hear that it is left alone, got {other:?}"),
    }
    rig.quiet(Duration::from_millis(200));
    // What it says helps.
    rig.slot.mood.register.1.store(0, SeqCst);
    let bound = rig.bus.bind("0000:01:00.0").wait(LONG);
    assert_eq!(bound, Ok(rig.added()));
    rig.finish();
}
