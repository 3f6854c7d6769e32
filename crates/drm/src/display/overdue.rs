//! What the hardware does not report ends all the same (KMS-5).
//!
//! The worker alone judges, in its round, after a look at the hardware that began past the limit; the limits are
//! [`lifeboat_core::kms::Silence`]'s. First the display is turned off and on, which shows the picture of a stuck flip at
//! once: if the hardware then says that this is what it shows, the flip has taken effect, late. Otherwise it has failed,
//! and what was shown before is shown again. Who waits for a vertical blank waits for as long once more, and fails if
//! none comes then.

use std::mem;
use std::time::{Duration, Instant};

use lifeboat::Link;
use lifeboat_core::Timestamp;
use lifeboat_core::fence::FenceError;
use lifeboat_core::kms::{Request, Silence, Verdict};
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu::Scanout;

use super::crtc::Pending;
use super::{Display, DisplayState, INTERRUPT_LIMIT};
use crate::turns::Turn;

/// How long reports have been awaited, by kind.
pub(super) struct Silences {
    pub(super) flip: Silence,
    pub(super) blank: Silence,
    /// The beginning of their time.
    epoch: Instant,
}

impl Silences {
    pub(super) fn new(limit: Duration) -> Self {
        Self { flip: Silence::new(limit), blank: Silence::new(limit), epoch: Instant::now() }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::new(self.epoch.elapsed())
    }

    /// When to look at the hardware next: soon, for an interrupt may have been lost; and at the latest when something
    /// is overdue, however often interrupts of other kinds come.
    pub(super) fn next_look(&self) -> Instant {
        let soon = Instant::now() + INTERRUPT_LIMIT;
        let due = [self.flip.next_deadline(), self.blank.next_deadline()].into_iter().flatten().min();
        due.and_then(|due| self.epoch.checked_add(due.since_beginning())).map_or(soon, |due| due.min(soon))
    }

    /// The device was reset as a whole, and asked again.
    pub(super) fn asked_again(&mut self) {
        let now = self.now();
        self.flip.asked_again(now);
        self.blank.asked_again(now);
    }
}

impl<S: Scanout> Display<S> {
    /// Ends what is overdue. The hardware has been looked at since `looked_at`, and has not reported it. `false` if
    /// another thread has the turn.
    pub(super) fn judge(&self, link: &Link, looked_at: Timestamp) -> bool {
        let in_time = (Verdict::InTime, Verdict::InTime);
        if self.lock().verdicts(looked_at) == in_time {
            return true;
        }
        let Some(turn) = self.turns.try_take() else { return self.turns.are_closed() };
        // Once more: it may have ended in another thread's turn.
        let state = self.lock();
        let (flip, blank) = state.verdicts(looked_at);
        let mut ended = state.nothing_ended();
        drop(state);
        if (flip, blank) == in_time {
            return true;
        }
        // If the device is gone, the unplug answers (GATE-8).
        let section = link.enter_gate().filter(|_| !link.is_lost());
        if section.is_some() {
            if blank == Verdict::GiveUp {
                ended.waits = mem::take(&mut self.lock().waits);
                ended.waits_end = Err(FenceError::TimedOut);
            }
            if flip != Verdict::InTime || blank == Verdict::Reset {
                ended.commit = self.reset(link, &turn);
            }
        }
        let failed = ended.commit.as_ref().is_some_and(|commit| commit.outcome.is_err());
        if failed {
            // What was shown before. If this fails too, the display shows what it likes.
            let _ = self.show_anew(link, &turn);
        }
        self.rest(link, &turn);
        if section.is_none() || link.is_lost() {
            // Until the unplug comes there is nothing to look at.
            let mut state = self.lock();
            state.ask_at = state.ask_at.map(|_| Instant::now() + INTERRUPT_LIMIT);
        }
        drop(turn);
        tracing::warn!(?flip, ?blank, failed, "the display did not report in time");
        drop(section);
        ended.answer();
        true
    }

    /// Turns the display off and on with the picture that is to be shown. Gives the flip that was on its way, with its
    /// outcome.
    fn reset(&self, link: &Link, turn: &Turn<'_>) -> Option<Pending> {
        let shown = match self.show_anew(link, turn) {
            // The unplug follows, and answers.
            Err(DriverError::Gone) => return None,
            shown => shown.unwrap_or(false),
        };
        let mut state = self.lock();
        let now = state.silences.now();
        state.silences.blank.reset_done(now);
        if shown {
            return state.flipped();
        }
        let mut commit = state.crtc.not_shown()?;
        commit.outcome = Err(FenceError::TimedOut);
        Some(commit)
    }

    /// Has the hardware show the picture of the flip on its way, or else what was shown. Says whether it does.
    fn show_anew(&self, link: &Link, _: &Turn<'_>) -> Result<bool, DriverError> {
        let state = self.lock();
        let next = state.crtc.awaits_blank().and_then(|commit| commit.frame.as_ref());
        let frame = next.or(state.shown.as_ref()).cloned();
        drop(state);
        let Some(frame) = frame else { return Ok(false) };
        frame.show::<S>(link)?;
        let wanted = frame.pixels.offset;
        let (shows, count) = link.io(|io| Ok((S::showing(io)?, S::vblank_count(io)?)))?;
        self.lock().vblanks.continued_from(count);
        Ok(shows == Some(wanted))
    }

    /// Ends the commit under way if it must make way for this request, with its outcome: a last look says whether it
    /// has taken effect.
    pub(super) fn make_way(&self, link: &Link, turn: &Turn<'_>, request: &Request) -> Option<Pending> {
        let state = self.lock();
        let now = state.silences.now();
        let yields = state.crtc.yields_to(request, now);
        drop(state);
        if !yields {
            return None;
        }
        if let Some((ended, _)) = self.ask(link, turn) {
            return Some(ended);
        }
        // Hardware that forgets to say that it has flipped has flipped all the same.
        let state = self.lock();
        let wanted = state.crtc.awaits_blank().and_then(|commit| Some(commit.frame.as_ref()?.pixels.offset));
        drop(state);
        let shown = wanted.is_some() && link.io(S::showing).ok().flatten() == wanted;
        let mut state = self.lock();
        if shown {
            return state.flipped();
        }
        let mut commit = state.crtc.supersede(request, now)?;
        state.silences.flip.ended();
        // A mode set took its place.
        commit.outcome = Err(FenceError::Canceled);
        Some(commit)
    }
}

impl DisplayState {
    /// What is to be done about a flip and about blanks that a look has not found.
    fn verdicts(&self, looked_at: Timestamp) -> (Verdict, Verdict) {
        let flips = self.crtc.awaits_blank().is_some();
        // Those that are due are about to be answered.
        let waits = !self.crtc.is_lost() && !self.waits.is_empty() && !self.waits.are_due(self.vblanks.count());
        let judge = |awaited, silence: &Silence| if awaited { silence.judge(looked_at) } else { Verdict::InTime };
        (judge(flips, &self.silences.flip), judge(waits, &self.silences.blank))
    }
}
