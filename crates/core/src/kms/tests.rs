//! Tests of the rules of a commit by hand, and of every order of events in short histories.

extern crate std;
use std::collections::BTreeSet;
use std::vec::Vec;

use core::time::Duration;

use super::*;
use crate::Timestamp;

const RATE: u32 = 60_000;
const LIMIT: Duration = Duration::from_secs(1);
const NOW: Timestamp = Timestamp::new(Duration::from_secs(100));
const LATE: Timestamp = NOW.plus(LIMIT);
const SMALL: Mode = Mode { width: 8, height: 8, refresh_millihertz: RATE };
const LARGE: Mode = Mode { width: 16, height: 8, refresh_millihertz: RATE };
/// Size of a buffer that holds the small framebuffer but not the large framebuffer.
const BYTES: u64 = 256;

fn modeset(mode: Mode) -> Request {
    let picture = Change::To(mode.picture_bytes());
    Request { mode: Change::To(mode), picture, allow_modeset: true, ..Request::default() }
}

fn flip() -> Request {
    Request { picture: Change::To(BYTES), event: true, ..Request::default() }
}

fn off() -> Request {
    Request { mode: Change::Off, picture: Change::Off, allow_modeset: true, ..Request::default() }
}

fn lit() -> Crtc<u32> {
    let mut crtc = Crtc::new(RATE, LIMIT);
    assert_eq!(crtc.commit(&modeset(SMALL), true, false, NOW, |_| 0), Ok(Next::Program(Program::Modeset(SMALL))));
    assert_eq!(crtc.programmed(), Some(0));
    crtc
}

#[test]
fn kms_2_what_a_commit_may_ask_for_is_judged_alike_with_and_without_a_device() {
    let no_modeset = |request: Request| Request { allow_modeset: false, ..request };
    let wrong_rate = Mode { refresh_millihertz: RATE + 1, ..SMALL };
    let empty = Mode { width: 0, ..SMALL };
    let cases = [
        (modeset(LARGE), Ok(())),
        (no_modeset(modeset(SMALL)), Ok(())),
        (no_modeset(modeset(LARGE)), Err(CommitError::NeedsModeset)),
        (no_modeset(off()), Err(CommitError::NeedsModeset)),
        (off(), Ok(())),
        (flip(), Ok(())),
        (Request::default(), Ok(())),
        (Request { picture: Change::To(BYTES - 1), ..flip() }, Err(CommitError::PictureTooSmall)),
        (Request { picture: Change::Keep, ..modeset(LARGE) }, Err(CommitError::PictureTooSmall)),
        (Request { picture: Change::Off, ..off() }, Ok(())),
        (Request { picture: Change::Keep, ..off() }, Err(CommitError::HalfOn)),
        (Request { mode: Change::Keep, ..off() }, Err(CommitError::HalfOn)),
        (modeset(wrong_rate), Err(CommitError::NoSuchMode)),
        (modeset(empty), Err(CommitError::NoSuchMode)),
    ];
    for lost in [false, true] {
        for (request, verdict) in cases {
            let mut crtc = lit();
            if lost {
                assert_eq!(crtc.lose(), None);
            }
            assert_eq!(crtc.check(&request), verdict, "{request:?}");
            assert_eq!(crtc.mode(), Some(SMALL), "a test changes nothing");
            assert_eq!(crtc.commit(&request, true, false, NOW, |_| 1).map(drop), verdict, "{request:?}");
        }
        let mut dark = Crtc::new(RATE, LIMIT);
        if lost {
            assert_eq!(dark.lose(), None);
        }
        assert_eq!(dark.commit(&flip(), true, false, NOW, |_| 1), Err(CommitError::Off));
        assert_eq!(dark.check(&Request { event: true, ..Request::default() }), Err(CommitError::Off));
        assert_eq!(dark.check(&Request::default()), Ok(()));
        assert_eq!(dark.check(&Request { picture: Change::Keep, ..modeset(SMALL) }), Err(CommitError::HalfOn));
        assert_eq!(dark.pending(), None);
    }
}

#[test]
fn a_change_keeps_turns_off_or_sets_a_property() {
    let changes = [Change::Keep, Change::Off, Change::To(4)];
    assert_eq!(changes.map(|change| change.apply(Some(3))), [Some(3), None, Some(4)]);
    assert_eq!(changes.map(|change| change.apply(None)), [None, None, Some(4)]);
    assert_eq!(changes.map(|change| change.map(|to| 2 * to)), [Change::Keep, Change::Off, Change::To(8)]);
}

#[test]
fn a_legacy_mode_set_of_the_same_mode_is_at_once() {
    let mut crtc = lit();
    let again = Request { at_once: true, ..modeset(SMALL) };
    assert_eq!(crtc.commit(&again, true, false, NOW, |_| 1), Ok(Next::Program(Program::Modeset(SMALL))));
    assert_eq!(crtc.programmed(), Some(1));
}

#[test]
fn a_mode_set_that_fails_changes_nothing() {
    let mut crtc = lit();
    assert_eq!(crtc.commit(&modeset(LARGE), true, false, NOW, |_| 1), Ok(Next::Program(Program::Modeset(LARGE))));
    assert_eq!((crtc.failed(), crtc.failed()), (Some(1), None));
    assert_eq!(crtc.mode(), Some(SMALL));
    assert_eq!(crtc.check(&flip()), Ok(()));
}

#[test]
fn health_5_a_mode_set_that_fails_after_a_loss_in_its_middle_changes_nothing() {
    let large = Some(LARGE);
    for (fails, other, expected) in
        [(true, false, Some(SMALL)), (false, false, large), (true, true, None), (false, true, None)]
    {
        let mut crtc = lit();
        let request = Request { at_once: true, ..modeset(LARGE) };
        assert_eq!(crtc.commit(&request, true, false, NOW, |_| 1), Ok(Next::Program(Program::Modeset(LARGE))));
        // Another thread reports the loss while the shell programs the hardware.
        assert_eq!((crtc.lose(), crtc.lose()), (Some(1), None));
        assert_eq!(crtc.mode(), large);
        if other {
            // The failure does not undo a later commit.
            assert_eq!(crtc.commit(&off(), false, false, NOW, |_| 2), Ok(Next::Complete(2)));
        }
        assert_eq!(if fails { crtc.failed() } else { crtc.programmed() }, None, "it is given back once");
        assert_eq!(crtc.mode(), expected, "fails: {fails}, other: {other}");
        assert_eq!((crtc.failed(), crtc.mode()), (None, expected));
    }
}

#[test]
fn a_caller_without_hardware_completes_at_once_and_the_others_go_on() {
    let mut crtc = lit();
    assert_eq!(crtc.commit(&flip(), false, true, NOW, |_| 1), Ok(Next::Complete(1)));
    assert_eq!(crtc.commit(&flip(), true, false, NOW, |_| 2), Ok(Next::Program(Program::Flip)));
    assert_eq!(crtc.programmed(), None);
    assert_eq!(crtc.commit(&flip(), false, false, NOW, |_| 3), Err(CommitError::Pending));
    assert_eq!(crtc.took_effect(), Some(2));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Commit(Request, bool),
    FenceDone,
    Programmed,
    Failed,
    TookEffect,
    NotShown,
    Supersede(Request, Timestamp),
    Lose,
}

/// One history: the commits accepted and ended so far, and the knowledge of a simple observer.
#[derive(Debug, Clone)]
struct World {
    crtc: Crtc<u32>,
    accepted: u32,
    ended: BTreeSet<u32>,
    /// Whether the hardware was told to flip and has not reported the flip.
    flipping: bool,
    lost: bool,
}

impl World {
    fn ends(&mut self, payload: Option<u32>) {
        if let Some(payload) = payload {
            assert!(self.ended.insert(payload), "{payload} ended twice");
        }
    }

    fn step(&mut self, step: Step) {
        let was_pending = self.crtc.pending().is_some();
        match step {
            Step::Commit(request, waits) => {
                let verdict = self.crtc.check(&request);
                let number = self.accepted;
                match self.crtc.commit(&request, true, waits, NOW, |_| number) {
                    Err(CommitError::Pending) => assert!(was_pending && verdict.is_ok()),
                    Err(error) => assert_eq!(verdict, Err(error)),
                    Ok(next) => {
                        assert!(!was_pending && verdict.is_ok());
                        self.accepted += 1;
                        match next {
                            Next::Program(_) => assert!(!waits && !self.lost),
                            Next::AwaitFence => assert!(waits && !self.lost),
                            Next::Complete(payload) => {
                                assert!(self.lost);
                                self.ends(Some(payload));
                            }
                        }
                    }
                }
            }
            Step::FenceDone => {
                let waited = self.crtc.awaits_fence().is_some();
                let program = self.crtc.fence_done();
                assert_eq!(program.is_some(), waited && !self.lost);
            }
            Step::Programmed => {
                let ended = self.crtc.programmed();
                self.flipping |= ended.is_none() && self.crtc.awaits_blank().is_some();
                self.ends(ended);
            }
            Step::Failed => {
                let ended = self.crtc.failed();
                self.ends(ended);
            }
            Step::TookEffect => {
                let ended = self.crtc.took_effect();
                assert_eq!(
                    ended.is_some(),
                    self.flipping,
                    "a flip ends when the hardware says so, and nothing else does"
                );
                self.flipping = false;
                self.ends(ended);
            }
            Step::NotShown => {
                let ended = self.crtc.not_shown();
                assert_eq!(ended.is_some(), self.flipping);
                self.flipping = false;
                self.ends(ended);
            }
            Step::Supersede(request, now) => {
                let yields = self.crtc.yields_to(&request, now);
                let ended = self.crtc.supersede(&request, now);
                assert_eq!(ended.is_some(), yields);
                assert!(!yields || self.crtc.check(&request).is_ok(), "it has made way for a request that is refused");
                self.flipping &= !yields;
                self.ends(ended);
            }
            Step::Lose => {
                let ended = self.crtc.lose();
                assert_eq!(ended.is_some(), was_pending);
                (self.lost, self.flipping) = (true, false);
                self.ends(ended);
            }
        }
        assert!(!self.lost || self.crtc.pending().is_none());
    }
}

#[test]
fn kms_3_every_accepted_commit_ends_exactly_once_in_every_order_of_events() {
    let mut steps = Vec::from([Step::FenceDone, Step::Programmed, Step::Failed, Step::TookEffect, Step::Lose]);
    let legacy = Request { at_once: true, ..modeset(LARGE) };
    steps.extend([Step::NotShown, Step::Supersede(legacy, NOW), Step::Supersede(off(), LATE)]);
    for request in [modeset(SMALL), modeset(LARGE), flip(), off()] {
        steps.extend([Step::Commit(request, false), Step::Commit(request, true)]);
    }
    let crtc = Crtc::new(RATE, LIMIT);
    let mut worlds = Vec::from([World { crtc, accepted: 0, ended: BTreeSet::new(), flipping: false, lost: false }]);
    let mut histories = 0;
    for _ in 0..5 {
        let mut next = Vec::new();
        for world in &worlds {
            for step in &steps {
                let mut world = world.clone();
                world.step(*step);
                histories += 1;
                let mut end = world.clone();
                end.step(Step::Lose);
                end.step(Step::Lose);
                assert_eq!(end.ended.len(), end.accepted as usize, "each ended");
                next.push(world);
            }
        }
        worlds = next;
    }
    assert!(histories > 200_000, "{histories}");
}

#[test]
fn kms_5_a_mode_set_gets_through_and_what_it_ends_has_changed_nothing() {
    let keeps = Request { mode: Change::To(SMALL), picture: Change::Keep, allow_modeset: true, ..Request::default() };
    let legacy = |request: Request| Request { at_once: true, ..request };
    for waits in [false, true] {
        let pending = || {
            let mut crtc = lit();
            assert!(crtc.commit(&Request { picture: Change::To(512), ..flip() }, true, waits, NOW, |_| 1).is_ok());
            crtc.programmed();
            crtc
        };
        for request in [modeset(LARGE), off()] {
            // A legacy call, at any time.
            let mut crtc = pending();
            assert_eq!(crtc.supersede(&legacy(request), NOW), Some(1));
            assert_eq!(crtc.pending(), None);
            assert!(matches!(crtc.commit(&legacy(request), true, false, NOW, |_| 2), Ok(Next::Program(_))));
            // An atomic commit, past the limit.
            let mut crtc = pending();
            assert_eq!(crtc.supersede(&request, NOW), None);
            assert_eq!(crtc.commit(&request, true, false, NOW, |_| 2), Err(CommitError::Pending));
            assert_eq!(crtc.supersede(&request, LATE), Some(1));
        }
        // All other requests wait, even past the limit: a flip, a request without a change, and
        // requests that are refused.
        let too_large = Mode { height: 64, ..LARGE };
        let grows = Request { mode: Change::To(LARGE), ..keeps };
        for request in [flip(), Request::default(), keeps, Request { mode: Change::To(too_large), ..keeps }, grows] {
            let mut crtc = pending();
            assert_eq!(crtc.supersede(&request, LATE), None, "{request:?}");
            assert!(crtc.pending().is_some());
        }
    }
}

#[test]
fn kms_5_a_flip_that_is_not_shown_leaves_what_was_set_before() {
    let mut crtc = lit();
    assert_eq!(crtc.not_shown(), None);
    let larger = Request { picture: Change::To(512), ..flip() };
    assert_eq!(crtc.commit(&larger, true, false, NOW, |_| 1), Ok(Next::Program(Program::Flip)));
    assert_eq!(crtc.not_shown(), None, "it is not even asked for");
    assert_eq!(crtc.programmed(), None);
    assert_eq!((crtc.not_shown(), crtc.not_shown()), (Some(1), None));
    let grows = Request { mode: Change::To(LARGE), picture: Change::Keep, ..modeset(LARGE) };
    assert_eq!(crtc.check(&grows), Err(CommitError::PictureTooSmall), "the larger picture was kept");
}
