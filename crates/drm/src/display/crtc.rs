//! What is shown, and the commit that is under way.

use std::mem;

use lifeboat::{CallError, Fence, Link, Outcome};
use lifeboat_core::class::Refusal;
use lifeboat_core::kms::{Mode, Next, Program, Request};
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu::{Picture, Scanout};
use lifeboat_sync::lint::MutexGuard;

use super::events::Promise;
use super::vblank::Waits;
use super::{Display, DisplayState, Ended, Owed};
use crate::pixels::Pixels;
use crate::turns::Turn;

/// A buffer on the plane, and how it is shown.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) pixels: Pixels,
    pub(super) mode: Mode,
}

/// What a commit keeps until it has ended.
pub(super) struct Pending {
    pub(super) owed: Owed,
    /// For those who wait for their turn.
    pub(super) fence: Fence,
    /// What will be shown; nothing if the display is turned off, or lost.
    pub(super) frame: Option<Frame>,
    /// What paints it.
    in_fence: Option<Fence>,
    /// How it has ended, once it has.
    pub(super) outcome: Outcome,
}

/// A commit, as it is handed to the CRTC.
pub(super) struct Wish {
    pub(super) request: Request,
    /// What the plane is set to, if that changes.
    pub(super) picture: Option<Pixels>,
    pub(super) in_fence: Option<Fence>,
    pub(super) event: Option<Promise>,
}

/// What became of a commit for now.
pub(super) struct Accepted {
    /// Signals when it has ended.
    pub(super) fence: Fence,
    /// What it waits for before the hardware hears of it.
    pub(super) awaits: Option<Fence>,
    /// What the hardware said when it was told.
    pub(super) told: Result<(), DriverError>,
}

impl Frame {
    pub(super) fn picture(&self) -> Picture {
        let Mode { width, height, .. } = self.mode;
        Picture { offset: self.pixels.offset, width, height }
    }

    /// Has the hardware show this at once.
    pub(super) fn show<S: Scanout>(&self, link: &Link) -> Result<(), DriverError> {
        link.io(|io| S::show(io, self.picture()))
    }

    /// Has the hardware show this from the next vertical blank on.
    pub(super) fn flip<S: Scanout>(&self, link: &Link) -> Result<(), DriverError> {
        link.io(|io| S::flip(io, self.pixels.offset))
    }
}

impl<S: Scanout> Display<S> {
    /// Commits, if that is possible now. `link` is given by who holds a section in which the hardware stays.
    pub(super) fn commit(&self, link: Option<&Link>, wish: Wish) -> Result<Accepted, CallError> {
        let Wish { request, picture, in_fence, event } = wish;
        let in_fence = in_fence.filter(|fence| fence.status().is_none());
        // If the device is lost before the turn comes, this is a commit without hardware.
        let way = link.and_then(|link| Some((link, self.turns.take()?)));
        let superseded = way.as_ref().and_then(|(link, turn)| self.make_way(link, turn, &request));
        let mut state = self.lock();
        let refuse = |state: MutexGuard<'_, DisplayState>, superseded, error: CallError| {
            let ended = Ended { superseded, ..state.nothing_ended() };
            drop(state);
            ended.answer();
            Err(error)
        };
        let lost = state.crtc.is_lost() || way.is_none();
        if lost && request.at_once {
            drop(way);
            return refuse(state, superseded, Refusal::Gone.into());
        }
        let now = state.silences.now();
        let DisplayState { crtc, shown, replaced, .. } = &mut *state;
        let awaits = in_fence.clone();
        let mut known = None;
        let next = crtc.commit(&request, way.is_some(), in_fence.is_some(), now, |mode| {
            let (fence, owed) = Owed::new(&self.flips, event);
            known = Some(fence.clone());
            // Nothing is kept for hardware that is gone.
            let kept = picture.or_else(|| shown.as_ref().map(|shown| shown.pixels.clone()));
            let frame = mode.filter(|_| !lost).and_then(|mode| Some(Frame { pixels: kept?, mode }));
            Pending { owed, fence, frame, in_fence, outcome: Ok(()) }
        });
        let next = match next {
            Ok(next) => next,
            Err(error) => {
                drop(way);
                return refuse(state, superseded, error.into());
            }
        };
        let flipped = replaced.take();
        let nothing = state.nothing_ended();
        drop(state);
        let gone = Err(DriverError::Gone);
        let (mut ended, awaits, told) = match (next, way) {
            (Next::Program(program), Some((link, turn))) => {
                let (ended, told) = self.program(link, &turn, program, request.at_once);
                (ended, None, told)
            }
            (Next::AwaitFence, _) => (nothing, awaits, Ok(())),
            (Next::Complete(commit), _) => (Ended { commit: Some(commit), ..nothing }, None, gone),
            // Without hardware a commit is complete.
            (Next::Program(_), None) => (nothing, None, gone),
        };
        ended.superseded = superseded;
        // What this commit has replaced at once must be free when it returns: perhaps nobody asks for anything any more.
        let unused = (flipped, self.lock().replaced.take());
        drop(unused);
        ended.answer();
        // It was asked for: it was accepted.
        let fence = known.unwrap_or_else(|| Fence::signalled(Ok(())));
        Ok(Accepted { fence, awaits, told })
    }

    /// Programs the commit that waited for a fence, if that has signalled, however it ended: to show a picture that was
    /// not painted is better than a screen that stands still. In a section of the gate; when the device is gone there is
    /// nothing to do, and the unplug answers (GATE-8). `false` if another thread has the turn.
    pub(super) fn resume(&self, link: &Link) -> bool {
        let mut state = self.lock();
        let unused = state.replaced.take();
        let fence = state.crtc.awaits_fence().and_then(|commit| commit.in_fence.as_ref());
        let ready = fence.is_some_and(|fence| fence.status().is_some());
        drop(state);
        drop(unused);
        if !ready {
            return true;
        }
        let Some(turn) = self.turns.try_take() else { return self.turns.are_closed() };
        let Some(_section) = link.enter_gate() else { return true };
        // Another commit may have taken its place, and may wait for a fence of its own.
        let mut state = self.lock();
        let fence = state.crtc.awaits_fence().and_then(|commit| commit.in_fence.as_ref());
        let ready = fence.is_some_and(|fence| fence.status().is_some());
        let program = if ready { state.crtc.fence_done() } else { None };
        drop(state);
        let Some(program) = program else { return true };
        // If it could not be told, the device is gone.
        let (ended, _) = self.program(link, &turn, program, false);
        drop(turn);
        let unused = self.lock().replaced.take();
        drop(unused);
        ended.answer();
        true
    }

    /// Whether a commit of this would be accepted if none was under way.
    pub(super) fn check(&self, request: &Request) -> Result<(), CallError> {
        Ok(self.lock().crtc.check(request)?)
    }

    /// The fence of the commit that is under way.
    pub(super) fn pending(&self) -> Option<Fence> {
        self.lock().crtc.pending().map(|commit| commit.fence.clone())
    }
}

impl<S: Scanout> Display<S> {
    /// Tells the hardware of the commit, whose turn it is. Says what has ended by that, and what the hardware said. If
    /// that is an error the device is gone: `may_fail` says whether the commit fails then, or pretends.
    fn program(
        &self,
        link: &Link,
        turn: &Turn<'_>,
        program: Program,
        may_fail: bool,
    ) -> (Ended, Result<(), DriverError>) {
        let frame = self.lock().crtc.pending().and_then(|commit| commit.frame.clone());
        let told = tell::<S>(link, program, frame.as_ref());
        let mut state = self.lock();
        if let Ok(counts) = &told {
            state.note(counts);
        }
        // If the device was lost meanwhile, the commit has been answered, and this gives none.
        let commit = match told {
            Err(_) if may_fail => state.crtc.failed(),
            _ => state.crtc.programmed().map(|commit| state.shows(commit)),
        };
        let mut ended = Ended { commit, ..state.nothing_ended() };
        match program {
            Program::Flip => {
                let now = state.silences.now();
                state.silences.flip.begun(now);
                state.expect();
            }
            Program::TurnOff => {
                // No blank comes any more.
                ended.waits = mem::take(&mut state.waits);
                drop(state);
                self.rest(link, turn);
            }
            Program::Modeset(_) | Program::Nothing => {}
        }
        (ended, told.map(drop))
    }
}

/// What the hardware's counter of vertical blanks said around a commit.
#[derive(Default)]
struct Counts {
    /// Before a mode set or a turn-off.
    before: Option<u32>,
    /// Whether it counts anew since then.
    restarted: bool,
    /// After a mode set.
    after: Option<u32>,
}

/// Tells the hardware.
fn tell<S: Scanout>(link: &Link, program: Program, frame: Option<&Frame>) -> Result<Counts, DriverError> {
    match (program, frame) {
        (Program::Flip, Some(frame)) => frame.flip::<S>(link).map(|()| Counts::default()),
        (Program::Modeset(_), Some(frame)) => {
            let before = link.io(S::vblank_count)?;
            frame.show::<S>(link)?;
            let after = link.io(S::vblank_count).ok();
            Ok(Counts { before: Some(before), restarted: true, after })
        }
        (Program::TurnOff, _) => {
            let before = link.io(|io| {
                let count = S::vblank_count(io)?;
                S::turn_off(io)?;
                Ok(count)
            })?;
            Ok(Counts { before: Some(before), ..Counts::default() })
        }
        (Program::Nothing, _) | (_, None) => Ok(Counts::default()),
    }
}

impl DisplayState {
    pub(super) fn nothing_ended(&self) -> Ended {
        Ended {
            superseded: None,
            commit: None,
            waits: Waits::default(),
            waits_end: Ok(()),
            sequence: self.vblanks.count(),
        }
    }

    fn note(&mut self, counts: &Counts) {
        if let Some(before) = counts.before {
            self.vblanks.observe(before);
        }
        if counts.restarted {
            self.vblanks.restarted();
        }
        // Unless its counter stands still: then no blank has come.
        if let Some(after) = counts.after {
            self.vblanks.continued_from(after);
        }
    }

    /// The flip on its way has taken effect.
    pub(super) fn flipped(&mut self) -> Option<Pending> {
        let commit = self.crtc.took_effect()?;
        Some(self.shows(commit))
    }

    /// The commit's picture is what is shown now.
    fn shows(&mut self, mut commit: Pending) -> Pending {
        self.replaced = mem::replace(&mut self.shown, commit.frame.take());
        commit
    }
}
