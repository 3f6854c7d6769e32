//! The CRTC: its state, and the one commit that is under way.

use core::time::Duration;

use super::{Change, CommitError, Mode, Request};
use crate::Timestamp;

/// Programming of the hardware for a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Show the other picture from the next vertical blank on. The hardware says when: [`Crtc::took_effect`].
    Flip,
    /// Set this mode with its picture, at once.
    Modeset(Mode),
    /// Turn the display off.
    TurnOff,
    /// Leave the display off.
    Nothing,
}

/// The next step of a commit that was accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<P> {
    /// Program the hardware now; then call [`Crtc::programmed`].
    Program(Program),
    /// Wait for its fence; then call [`Crtc::fence_done`].
    AwaitFence,
    /// The commit has ended: there is no hardware any more.
    Complete(P),
}

/// Progress of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The commit waits for the job that paints its picture.
    AwaitsFence,
    /// The shell programs the hardware.
    IsProgrammed,
    /// The hardware flips at the next vertical blank.
    AwaitsBlank,
}

/// A mode and the bytes of the buffer that is shown with it.
type Setting = (Mode, u64);

#[derive(Debug, Clone)]
struct Pending<P> {
    payload: P,
    stage: Stage,
    program: Program,
    /// The state before the commit.
    before: Option<Setting>,
    /// The time at which it was accepted.
    since: Timestamp,
}

/// What was set before a commit.
#[derive(Debug, Clone, Copy)]
struct Before(Option<Setting>);

/// The CRTC. `P` is what the shell keeps for a commit: its fence, its event, its buffer. It comes back exactly once.
#[derive(Debug, Clone)]
pub struct Crtc<P> {
    refresh_millihertz: u32,
    /// The state accepted last; `None` while off.
    set: Option<Setting>,
    pending: Option<Pending<P>>,
    lost: bool,
    /// What was set before a commit that was given back by a loss while the shell programmed it; until the shell says how
    /// that went, or another commit is accepted.
    lost_midway: Option<Before>,
    /// Time for which a pending commit keeps mode sets waiting.
    limit: Duration,
}

impl<P> Crtc<P> {
    /// A CRTC that is off, with a screen of any size and this refresh rate. A commit that is pending for longer than
    /// `limit` keeps no mode set waiting: [`Crtc::yields_to`].
    pub const fn new(refresh_millihertz: u32, limit: Duration) -> Self {
        Self { refresh_millihertz, set: None, pending: None, lost: false, lost_midway: None, limit }
    }

    /// The mode, as of the commit that was accepted last. Stays after loss.
    pub const fn mode(&self) -> Option<Mode> {
        match self.set {
            Some((mode, _)) => Some(mode),
            None => None,
        }
    }

    /// Tests whether this commit would be accepted if none was pending. Changes nothing: the test-only commit.
    ///
    /// # Errors
    /// Each [`CommitError`] but [`CommitError::Pending`].
    pub fn check(&self, request: &Request) -> Result<(), CommitError> {
        self.plan(self.set, request).map(drop)
    }

    /// The state and the programming that this request leads to.
    fn plan(&self, set: Option<Setting>, request: &Request) -> Result<(Option<Setting>, Program), CommitError> {
        let before = set.map(|(mode, _)| mode);
        let mode = request.mode.apply(before);
        let bytes = request.picture.apply(set.map(|(_, bytes)| bytes));
        let (mode, bytes) = match (mode, bytes) {
            (Some(mode), Some(bytes)) => (mode, bytes),
            (None, None) => return Self::plan_off(set, request),
            // A flip.
            (None, Some(_)) if before.is_none() && request.mode == Change::Keep => return Err(CommitError::Off),
            _ => return Err(CommitError::HalfOn),
        };
        if mode.width == 0 || mode.height == 0 || mode.refresh_millihertz != self.refresh_millihertz {
            return Err(CommitError::NoSuchMode);
        }
        if bytes < mode.picture_bytes() {
            return Err(CommitError::PictureTooSmall);
        }
        let changes = before != Some(mode);
        if changes && !request.allow_modeset {
            return Err(CommitError::NeedsModeset);
        }
        let program = if changes || request.at_once { Program::Modeset(mode) } else { Program::Flip };
        Ok((Some((mode, bytes)), program))
    }

    fn plan_off(set: Option<Setting>, request: &Request) -> Result<(Option<Setting>, Program), CommitError> {
        match (set.is_some(), request.allow_modeset, request.event) {
            (true, true, _) => Ok((None, Program::TurnOff)),
            (true, false, _) => Err(CommitError::NeedsModeset),
            // Nothing is ever reported while it is off.
            (false, _, true) => Err(CommitError::Off),
            (false, _, false) => Ok((None, Program::Nothing)),
        }
    }

    /// Accepts a commit, or refuses it. `live` says whether the caller may use the hardware; `waits`, whether the fence
    /// of the commit is pending. `payload` is asked for only when the commit is accepted, with the mode that will be.
    ///
    /// After loss nothing is programmed and nothing is waited for: what would be accepted succeeds (KMS-2).
    ///
    /// # Errors
    /// Each [`CommitError`].
    pub fn commit(
        &mut self,
        request: &Request,
        live: bool,
        waits: bool,
        now: Timestamp,
        payload: impl FnOnce(Option<Mode>) -> P,
    ) -> Result<Next<P>, CommitError> {
        let (set, program) = self.plan(self.set, request)?;
        if self.pending.is_some() {
            return Err(CommitError::Pending);
        }
        let before = core::mem::replace(&mut self.set, set);
        self.lost_midway = None;
        let payload = payload(self.mode());
        if self.lost || !live {
            return Ok(Next::Complete(payload));
        }
        let (stage, next) =
            if waits { (Stage::AwaitsFence, Next::AwaitFence) } else { (Stage::IsProgrammed, Next::Program(program)) };
        self.pending = Some(Pending { payload, stage, program, before, since: now });
        Ok(next)
    }

    /// Tells whether this request is a mode set or a turn-off that the pending commit must not keep waiting (KMS-5): the legacy
    /// call never waits; an atomic commit waits while the pending one is within the limit.
    pub fn yields_to(&self, request: &Request, now: Timestamp) -> bool {
        let Some(pending) = self.pending.as_ref().filter(|pending| pending.stage != Stage::IsProgrammed) else {
            return false;
        };
        let waits_no_longer = request.at_once || pending.since.plus(self.limit) <= now;
        // The request will be judged against the state before the pending one.
        let program = self.plan(pending.before, request).map(|(_, program)| program);
        waits_no_longer && matches!(program, Ok(Program::Modeset(_) | Program::TurnOff))
    }

    /// Gives the pending commit back for a request that it [yields to](Crtc::yields_to), which is to be committed next. It
    /// has not taken effect, so what was set before is set.
    pub fn supersede(&mut self, request: &Request, now: Timestamp) -> Option<P> {
        if self.yields_to(request, now) {
            self.undo()
        } else {
            None
        }
    }

    /// The fence of the pending commit has signalled, however. Says how to program the hardware; `None` if no commit
    /// waits for one.
    pub fn fence_done(&mut self) -> Option<Program> {
        let pending = self.pending.as_mut().filter(|pending| pending.stage == Stage::AwaitsFence)?;
        pending.stage = Stage::IsProgrammed;
        Some(pending.program)
    }

    /// The hardware was programmed. Gives the commit back if that was all there is to it; a flip takes effect later. Gives
    /// nothing if the device was lost meanwhile.
    pub fn programmed(&mut self) -> Option<P> {
        self.lost_midway = None;
        let pending = self.pending.as_mut().filter(|pending| pending.stage == Stage::IsProgrammed)?;
        if pending.program == Program::Flip {
            pending.stage = Stage::AwaitsBlank;
            return None;
        }
        self.end()
    }

    /// Instead of [`Crtc::programmed`], for who says that it failed: gives the commit back, and what was set before stays. The
    /// latter also if the device was lost meanwhile, and the commit given back by that.
    pub fn failed(&mut self) -> Option<P> {
        if let Some(Before(before)) = self.lost_midway.take() {
            self.set = before;
        }
        self.pending.as_ref().filter(|pending| pending.stage == Stage::IsProgrammed)?;
        self.undo()
    }

    /// Reports that the hardware has flipped.
    pub fn took_effect(&mut self) -> Option<P> {
        self.awaits_blank()?;
        self.end()
    }

    /// Instead of [`Crtc::took_effect`]: the flip has not taken effect and will not. What was set before stays.
    pub fn not_shown(&mut self) -> Option<P> {
        self.awaits_blank()?;
        self.undo()
    }

    /// The device is lost: gives the pending commit back, however far it is. From now on commits complete at once.
    pub fn lose(&mut self) -> Option<P> {
        self.lost = true;
        let midway = self.pending.as_ref().filter(|pending| pending.stage == Stage::IsProgrammed);
        if let Some(pending) = midway {
            self.lost_midway = Some(Before(pending.before));
        }
        self.end()
    }

    /// Tells whether the device is lost.
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// The commit that is under way.
    pub fn pending(&self) -> Option<&P> {
        self.pending.as_ref().map(|pending| &pending.payload)
    }

    /// The same, if it waits for its fence.
    pub fn awaits_fence(&self) -> Option<&P> {
        self.at(Stage::AwaitsFence)
    }

    /// The same, if the hardware was given a flip that may not have taken effect.
    pub fn awaits_blank(&self) -> Option<&P> {
        self.at(Stage::AwaitsBlank)
    }

    fn at(&self, wanted: Stage) -> Option<&P> {
        self.pending.as_ref().filter(|pending| pending.stage == wanted).map(|pending| &pending.payload)
    }

    /// Ends the commit without a change of the state.
    fn undo(&mut self) -> Option<P> {
        let pending = self.pending.take()?;
        self.set = pending.before;
        Some(pending.payload)
    }

    fn end(&mut self) -> Option<P> {
        self.pending.take().map(|pending| pending.payload)
    }
}
