//! Links that are down, told by the slot or not, and devices that are not ready yet (RECOV-4).

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use lifeboat::core::recovery::{Budget, GivenUp, Patience, RETRY, Remedy};
use lifeboat::core::unplug::Loss;
use lifeboat::{Event, Policy, ProbeError, RequestError};
use lifeboat_lb1_hosted::Device;
use lifeboat_pci::{ALL_ONES, SlotEvent};

use crate::fickle::{Mood, Rig, watched};
use crate::machine::{Client, LONG};

/// Long enough for several looks at a silent device.
const MOMENT: Duration = Duration::from_millis(200);

#[test]
fn recov_4_a_link_that_was_down_for_a_moment_spends_no_recovery() {
    for id in [ALL_ONES, RETRY] {
        let rig = Rig::new(watched());
        rig.slot.mood.down_id.store(id, SeqCst);
        // More often than there are recoveries.
        for _ in 0..=Budget::DEFAULT.attempts {
            rig.slot.down();
            std::thread::sleep(MOMENT);
            rig.slot.up();
            assert_eq!(rig.removed().loss, Loss::FellOff);
            rig.added();
        }
        assert_eq!(rig.bus.devices::<Device>().len(), 1);
        rig.finish();
    }
}

#[test]
fn recov_4_a_device_that_is_not_ready_when_it_is_plugged_in_is_waited_for() {
    for id in [ALL_ONES, RETRY] {
        let mood = Mood::default();
        mood.down.store(true, SeqCst);
        mood.down_id.store(id, SeqCst);
        let rig = Rig::in_mood(watched(), mood);
        rig.quiet(MOMENT);
        rig.slot.up();
        rig.added();
        rig.finish();
    }
}

#[test]
fn recov_4_a_request_to_bind_ends_when_the_link_goes_down() {
    let mood = Mood::default();
    mood.down.store(true, SeqCst);
    let rig = Rig::in_mood(watched(), mood);
    let Event::ProbeFailed { .. } = rig.event() else { panic!("it is not there") };
    rig.slot.mood.down_id.store(RETRY, SeqCst);
    let bound = rig.bus.bind("0000:01:00.0");
    rig.slot.tell(SlotEvent::LinkDown);
    assert_eq!(bound.wait(LONG), Err(RequestError::LinkDown));
    rig.finish();
}

#[test]
fn recov_4_what_does_not_become_ready_is_given_up_with_a_sentence_and_the_wait_can_be_interrupted() {
    let mood = Mood::default();
    mood.down.store(true, SeqCst);
    let rig = Rig::in_mood(watched(), mood);
    let Event::ProbeFailed { error, .. } = rig.event() else { panic!("it is not there") };
    assert_eq!(error, ProbeError::NotReady(ALL_ONES));
    assert!(error.to_string().contains("not ready"), "{error}");
    // Looked at again because somebody asks, and for a minute; but a stop does not wait for that.
    rig.slot.mood.down_id.store(RETRY, SeqCst);
    let bound = rig.bus.bind("0000:01:00.0");
    rig.quiet(MOMENT);
    rig.finish();
    assert_eq!(bound.wait(LONG), Err(RequestError::Stopped));
}

#[test]
fn recov_4_a_link_that_the_slot_says_is_down_pauses_everything_and_spends_nothing() {
    let rig = Rig::new(Policy { recovery: Budget { attempts: 0, grace: LONG }, ..watched() });
    for round in 0..3 {
        let (device, begun) = (rig.bus.devices().remove(0), rig.slot.begun());
        let client = Client::new(&device);
        // Some drivers see it before the slot says so.
        if round != 1 {
            rig.slot.down();
        }
        rig.slot.tell(SlotEvent::LinkDown);
        rig.slot.down();
        assert_eq!(rig.removed().loss, Loss::LinkDown, "no fence is owed for as long as the link is down");
        std::thread::sleep(MOMENT);
        assert_eq!(rig.slot.begun(), begun, "nothing is probed meanwhile");
        drop(client);
        rig.slot.up();
        rig.slot.tell(SlotEvent::LinkUp);
        let minor = rig.added();
        assert_ne!(minor, device.info().minor);
    }
    rig.finish();
}

#[test]
fn recov_4_a_driver_that_is_faster_than_the_slot_spends_nothing_either() {
    let rig = Rig::new(Policy { recovery: Budget { attempts: 0, grace: LONG }, ..watched() });
    rig.slot.down();
    // By itself, the driver gives it up.
    assert_eq!(rig.removed().loss, Loss::FellOff);
    let Event::LeftAlone { why: GivenUp::Recoveries, .. } = rig.event() else { panic!("it may not be recovered") };
    rig.slot.tell(SlotEvent::LinkDown);
    rig.slot.up();
    rig.slot.tell(SlotEvent::LinkUp);
    rig.added();
    rig.finish();
}

#[test]
fn recov_4_a_link_that_stays_down_is_told_once_and_used_when_it_is_up() {
    fn options() -> Policy {
        let patience = Patience { link: Duration::from_millis(300), ..Patience::DEFAULT };
        Policy { patience, ..watched() }
    }
    let rig = Rig::new(options());
    let minor = rig.bus.devices::<Device>()[0].info().minor;
    rig.slot.down();
    rig.slot.tell(SlotEvent::LinkDown);
    rig.removed();
    match rig.event() {
        Event::LeftAlone { minor: Some(last), location, why: GivenUp::Link, helps } => {
            assert_eq!((last, &*location), (minor, "0000:01:00.0"));
            assert!(helps.contains(&Remedy::Reseat) && !helps.contains(&Remedy::Rebind), "{helps:?}");
        }
        other => panic!("expected to hear of the link, got {other:?}"),
    }
    rig.quiet(MOMENT);
    rig.slot.up();
    rig.slot.tell(SlotEvent::LinkUp);
    rig.added();
    rig.finish();
}

#[test]
fn recov_4_a_device_that_was_removed_while_its_link_was_down_is_told_as_removed() {
    let rig = Rig::new(watched());
    rig.slot.down();
    rig.slot.tell(SlotEvent::LinkDown);
    rig.slot.tell(SlotEvent::Absent);
    assert_eq!(rig.removed().loss, Loss::Unplugged);
    rig.quiet(MOMENT);
    rig.finish();
}

#[test]
fn life_8_a_loss_that_a_read_has_found_is_told_as_a_removal_when_the_slot_says_so() {
    let rig = Rig::new(watched());
    rig.slot.down();
    std::thread::sleep(Duration::from_millis(500));
    rig.slot.tell(SlotEvent::Absent);
    assert_eq!(rig.removed().loss, Loss::Unplugged);
    match rig.event() {
        // What was looked for in the meantime was not there.
        Event::ProbeFailed { error: ProbeError::NotReady(_), .. } => {}
        other => panic!("{other:?}"),
    }
    rig.quiet(MOMENT);
    rig.finish();
}

#[test]
fn recov_4_a_patience_without_end_is_one() {
    fn options() -> Policy {
        let most = Duration::MAX;
        Policy { patience: Patience { silent: most, retry: most, link: most, ..Patience::DEFAULT }, ..watched() }
    }
    let rig = Rig::new(options());
    rig.slot.tell(SlotEvent::LinkDown);
    rig.slot.down();
    std::thread::sleep(Duration::from_millis(100));
    rig.slot.up();
    rig.slot.tell(SlotEvent::LinkUp);
    assert_eq!(rig.removed().loss, Loss::LinkDown);
    rig.added();
    rig.finish();
}
