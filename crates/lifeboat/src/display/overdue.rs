//! What the hardware does not report ends all the same (KMS-5).
//!
//! The worker alone judges, in its round, after a look at the hardware that began past the limit; the limits are
//! [`lifeboat_core::kms::Silence`]'s. First the display is turned off and on, which shows the picture of a stuck flip at
//! once: if the hardware then says that this is what it shows, the flip has taken effect, late. Otherwise it has failed,
//! and what was shown before is shown again. Who waits for a vertical blank waits for as long once more, and fails if
//! none comes then.

use std::mem;
use std::time::{Duration, Instant};

use lifeboat_core::Timestamp;
use lifeboat_core::fence::FenceError;
use lifeboat_core::kms::{Request, Silence, Verdict};
use lifeboat_lb1::DriverError;

use super::crtc::Pending;
use super::{Display, INTERRUPT_LIMIT, State};
use crate::link::Link;

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
        let due = [self.flip.due(), self.blank.due()].into_iter().flatten().min();
        due.and_then(|due| self.epoch.checked_add(due.since_beginning())).map_or(soon, |due| due.min(soon))
    }

    /// The device was reset as a whole, and asked again.
    pub(super) fn asked_again(&mut self) {
        let now = self.now();
        self.flip.asked_again(now);
        self.blank.asked_again(now);
    }
}

impl Display {
    /// Ends what is overdue. The hardware has been looked at since `looked_at`, and has not reported it.
    pub(super) fn judge(&self, link: &Link, looked_at: Timestamp) {
        let mut state = self.lock();
        let (flip, blank) = state.verdicts(looked_at);
        if (flip, blank) == (Verdict::InTime, Verdict::InTime) {
            return;
        }
        // If the device is gone, the unplug answers (GATE-8).
        let section = link.gate.enter().filter(|_| !link.is_lost());
        let mut ended = state.nothing_ended();
        if section.is_some() {
            if blank == Verdict::GiveUp {
                ended.waits = mem::take(&mut state.waits);
                ended.waits_end = Err(FenceError::TimedOut);
            }
            if flip != Verdict::InTime || blank == Verdict::Reset {
                ended.commit = state.reset(link);
            }
        }
        state.rest(link);
        if section.is_none() || link.is_lost() {
            // Until the unplug comes there is nothing to look at.
            state.ask_at = state.ask_at.map(|_| Instant::now() + INTERRUPT_LIMIT);
        }
        drop(state);
        let failed = ended.commit.as_ref().is_some_and(|commit| commit.outcome.is_err());
        tracing::warn!(?flip, ?blank, failed, "the display did not report in time");
        if failed {
            self.show_again(link);
        }
        drop(section);
        ended.answer();
    }

    /// Has the hardware show what was shown before a flip that has failed, unless there is another one already.
    fn show_again(&self, link: &Link) {
        let mut state = self.lock();
        if !state.crtc.is_lost() && state.crtc.awaits_blank().is_none() {
            // If this fails too, the display shows what it likes.
            let _ = state.show_anew(link);
        }
    }
}

impl State {
    /// What is to be done about a flip and about blanks that a look has not found.
    fn verdicts(&self, looked_at: Timestamp) -> (Verdict, Verdict) {
        let flips = self.crtc.awaits_blank().is_some();
        // Those that are due are about to be answered.
        let waits = !self.crtc.is_lost() && !self.waits.is_empty() && !self.waits.are_due(self.vblanks.count());
        let judge = |awaited, silence: &Silence| if awaited { silence.judge(looked_at) } else { Verdict::InTime };
        (judge(flips, &self.silences.flip), judge(waits, &self.silences.blank))
    }

    /// Turns the display off and on with the picture that is to be shown. Gives the flip that was on its way, with its
    /// outcome.
    fn reset(&mut self, link: &Link) -> Option<Pending> {
        let shown = match self.show_anew(link) {
            // The unplug follows, and answers.
            Err(DriverError::Gone) => return None,
            shown => shown.unwrap_or(false),
        };
        let now = self.silences.now();
        self.silences.blank.was_reset(now);
        if shown {
            return self.flipped();
        }
        let mut commit = self.crtc.not_shown()?;
        commit.outcome = Err(FenceError::TimedOut);
        Some(commit)
    }

    /// Has the hardware show the picture of the flip on its way, or else what was shown. Says whether it does.
    fn show_anew(&mut self, link: &Link) -> Result<bool, DriverError> {
        let next = self.crtc.awaits_blank().and_then(|commit| commit.frame.as_ref());
        let Some(frame) = next.or(self.shown.as_ref()) else { return Ok(false) };
        frame.show(link)?;
        let wanted = frame.offset()?;
        let (shows, count) = link.registers(|lb1, _| Ok((lb1.showing()?, lb1.vblank_count()?)))?;
        self.vblanks.goes_on_from(count);
        Ok(shows == Some(wanted))
    }

    /// Ends the commit under way if it must make way for this request, with its outcome: a last look says whether it
    /// has taken effect.
    pub(super) fn make_way(&mut self, link: &Link, request: &Request) -> Option<Pending> {
        let now = self.silences.now();
        if !self.crtc.yields_to(request, now) {
            return None;
        }
        if let Some(ended) = self.ask(link) {
            return Some(ended);
        }
        // Hardware that forgets to say that it has flipped has flipped all the same.
        let wanted = self.crtc.awaits_blank().and_then(|commit| commit.frame.as_ref()?.offset().ok());
        if wanted.is_some() && link.registers(|lb1, _| lb1.showing()).ok().flatten() == wanted {
            return self.flipped();
        }
        let mut commit = self.crtc.supersede(request, now)?;
        self.silences.flip.ends();
        // A mode set took its place.
        commit.outcome = Err(FenceError::Canceled);
        Some(commit)
    }
}
