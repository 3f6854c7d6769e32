//! The display: one connector, one CRTC, one plane on the device's scanout.
//!
//! What may be asked for, and how far the one commit under way is, is [`lifeboat_core::kms`]'s to say. Here are the
//! hardware, the fences and the events. Whatever is owed to somebody, a flip, a commit, a vertical blank, is answered
//! exactly once (KMS-3): by the interrupt that reports it, by the worker that asks when none comes, by the unplug that
//! catches it in mid-flight, or at once if the device is already gone. What the hardware never reports ends within a
//! limit (KMS-5).
//!
//! | module | concept |
//! |---|---|
//! | `resources` | what there is: connector, modes, limits |
//! | `commit` | what users ask for: mode set, flip, atomic commit |
//! | `crtc` | what is shown, and the commit that is under way |
//! | `overdue` | what the hardware does not report in time, and how that ends |
//! | `vblank` | those who wait for a vertical blank |
//! | `events` | what a handle is told |
//! | `tenants`, `leases` | who may program the display, and on whose behalf |
//! | `listeners` | the handles that are told when the screen goes |

mod commit;
mod crtc;
mod events;
mod leases;
mod listeners;
mod overdue;
mod resources;
mod tenants;
mod vblank;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat::{Fence, Ledger, Link, Outcome, Timeline, Unsignalled};
use lifeboat_core::kms::{Crtc, Vblanks, report_limit};
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu::{Scanout, Screen};
use lifeboat_sync::lint::{Mutex, MutexGuard};

use crate::locks;
use crate::turns::{Turn, Turns};

pub(crate) use commit::{Atomic, Flip, SetMode, atomic, commit, flip, set_mode};
pub use commit::{Commit, CommitKind};
use crtc::{Frame, Pending};
pub(crate) use events::Mailbox;
pub use events::{DisplayEvent, Events};
use events::{EventQueue, Promise};
pub use leases::Lease;
pub(crate) use leases::{
    CreateLease, GetLease, ListLessees, RevokeLease, create_lease, get_lease, list_lessees, revoke_lease,
};
use listeners::Listeners;
use overdue::Silences;
pub use resources::{ConnectorInfo, ConnectorStatus, Resources};
pub(crate) use resources::{GetConnector, GetResources, connector, resources};
pub(crate) use tenants::{Tenancies, Tenant};
use vblank::Waits;
pub(crate) use vblank::{QueueVblank, queue_vblank};

/// How long to wait for an interrupt before asking: several vertical blanks.
const INTERRUPT_LIMIT: Duration = Duration::from_millis(100);
/// When the worker tries again if another thread is just programming the display: most accesses end within microseconds.
const NEXT_TRY: Duration = Duration::from_millis(1);

/// The display of one binding, on its scanout.
pub(crate) struct Display<S: Scanout> {
    screen: Screen,
    /// Held for a look only, and never across an access to a register: an unplug takes it.
    state: Mutex<DisplayState>,
    /// Who accesses the display's registers.
    turns: Turns,
    listeners: Arc<Listeners>,
    /// Flips and commits, one after the other.
    flips: Timeline,
    /// Vertical blanks that somebody waits for.
    blanks: Timeline,
    /// How long the hardware may take to report one of either.
    limit: Duration,
    _scanout: PhantomData<fn() -> S>,
}

struct DisplayState {
    crtc: Crtc<Pending>,
    vblanks: Vblanks,
    shown: Option<Frame>,
    /// Shown before; freed by the next call or by the worker rather than by an interrupt handler.
    replaced: Option<Frame>,
    /// In the order in which they were asked for.
    waits: Waits,
    /// Vertical blanks raise interrupts: only while somebody waits for one.
    watched: bool,
    /// When to ask the hardware if no interrupt has come.
    ask_at: Option<Instant>,
    /// An interrupt has come while another thread had the turn: the worker asks in its next round, whatever
    /// that thread makes of `ask_at`.
    asked: bool,
    silences: Silences,
}

/// What somebody is owed: a fence, and perhaps an event.
struct Owed {
    fence: Unsignalled,
    event: Option<Promise>,
}

impl Owed {
    /// Both sides of one, with the fence's number: to be called with the lock held.
    fn new(timeline: &Timeline, event: Option<Promise>) -> (Fence, Self) {
        let (known, fence) = timeline.fence();
        (known, Self { fence, event })
    }

    /// Answers. With no lock held: a fence's callbacks run in here.
    fn answer(self, sequence: u64, outcome: Outcome) {
        if let Some(event) = self.event {
            event.deliver(sequence);
        }
        self.fence.end(outcome);
    }
}

/// What has ended under the lock, to be answered without it.
#[must_use = "somebody waits for the answer"]
struct Ended {
    /// The one that another commit has taken the place of.
    superseded: Option<Pending>,
    commit: Option<Pending>,
    waits: Waits,
    /// How the waits end.
    waits_end: Outcome,
    sequence: u64,
}

impl Ended {
    fn answer(self) {
        for wait in self.waits {
            wait.owed.answer(self.sequence, self.waits_end);
        }
        for commit in self.superseded.into_iter().chain(self.commit) {
            commit.owed.answer(self.sequence, commit.outcome);
        }
    }
}

impl<S: Scanout> Display<S> {
    /// A display that is off. `name` is its device's, `limit` what [`Policy`](lifeboat::Policy) say.
    pub(crate) fn new(ledger: &Ledger, name: &str, screen: Screen, limit: Duration) -> Self {
        let limit = report_limit(limit, screen.refresh_millihertz);
        let state = DisplayState {
            crtc: Crtc::new(screen.refresh_millihertz, limit),
            vblanks: Vblanks::default(),
            shown: None,
            replaced: None,
            waits: Waits::default(),
            watched: false,
            ask_at: None,
            asked: false,
            silences: Silences::new(limit),
        };
        Self {
            screen,
            state: Mutex::new(&locks::DISPLAY, state),
            turns: Turns::new(),
            listeners: Arc::new(Listeners::new()),
            flips: Timeline::new(ledger, name, "flips"),
            blanks: Timeline::new(ledger, name, "vblanks"),
            limit,
            _scanout: PhantomData,
        }
    }

    fn lock(&self) -> MutexGuard<'_, DisplayState> {
        self.state.lock()
    }

    /// Whether the device was lost, as far as its users know.
    fn is_lost(&self) -> bool {
        self.lock().crtc.is_lost()
    }

    /// A handle was opened: it is told of what happens to the connector.
    pub(crate) fn listen(&self) -> Mailbox {
        let queue = Arc::new(EventQueue::new());
        let place = self.listeners.add(&queue);
        Mailbox::new(queue, place)
    }

    /// Asks the hardware what has happened, and answers it: for the interrupt handler, and for the worker if no
    /// interrupt comes. The hardware is asked in a turn, so that an old interrupt never ends a younger flip. `false` if
    /// another thread has the turn: then somebody must [ask](Display::ask_soon) again.
    pub(crate) fn advance(&self, link: &Link) -> bool {
        let Some(turn) = self.turns.try_take() else { return self.turns.are_closed() };
        let ended = self.ask(link, &turn);
        // A callback of a fence may commit, and then it is that commit's turn.
        drop(turn);
        if let Some((commit, sequence)) = ended {
            commit.owed.answer(sequence, commit.outcome);
        }
        let mut state = self.lock();
        while let Some(wait) = state.take_due() {
            let sequence = state.vblanks.count();
            drop(state);
            wait.owed.answer(sequence, Ok(()));
            state = self.lock();
        }
        drop(state);
        let Some(turn) = self.turns.try_take() else { return self.turns.are_closed() };
        self.rest(link, &turn);
        true
    }

    /// An interrupt has come while another thread had the turn: the worker, which is to be nudged, asks in its next
    /// [round](Display::look).
    pub(crate) fn ask_soon(&self) {
        let mut state = self.lock();
        if !state.crtc.is_lost() {
            state.ask_at = Some(Instant::now());
            state.asked = true;
        }
    }

    /// The worker's round: programs a commit whose fence has signalled, frees what was shown, asks about what an
    /// interrupt should have reported, and ends what is overdue. Says when to look again.
    pub(crate) fn look(&self, link: &Link) -> Option<Instant> {
        let mut complete = self.resume(link);
        let mut state = self.lock();
        // Read before the hardware is: what is overdue by it was so when the hardware answered.
        let (due, now) = (state.ask_at, state.silences.now());
        let asked = std::mem::take(&mut state.asked);
        drop(state);
        if asked || due.is_some_and(|due| due <= Instant::now()) {
            let answered = self.advance(link) && self.judge(link, now);
            // The thread that had the turn may have asked before the interrupt came.
            self.lock().asked |= asked && !answered;
            complete &= answered;
        }
        // Both at one moment: whoever ends a flip later finds that this looks again.
        let mut state = self.lock();
        let (unused, ask_at) = (state.replaced.take(), state.ask_at);
        drop(state);
        drop(unused);
        if complete { ask_at } else { Some(Instant::now() + NEXT_TRY) }
    }

    /// After a reset of the device: shows again what was shown, and asks again for the flip and the vertical blanks that
    /// were on their way. Waits for the turn of another thread, since the device is not whole before.
    pub(crate) fn restore(&self, link: &Link) -> Result<(), DriverError> {
        let _turn = self.turns.take().ok_or(DriverError::Gone)?;
        let state = self.lock();
        let shown = state.shown.clone();
        let next = state.crtc.awaits_blank().and_then(|commit| commit.frame.clone());
        let watched = state.watched;
        drop(state);
        if let Some(shown) = shown {
            shown.show::<S>(link)?;
            self.lock().vblanks.restarted();
        }
        if let Some(next) = next {
            next.flip::<S>(link)?;
        }
        if watched {
            link.io(|io| S::watch_vblanks(io, true))?;
        }
        self.lock().silences.asked_again();
        Ok(())
    }

    /// The device is lost: everything that is owed is answered, and whatever is asked for from now on is answered at once.
    /// Waits for nobody, also not for a thread that is programming the display.
    pub(crate) fn lose(&self) {
        let mut state = self.lock();
        (state.ask_at, state.asked) = (None, false);
        let commit = state.crtc.lose();
        let waits = std::mem::take(&mut state.waits);
        let ended = Ended { commit, waits, ..state.nothing_ended() };
        drop(state);
        self.turns.close();
        ended.answer();
    }

    /// Tells every open handle that nothing is connected any more (KMS-1): once.
    pub(crate) fn disconnect(&self) {
        self.listeners.disconnect();
    }

    /// Nothing is shown any more. The mode stays: a flip after loss is still judged by it.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        let frames = (state.shown.take(), state.replaced.take());
        drop(state);
        drop(frames);
    }
}

/// What is done with the hardware, in a turn. The lock is free during each access, so the device may be lost after it.
impl<S: Scanout> Display<S> {
    /// Notes what the hardware says; the commit that it has ended, if it has, and the vertical blank since which it is
    /// shown.
    fn ask(&self, link: &Link, _: &Turn<'_>) -> Option<(Pending, u64)> {
        let state = self.lock();
        let awaited = state.crtc.awaits_blank().is_some() || !state.waits.is_empty();
        drop(state);
        if !awaited {
            return None;
        }
        let asked = link.io(|io| Ok((S::flip_pending(io)?, S::vblank_count(io)?)));
        // If it does not answer, the unplug follows.
        let (flipping, count) = asked.ok()?;
        let mut state = self.lock();
        state.vblanks.observe(count);
        let ended = if flipping { None } else { state.flipped() };
        ended.map(|commit| (commit, state.vblanks.count()))
    }

    /// Goes on waiting for what is still to come, and for nothing else.
    fn rest(&self, link: &Link, _: &Turn<'_>) {
        let mut state = self.lock();
        if state.waits.is_empty() && state.watched && !state.crtc.is_lost() {
            state.watched = false;
            drop(state);
            // If it fails, the device is gone.
            let _ = link.io(|io| S::watch_vblanks(io, false));
            state = self.lock();
        }
        if state.crtc.is_lost() {
            return;
        }
        let (flips, waits) = (state.crtc.awaits_blank().is_some(), !state.waits.is_empty());
        if !flips {
            state.silences.flip.ended();
        }
        if !waits {
            state.silences.blank.ended();
        }
        state.ask_at = (flips || waits).then(|| state.silences.next_look());
    }
}

impl DisplayState {
    /// Something is on its way: the worker asks about it if no interrupt comes.
    fn expect(&mut self) {
        if self.crtc.is_lost() {
            return;
        }
        let next = self.silences.next_look();
        self.ask_at = Some(self.ask_at.map_or(next, |at| at.min(next)));
    }
}
