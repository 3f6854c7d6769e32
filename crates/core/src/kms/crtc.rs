//! The CRTC: its state, and the pending commit.

use core::time::Duration;

use super::{Change, CommitError, Mode, Request};
use crate::Timestamp;

/// Instruction to program the hardware for a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Show another framebuffer from the next vertical blank on. The shell reports the blank with
    /// [`Crtc::took_effect`].
    Flip,
    /// Set this mode and its framebuffer at once.
    Modeset(Mode),
    /// Turn the display off.
    TurnOff,
    /// Leave the display off.
    Nothing,
}

/// Next step of an accepted commit.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<P> {
    /// Program the hardware now, then call [`Crtc::programmed`].
    Program(Program),
    /// Wait for the fence of the commit, then call [`Crtc::fence_done`].
    AwaitFence,
    /// The commit has ended, because the hardware is lost.
    Complete(P),
}

/// Progress of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The commit waits for the job that renders its framebuffer.
    AwaitsFence,
    /// The shell is programming the hardware.
    IsProgrammed,
    /// The hardware flips at the next vertical blank.
    AwaitsBlank,
}

/// A mode, and the size in bytes of the buffer that is shown in this mode.
type Setting = (Mode, u64);

#[derive(Debug, Clone)]
struct Pending<P> {
    payload: P,
    stage: Stage,
    program: Program,
    /// Setting before the commit.
    before: Option<Setting>,
    /// Time at which the commit was accepted.
    since: Timestamp,
}

/// Setting before a commit.
#[derive(Debug, Clone, Copy)]
struct Before(Option<Setting>);

/// State of the CRTC. `P` is what the shell keeps for a commit: its fence, its event and its
/// buffer. The payload of an accepted commit is returned exactly once.
#[derive(Debug, Clone)]
pub struct Crtc<P> {
    refresh_millihertz: u32,
    /// Setting of the last accepted commit, or `None` while the CRTC is off.
    set: Option<Setting>,
    pending: Option<Pending<P>>,
    lost: bool,
    /// Setting before a commit that a loss has ended while the shell was programming the hardware.
    /// Kept until the shell reports the result, or another commit is accepted.
    lost_midway: Option<Before>,
    /// Time after which a pending commit must give way to a mode set.
    limit: Duration,
}

impl<P> Crtc<P> {
    /// Creates a CRTC that is off. Its screen accepts any size and this refresh rate. A commit that
    /// has been pending for longer than `limit` gives way to mode sets, as [`Crtc::yields_to`]
    /// describes.
    pub const fn new(refresh_millihertz: u32, limit: Duration) -> Self {
        Self { refresh_millihertz, set: None, pending: None, lost: false, lost_midway: None, limit }
    }

    /// Returns the mode of the last accepted commit. A loss of the device does not change the mode.
    pub const fn mode(&self) -> Option<Mode> {
        match self.set {
            Some((mode, _)) => Some(mode),
            None => None,
        }
    }

    /// Tests whether a commit would be accepted, without changing anything. A pending commit is
    /// ignored.
    ///
    /// # Errors
    /// Each [`CommitError`] except [`CommitError::Pending`].
    pub fn check(&self, request: &Request) -> Result<(), CommitError> {
        self.plan(self.set, request).map(drop)
    }

    /// Returns the setting and the programming that a request leads to from the setting `set`.
    fn plan(&self, set: Option<Setting>, request: &Request) -> Result<(Option<Setting>, Program), CommitError> {
        let before = set.map(|(mode, _)| mode);
        let mode = request.mode.apply(before);
        let bytes = request.picture.apply(set.map(|(_, bytes)| bytes));
        let (mode, bytes) = match (mode, bytes) {
            (Some(mode), Some(bytes)) => (mode, bytes),
            (None, None) => return Self::plan_off(set, request),
            // This request is a flip.
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
            // A CRTC that is off never reports an event.
            (false, _, true) => Err(CommitError::Off),
            (false, _, false) => Ok((None, Program::Nothing)),
        }
    }

    /// Accepts or refuses a commit. `live` says whether the caller may use the hardware, and
    /// `waits` whether the fence of the commit is pending. `payload` is called only for an accepted
    /// commit, with the new mode.
    ///
    /// After a loss the hardware is not programmed and the fence is not awaited: a commit that
    /// would be accepted completes at once (KMS-2).
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

    /// Tells whether the pending commit must give way to this request (KMS-5). It gives way only to
    /// mode sets and to requests that turn the display off: at once to a legacy call, and after the
    /// limit to an atomic commit.
    pub fn yields_to(&self, request: &Request, now: Timestamp) -> bool {
        let Some(pending) = self.pending.as_ref().filter(|pending| pending.stage != Stage::IsProgrammed) else {
            return false;
        };
        let waits_no_longer = request.at_once || pending.since.plus(self.limit) <= now;
        // If the pending commit gives way, the request is judged against the setting before it.
        let program = self.plan(pending.before, request).map(|(_, program)| program);
        waits_no_longer && matches!(program, Ok(Program::Modeset(_) | Program::TurnOff))
    }

    /// Returns the payload of the pending commit if the commit [gives way](Crtc::yields_to) to
    /// `request`, which the caller must commit next. The superseded commit has not taken effect, so
    /// the earlier setting is restored.
    pub fn supersede(&mut self, request: &Request, now: Timestamp) -> Option<P> {
        if self.yields_to(request, now) {
            self.undo()
        } else {
            None
        }
    }

    /// Reports that the fence of the pending commit has signalled, with or without an error.
    /// Returns how to program the hardware, or `None` if no commit waits for a fence.
    pub fn fence_done(&mut self) -> Option<Program> {
        let pending = self.pending.as_mut().filter(|pending| pending.stage == Stage::AwaitsFence)?;
        pending.stage = Stage::IsProgrammed;
        Some(pending.program)
    }

    /// Reports that the hardware was programmed. Returns the payload if the commit has ended.
    /// Returns `None` for a flip, which takes effect later, and if the device was lost meanwhile.
    pub fn programmed(&mut self) -> Option<P> {
        self.lost_midway = None;
        let pending = self.pending.as_mut().filter(|pending| pending.stage == Stage::IsProgrammed)?;
        if pending.program == Program::Flip {
            pending.stage = Stage::AwaitsBlank;
            return None;
        }
        self.end()
    }

    /// Reports that the hardware could not be programmed. Returns the payload of the commit, and
    /// restores the earlier setting. The setting is also restored if a loss has ended the commit
    /// meanwhile.
    pub fn failed(&mut self) -> Option<P> {
        if let Some(Before(before)) = self.lost_midway.take() {
            self.set = before;
        }
        self.pending.as_ref().filter(|pending| pending.stage == Stage::IsProgrammed)?;
        self.undo()
    }

    /// Reports that the hardware has flipped, and returns the payload of the commit.
    pub fn took_effect(&mut self) -> Option<P> {
        self.awaits_blank()?;
        self.end()
    }

    /// Reports that the flip has not taken effect and never will. Returns the payload of the commit
    /// and restores the earlier setting.
    pub fn not_shown(&mut self) -> Option<P> {
        self.awaits_blank()?;
        self.undo()
    }

    /// Reports the loss of the device. Returns the payload of the pending commit at any stage.
    /// Later commits complete at once.
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

    /// Returns the payload of the pending commit.
    pub fn pending(&self) -> Option<&P> {
        self.pending.as_ref().map(|pending| &pending.payload)
    }

    /// Returns the payload of the pending commit if the commit waits for its fence.
    pub fn awaits_fence(&self) -> Option<&P> {
        self.at(Stage::AwaitsFence)
    }

    /// Returns the payload of the pending commit if its flip was passed to the hardware and may not
    /// have taken effect.
    pub fn awaits_blank(&self) -> Option<&P> {
        self.at(Stage::AwaitsBlank)
    }

    fn at(&self, wanted: Stage) -> Option<&P> {
        self.pending.as_ref().filter(|pending| pending.stage == wanted).map(|pending| &pending.payload)
    }

    /// Ends the commit and restores the earlier setting.
    fn undo(&mut self) -> Option<P> {
        let pending = self.pending.take()?;
        self.set = pending.before;
        Some(pending.payload)
    }

    fn end(&mut self) -> Option<P> {
        self.pending.take().map(|pending| pending.payload)
    }
}
