//! What [`Gate`](crate::Gate) and [`Revocable`](crate::Revocable) have in common: it lets in until it is shut, and then
//! tells when the last has left.
//!
//! # The protocol
//!
//! - *Enter*: write the key into a place of one's slot; [light barrier](crate::barrier); go in if the slot is awake and
//!   the turnstile open. Otherwise clear the place again.
//! - *Leave*: clear the place; light barrier; if the turnstile is being shut, tell who waits.
//! - *Shut*: set the word; *look*, once: a heavy barrier, then all places of all awake slots. By the barrier, who is
//!   not seen now will see the word. So the sections found are all that are open or ever will be, and the list of them
//!   only gets shorter. When it is empty the turnstile is *still*, and [`Turnstile::settle`] runs what is to run then,
//!   exactly once.
//!
//! To leave and to wait meet like to enter and to look: either the leaver's cleared place is seen, or the leaver sees
//! the word and takes the lock, under which the waiter looks at the list and goes to sleep. So no wake-up is lost. Who
//! gives up waiting leaves its duty to the last section.
//!
//! - *Wait without a thread* ([`Waiter`]): the same, but to go to sleep is to leave a waker under the lock. The leaver that
//!   finds the list empty takes the wakers, and calls them when it has given the lock back: a waker is an executor's code.
//!   The waiter that is woken does what is to be done; one that is dropped instead does it too, if it was the last to wait.
//!   A leaver looks for wakers only where it looks for sleeping threads, so sections that end before the turnstile is shut
//!   know nothing of them.
//!
//! All of this is explored by loom (`tests/loom/`), with fences; larger scenarios by shuttle.

use std::panic::Location;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::deadline::deadline_after;
use crate::holdouts::{Holdout, Holdouts};
use crate::lint::Class;
use crate::lint::hooks::{self, SectionKind, Token};
use crate::primitive::{AtomicU32, Condvar, MODEL, Mutex, MutexGuard, lock, wait};
use crate::registry::{Open, Registry};
use crate::slot::{Place, Slot, state};
use crate::stay::Stay;
use crate::waiter::{Waiter, Wakers};
use crate::{barrier, reader};

/// Sections may begin.
const OPEN: u32 = 0;
/// None begins; who leaves tells.
const SHUT: u32 = 1;
/// None is open, and what was to be done then is done.
const STILL: u32 = 2;

/// How long a revoker watches the open sections before it sleeps. Most register sections are shorter; sleeping and
/// waking costs more.
const WATCH: Duration = Duration::from_micros(10);

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Turnstile {
    word: AtomicU32,
    /// Unique for ever: a section that was leaked can never be taken for one of something else.
    key: u64,
    class: &'static Class,
    state: Mutex<State>,
    moved: Condvar,
}

/// Open sections for which there is room from the beginning.
const ROOM: usize = 32;

#[derive(Debug)]
struct State {
    shut_at: Option<Instant>,
    /// Sections that were open at the look and have not been seen to leave. `None` before the look.
    open: Option<Vec<Open>>,
    /// Inline storage of `open`: a look takes no memory unless very many sections are open.
    room: Vec<Open>,
    /// Threads and futures that wait: they do what is to be done at the end.
    waiting: usize,
    /// For the futures among them.
    wakers: Wakers,
    settling: bool,
}

/// Facts about a section for the lint.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// The section belongs to the thread that enters it.
    OnThread(SectionKind),
    /// A task carries it from thread to thread.
    Carried,
}

/// An open section, as its guard holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    place: &'static Place,
    /// Only if it has to be left slowly: by fences, watched by the lint, or of a lent slot.
    slow: Option<&'static Slot>,
}

impl Ticket {
    /// No watchdog is to judge the section.
    pub(crate) fn may_last(self) {
        self.place.may_last();
    }
}

impl Turnstile {
    pub(crate) fn new(class: &'static Class) -> Self {
        static KEYS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Self {
            word: AtomicU32::new(OPEN),
            // At one per nanosecond they last for five hundred years.
            key: KEYS.fetch_add(1, Relaxed),
            class,
            state: Mutex::new(State::new()),
            moved: Condvar::new(),
        }
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.word.load(Acquire) != OPEN
    }

    /// Begins a section in the slot of a reader (of this thread, if its slot is known) if that takes nothing dear. If
    /// it fails, nothing has happened yet: [`Turnstile::enter_slowly`] decides.
    #[inline]
    pub(crate) fn enter_fast(
        &self,
        slot: Option<&'static Slot>,
        location: &'static Location<'static>,
    ) -> Option<&'static Place> {
        let slot = slot?;
        let place = slot.free_place()?;
        place.set(self.key, location);
        barrier::light_by_compiler();
        if slot.state.load(Relaxed) == state::AWAKE && self.word.load(Acquire) == OPEN {
            return Some(place);
        }
        place.clear();
        None
    }

    /// Begins a section in any case but that of a shut turnstile. Then the caller must call [`Turnstile::left`]: who
    /// looked may have seen what the attempt wrote.
    #[cold]
    pub(crate) fn enter_slowly(
        &self,
        slot: Option<&'static Slot>,
        location: &'static Location<'static>,
        kind: Kind,
    ) -> Option<Ticket> {
        let own = slot.or_else(reader::of_thread).and_then(|slot| Some((slot, slot.free_place()?)));
        let (slot, place) = own.unwrap_or_else(|| {
            let slot = lend();
            (slot, slot.first())
        });
        place.set(self.key, location);
        barrier::light();
        if slot.state.load(Relaxed) & state::AWAKE == 0 {
            // After this, who looks sees our place; and who has looked before has shut before, which we see then.
            Registry::get().wake(slot);
        }
        if self.word.load(Acquire) == OPEN {
            watch(slot, place, kind, self.class, location);
            return Some(Ticket { place, slow: Some(slot) });
        }
        drop(clear_slowly(slot, place));
        None
    }

    /// Begins a section, one way or the other.
    #[inline]
    pub(crate) fn enter(
        &self,
        slot: Option<&'static Slot>,
        location: &'static Location<'static>,
        kind: Kind,
    ) -> Option<Ticket> {
        match self.enter_fast(slot, location) {
            Some(place) => Some(Ticket { place, slow: None }),
            None => self.enter_slowly(slot, location, kind),
        }
    }

    /// Begins a section that belongs to no reader and may end on any thread.
    pub(crate) fn enter_lent(&self, location: &'static Location<'static>, kind: Kind) -> Option<Ticket> {
        self.enter_slowly(Some(lend()), location, kind)
    }

    /// Ends a section that [`Turnstile::enter_fast`] began. If it is the last and nobody waits for it, `finish` runs.
    #[inline]
    pub(crate) fn leave_fast(&self, place: &'static Place, finish: impl FnOnce()) {
        place.clear();
        barrier::light_by_compiler();
        if self.word.load(Relaxed) != OPEN {
            self.left(finish);
        }
    }

    /// Ends a section, the same.
    #[inline]
    pub(crate) fn leave(&self, ticket: Ticket, finish: impl FnOnce()) {
        match ticket.slow {
            None => self.leave_fast(ticket.place, finish),
            Some(slot) => self.leave_slowly(slot, ticket.place, finish),
        }
    }

    #[cold]
    fn leave_slowly(&self, slot: &'static Slot, place: &'static Place, finish: impl FnOnce()) {
        // Told last, since a report may panic.
        let _watched = clear_slowly(slot, place);
        if self.word.load(Relaxed) != OPEN {
            self.left(finish);
        }
    }

    /// A place of this turnstile was cleared, by a section or by one who was refused.
    #[cold]
    pub(crate) fn left(&self, finish: impl FnOnce()) {
        if self.word.load(Acquire) == STILL {
            return;
        }
        let mut state = lock(&self.state);
        if state.waiting == 0 {
            drop(self.settle(state, &mut Some(finish)));
            return;
        }
        self.moved.notify_all();
        if !state.wakers.is_empty() && state.all_left(self.key) {
            let wake = state.wakers.take();
            drop(state);
            wake.wake();
        }
    }

    /// Lets nobody in any more.
    pub(crate) fn shut(&self) {
        let mut state = lock(&self.state);
        if state.shut_at.is_none() {
            state.shut_at = Some(Instant::now());
            self.word.store(SHUT, Release);
        }
    }

    /// Shuts for one who borrows it exclusively: there are no sections, and no `finish` will run.
    pub(crate) fn end(&mut self) {
        self.word.store(STILL, Release);
    }

    /// Shuts, and waits until no section is open and `finish` (of whoever's call it was) has run.
    #[track_caller]
    pub(crate) fn wait(&self, limit: Duration, finish: impl FnOnce()) -> Result<(), Holdouts> {
        self.shut();
        if crate::watched() {
            hooks::draining(self.class, Location::caller());
        }
        let (begun, deadline) = (Instant::now(), deadline_after(limit));
        let mut finish = Some(finish);
        let mut state = lock(&self.state);
        state.look(self.key);
        state.waiting += 1;
        loop {
            state = self.settle(state, &mut finish);
            let now = Instant::now();
            let still = self.word.load(Acquire) == STILL;
            // A model has no time: it gives up at once or never.
            let over = if MODEL { limit.is_zero() } else { now >= deadline };
            if still {
                state.waiting -= 1;
                return Ok(());
            }
            if over {
                let holdouts = state.holdouts(self.key);
                if holdouts.is_empty() && !state.settling {
                    continue; // the last has just left
                }
                state.waiting -= 1;
                return Err(holdouts);
            }
            if now - begun < WATCH && !MODEL {
                drop(state);
                std::hint::spin_loop();
                state = lock(&self.state);
            } else {
                state = wait(&self.moved, state, deadline);
            }
        }
    }

    /// Shuts, and begins a wait without a thread. From now on the open sections are known.
    pub(crate) fn begin_wait(&self, begun: &'static Location<'static>) -> Waiter {
        self.shut();
        let mut state = lock(&self.state);
        state.look(self.key);
        state.waiting += 1;
        state.wakers.begin(begun)
    }

    /// Whether no section is open and `finish` (of whoever's call it was) has run. If not, wakes the task at the time when it
    /// is to ask again.
    pub(crate) fn poll_wait(&self, waiter: &mut Waiter, context: &Context<'_>, finish: impl FnOnce()) -> Poll<()> {
        if waiter.over {
            return Poll::Ready(());
        }
        if !waiter.polled && crate::watched() {
            hooks::awaiting(self.class, waiter.begun);
        }
        waiter.polled = true;
        // Wakers are cloned and dropped without the lock: both run an executor's code.
        let waker = context.waker().clone();
        let mut state = lock(&self.state);
        let before = state.wakers.remove(waiter);
        state = self.settle(state, &mut Some(finish));
        if self.word.load(Acquire) == STILL {
            state.waiting -= 1;
            waiter.over = true;
            drop(state);
            drop((before, waker));
            return Poll::Ready(());
        }
        state.wakers.keep(waiter, waker);
        drop(state);
        drop(before);
        Poll::Pending
    }

    /// Ends a wait, over or not. The duty of one that was not is left to the others who wait, or to the last section; if there
    /// is neither, it is done here.
    pub(crate) fn end_wait(&self, waiter: &mut Waiter, finish: impl FnOnce()) {
        if waiter.over {
            return;
        }
        waiter.over = true;
        let mut state = lock(&self.state);
        let before = state.wakers.remove(waiter);
        state.waiting -= 1;
        if state.waiting == 0 {
            state = self.settle(state, &mut Some(finish));
        }
        drop(state);
        drop(before);
    }

    /// The sections that are open now. None are known before the first wait.
    pub(crate) fn holdouts(&self) -> Holdouts {
        lock(&self.state).holdouts(self.key)
    }

    /// The sections that are open now, but for those that may last.
    pub(crate) fn stays(&self) -> Vec<Stay> {
        Registry::get().all().into_iter().filter_map(|open| Stay::of(open, self.key)).collect()
    }

    /// If the last section has left, runs `finish`, without the lock, unless somebody does or did.
    fn settle<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        finish: &mut Option<impl FnOnce()>,
    ) -> MutexGuard<'a, State> {
        if !state.all_left(self.key) || state.settling {
            return state;
        }
        state.settling = true;
        drop(state);
        // Also if `finish` panics: it is over, and those who wait must not wait for ever.
        let now_still = NowStill(self);
        if let Some(finish) = finish.take() {
            finish();
        }
        drop(now_still);
        lock(&self.state)
    }
}

/// Guards borrow a turnstile, so those that are open still were leaked: their places can serve others.
impl Drop for Turnstile {
    fn drop(&mut self) {
        for open in lock(&self.state).open.iter().flatten().filter(|open| open.place.holds(self.key)) {
            open.place.clear();
        }
    }
}

struct NowStill<'a>(&'a Turnstile);

impl Drop for NowStill<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        self.0.word.store(STILL, Release);
        self.0.moved.notify_all();
        let wake = state.wakers.take();
        drop(state);
        wake.wake();
    }
}

impl State {
    fn new() -> Self {
        Self {
            shut_at: None,
            open: None,
            room: Vec::with_capacity(ROOM),
            waiting: 0,
            wakers: Wakers::default(),
            settling: false,
        }
    }

    /// Finds the open sections, once. The turnstile must have been shut.
    fn look(&mut self, key: u64) {
        if self.open.is_none() {
            let mut open = std::mem::take(&mut self.room);
            Registry::get().look(key, &mut open);
            self.open = Some(open);
        }
    }

    /// Whether all sections that were open at the look have left. Not before it.
    fn all_left(&mut self, key: u64) -> bool {
        let Some(open) = &mut self.open else { return false };
        open.retain(|open| open.place.holds(key));
        open.is_empty()
    }

    fn holdouts(&self, key: u64) -> Holdouts {
        let age = self.shut_at.map(|at| at.elapsed()).unwrap_or_default();
        let holdout = |open: &Open| {
            let (place, thread) = (open.place.location()?, open.slot.name());
            // It may have left meanwhile, and the place be a stranger's.
            open.place.holds(key).then_some(Holdout { place, age, thread })
        };
        Holdouts(self.open.iter().flatten().filter_map(holdout).collect())
    }
}

/// A slot for one section of this thread's making.
fn lend() -> &'static Slot {
    let slot = Registry::get().lend();
    slot.set_name(reader::thread_name());
    slot
}

/// Tells the lint of a section that ends, when dropped: also if dropping the object panics.
struct Watched(Token);

impl Drop for Watched {
    fn drop(&mut self) {
        hooks::left(self.0);
    }
}

/// Tells the lint of a section that begins.
fn watch(
    slot: &'static Slot,
    place: &'static Place,
    kind: Kind,
    class: &'static Class,
    at: &'static Location<'static>,
) {
    if crate::watched()
        && let Some(token) = slot.token(place)
    {
        *token.lock().unwrap_or_else(PoisonError::into_inner) = Some(match kind {
            Kind::OnThread(kind) => hooks::entered(kind, class, at),
            Kind::Carried => hooks::entered_movable(),
        });
    }
}

/// Clears the place of a section that was not entered by the fast path. Gives what the lint knows it by.
fn clear_slowly(slot: &'static Slot, place: &'static Place) -> Option<Watched> {
    let token = slot.token(place).and_then(|token| token.lock().unwrap_or_else(PoisonError::into_inner).take());
    let lent = slot.state.load(Relaxed) & state::LENT != 0;
    place.clear();
    barrier::light();
    if lent {
        Registry::get().give_back(slot);
    }
    token.map(Watched)
}
