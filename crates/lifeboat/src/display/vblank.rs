//! Those who wait for a vertical blank.

use lifeboat_core::kms::CommitError;

use super::events::{Mailbox, Source};
use super::{Owed, State};
use crate::calls::{Arguments, Bound};
use crate::device::{Device, Users};
use crate::link::Link;
use crate::{CallError, Fence};

/// Somebody who waits for a vertical blank.
pub(super) struct Wait {
    pub(super) owed: Owed,
    /// Which one, by its number.
    due: u64,
}

/// Arguments of `queue-vblank`: who is to be told, and by which token.
pub(crate) struct QueueVblank<'a> {
    pub(crate) mailbox: &'a Mailbox,
    pub(crate) token: u64,
}

impl Arguments<Device> for QueueVblank<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        Ok(())
    }
}

/// An event at the next vertical blank.
pub(crate) fn queue_vblank(
    bound: Option<&Bound<'_, Device>>,
    users: &Users,
    QueueVblank { mailbox, token }: QueueVblank<'_>,
) -> Result<Fence, CallError> {
    let event = mailbox.promise(Source::Vblank, token)?;
    let display = &users.display;
    let mut state = display.lock();
    if state.crtc.mode().is_none() {
        return Err(CommitError::Off.into());
    }
    let (fence, owed) = Owed::new(&display.blanks, Some(event));
    if let Some(bound) = bound.filter(|_| !state.crtc.is_lost()) {
        state.wait_for_blank(bound.link(), owed);
        drop(state);
        // The worker asks if no interrupt comes.
        users.scheduler.events().nudge();
    } else {
        let sequence = state.vblanks.count();
        drop(state);
        owed.answer(sequence);
    }
    Ok(fence)
}

impl State {
    fn wait_for_blank(&mut self, link: &Link, owed: Owed) {
        let watched = self.watched;
        // Watched first, and counted then: a blank after the one that is counted is reported.
        let count = link.registers(|lb1, _| {
            if !watched {
                lb1.watch_vblanks(true)?;
            }
            lb1.vblank_count()
        });
        if let Ok(count) = count {
            self.vblanks.observe(count);
        }
        // If it could not be asked it is gone, and the unplug answers.
        self.watched = true;
        self.waits.push(Wait { owed, due: self.vblanks.count() + 1 });
        self.expect();
    }

    /// One whose vertical blank has come, the longest waiting first.
    pub(super) fn take_due(&mut self) -> Option<Wait> {
        let now = self.vblanks.count();
        let due = self.waits.iter().position(|wait| wait.due <= now)?;
        Some(self.waits.remove(due))
    }
}
