//! Those who wait for a vertical blank.
//!
//! The interrupt handler takes them out one by one, under the lock that it shares with those who
//! ask. There may be 128 for each open handle, so neither costs more than O(1), ever: nothing is
//! moved when another one comes or goes (SCHED-13).

use std::collections::LinkedList;

use lifeboat::calls::{Arguments, Bound};
use lifeboat::{CallError, Fence, Link};
use lifeboat_core::kms::CommitError;
use lifeboat_driver::gpu::{Gpu, Scanout};

use super::events::{Mailbox, Source};
use super::{DisplayState, Owed, Tenant};
use crate::device::{self, Device, Users};

/// Somebody who waits for a vertical blank.
pub(super) struct Wait {
    pub(super) owed: Owed,
    /// Which one, by its number.
    due: u64,
}

/// All that wait, in the order in which they asked: so the blanks that they wait for are in order,
/// too.
///
/// A list, because a vector moves what it holds when it grows, with the lock held.
#[derive(Default)]
#[allow(clippy::linkedlist)]
pub(super) struct Waits(LinkedList<Wait>);

/// Arguments of `queue-vblank`: who is to be told, and by which token.
pub(crate) struct QueueVblank<'a> {
    pub(crate) mailbox: &'a Mailbox,
    pub(crate) tenant: &'a Tenant,
    pub(crate) token: u64,
}

impl<G: Gpu> Arguments<Device<G>> for QueueVblank<'_> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.gpu.display()?;
        self.tenant.permit()
    }
}

/// An event at the next vertical blank.
pub(crate) fn queue_vblank<G: Gpu>(
    bound: Option<&Bound<'_, Device<G>>>,
    users: &Users<G>,
    QueueVblank { mailbox, token, .. }: QueueVblank<'_>,
) -> Result<Fence, CallError> {
    let event = mailbox.promise(Source::Vblank, token)?;
    let display = users.gpu.display()?;
    // If the device is lost before the turn comes, the blank has come.
    let way = bound.and_then(|bound| Some((device::link(bound), display.turns.take()?)));
    let mut state = display.lock();
    if state.crtc.mode().is_none() {
        return Err(CommitError::Off.into());
    }
    if let Some((link, _)) = way.as_ref().filter(|_| !state.crtc.is_lost()) {
        let watched = state.watched;
        drop(state);
        let count = watch::<G::Scanout>(link, watched);
        state = display.lock();
        state.watches(count);
    }
    let (fence, owed) = Owed::new(&display.blanks, Some(event));
    if way.is_some() && !state.crtc.is_lost() {
        state.wait_for_blank(owed);
        drop(state);
        drop(way);
        // The worker asks if no interrupt comes.
        users.base.scheduler().events().nudge();
    } else {
        let sequence = state.vblanks.count();
        drop(state);
        drop(way);
        owed.answer(sequence, Ok(()));
    }
    Ok(fence)
}

/// Has vertical blanks reported, and counts them then: a blank after the one that is counted is reported. `None` if the
/// hardware could not be asked: it is gone, and the unplug answers.
fn watch<S: Scanout>(link: &Link, watched: bool) -> Option<u32> {
    let count = link.io(|io| {
        if !watched {
            S::watch_vblanks(io, true)?;
        }
        S::vblank_count(io)
    });
    count.ok()
}

impl DisplayState {
    /// Vertical blanks are reported from now on.
    fn watches(&mut self, count: Option<u32>) {
        if let Some(count) = count {
            self.vblanks.observe(count);
        }
        self.watched = true;
    }

    fn wait_for_blank(&mut self, owed: Owed) {
        if self.waits.is_empty() {
            let now = self.silences.now();
            self.silences.blank.begun(now);
        }
        self.waits.add(owed, self.vblanks.count() + 1);
        self.expect();
    }

    /// One whose vertical blank has come, the longest waiting first.
    pub(super) fn take_due(&mut self) -> Option<Wait> {
        let now = self.vblanks.count();
        self.waits.take_due(now)
    }
}

impl Waits {
    /// Adds one that waits for blank `due`, which is none before that of any other. O(1).
    fn add(&mut self, owed: Owed, due: u64) {
        debug_assert!(self.0.back().is_none_or(|last| last.due <= due), "the count of blanks never goes back");
        self.0.push_back(Wait { owed, due });
    }

    /// The first, if its blank has come by `now`. O(1).
    fn take_due(&mut self, now: u64) -> Option<Wait> {
        if self.0.front()?.due <= now { self.0.pop_front() } else { None }
    }

    /// Whether the blank of the first has come by `now`.
    pub(super) fn are_due(&self, now: u64) -> bool {
        self.0.front().is_some_and(|first| first.due <= now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Waits {
    type Item = Wait;
    type IntoIter = std::collections::linked_list::IntoIter<Wait>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;
    use lifeboat::Ledger;
    use lifeboat::Timeline;

    #[test]
    fn sched_13_no_wait_for_a_blank_is_moved_when_another_one_comes_or_goes() {
        const MANY: u64 = 1000;
        let timeline = Timeline::new(&Ledger::default(), "test", "blanks");
        let mut waits = Waits::default();
        let add = |waits: &mut Waits, due| waits.add(Owed::new(&timeline, None).1, due);
        add(&mut waits, 1);
        let first = ptr::from_ref(waits.0.front().unwrap());
        (1..=MANY).for_each(|due| add(&mut waits, due));
        assert!(ptr::eq(first, waits.0.front().unwrap()), "the first has been moved by those who came");
        let last = ptr::from_ref(waits.0.back().unwrap());
        assert_eq!(waits.take_due(0).map(|wait| wait.due), None);
        for due in [1, 1, 2, 3] {
            assert_eq!(waits.take_due(3).map(|wait| wait.due), Some(due), "the longest waiting first");
            assert!(ptr::eq(last, waits.0.back().unwrap()), "the last has been moved by the one who went");
        }
        assert_eq!(waits.take_due(3).map(|wait| wait.due), None);
        assert_eq!(waits.into_iter().count() as u64, MANY - 3);
    }
}
