//! The protocol behind [`Gate`](crate::Gate) and [`Revocable`](crate::Revocable). A turnstile
//! admits sections until it is shut, and then tells when the last section has ended.
//!
//! # The protocol
//!
//! - *Enter*: write the key into a place of the reader's slot, execute a [light
//!   barrier](crate::barrier), and check that the slot is awake and the turnstile is open. If
//!   either is not so, clear the place again.
//! - *Leave*: clear the place and execute a light barrier. If the turnstile is shut, notify the
//!   waiters.
//! - *Shut*: set the word, then *scan* once: execute a heavy barrier and read all places of all
//!   awake slots. By the barrier, a reader that the scan does not see will see the word. So the
//!   scan finds all sections that are open or will ever be open, and the list of them only gets
//!   shorter. When the list is empty, the turnstile is *still*, and [`Turnstile::settle`] runs the
//!   caller's `finish` exactly once.
//!
//! Leave and wait are paired like enter and scan. Either the waiter sees the cleared place, or the
//! leaver sees the word and takes the lock, under which the waiter reads the list and goes to
//! sleep. So no wake-up is lost. A waiter that gives up leaves its `finish` to the last section.
//!
//! - *Wait without a thread* ([`Waiter`]): instead of going to sleep, the waiter stores a waker
//!   under the lock. The leaver that finds the list empty takes the wakers, and calls them after it
//!   has released the lock, because a waker runs code of an executor. The waiter that is woken runs
//!   `finish`. A waiter that is dropped runs `finish`, too, if it was the last waiter and the list
//!   is empty. A leaver looks for wakers only where it looks for sleeping threads, so a section
//!   that ends before the turnstile is shut pays nothing for them.
//!
//! Loom (`tests/loom/`) explores the whole protocol with fences. Shuttle explores larger scenarios.

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
/// No section may begin, and a section that ends notifies the waiters.
const SHUT: u32 = 1;
/// No section is open, and `finish` has run.
const STILL: u32 = 2;

/// Time for which a revoker spins before it sleeps. Most register sections are shorter than this,
/// and sleeping and waking cost more.
const WATCH: Duration = Duration::from_micros(10);

/// Turnstile of one gate or object; see the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Turnstile {
    word: AtomicU32,
    /// Key of the turnstile. A key is never reused, so a leaked section is never taken for a
    /// section of another turnstile.
    key: u64,
    class: &'static Class,
    state: Mutex<ShutState>,
    moved: Condvar,
}

/// Number of open sections for which room is reserved from the beginning.
const ROOM: usize = 32;

/// Progress of a shut turnstile, under its lock.
#[derive(Debug)]
struct ShutState {
    shut_at: Option<Instant>,
    /// Sections that the scan found and that have not been seen to end. `None` before the scan.
    open: Option<Vec<Open>>,
    /// Reserved storage for `open`, so that a scan allocates no memory unless very many sections
    /// are open.
    room: Vec<Open>,
    /// Number of waiting threads and futures. While this is not zero, a waiter runs `finish`, and
    /// not the last section.
    waiting: usize,
    /// Wakers of the waiting futures.
    wakers: Wakers,
    settling: bool,
}

/// Owner of a section, as the lint needs to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    /// The section belongs to the thread that enters it.
    OnThread(SectionKind),
    /// The section belongs to a task, which carries it from thread to thread.
    Carried,
}

/// Open section, as its guard stores it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    place: &'static Place,
    /// Slot of a section that must be left slowly: in the fence mode, under the lint, or in a
    /// borrowed slot.
    slow: Option<&'static Slot>,
}

impl Ticket {
    /// Marks the section as one that may last: no watchdog judges it.
    pub(crate) fn may_last(self) {
        self.place.may_last();
    }
}

impl Turnstile {
    pub(crate) fn new(class: &'static Class) -> Self {
        static KEYS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Self {
            word: AtomicU32::new(OPEN),
            // At one key per nanosecond the keys last for five hundred years.
            key: KEYS.fetch_add(1, Relaxed),
            class,
            state: Mutex::new(ShutState::new()),
            moved: Condvar::new(),
        }
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.word.load(Acquire) != OPEN
    }

    /// Begins a section in the slot of a reader, if this needs no expensive step. `None` means that
    /// nothing has changed; the caller continues with [`Turnstile::enter_slowly`].
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

    /// Begins a section, whatever this needs. Returns `None` if the turnstile is shut. Then the
    /// caller must call [`Turnstile::left`], because a scan may have seen the key that this attempt
    /// wrote.
    #[cold]
    pub(crate) fn enter_slowly(
        &self,
        slot: Option<&'static Slot>,
        location: &'static Location<'static>,
        owner: Owner,
    ) -> Option<Ticket> {
        let own = slot.or_else(reader::of_thread).and_then(|slot| Some((slot, slot.free_place()?)));
        let (slot, place) = own.unwrap_or_else(|| {
            let slot = lend();
            (slot, slot.first())
        });
        place.set(self.key, location);
        barrier::light();
        if slot.state.load(Relaxed) & state::AWAKE == 0 {
            // A later scan sees our place. An earlier scan came after a store of SHUT, which the
            // load below observes.
            Registry::get().wake(slot);
        }
        if self.word.load(Acquire) == OPEN {
            watch(slot, place, owner, self.class, location);
            return Some(Ticket { place, slow: Some(slot) });
        }
        drop(clear_slowly(slot, place));
        None
    }

    /// Begins a section by the fast path, or else by the slow path.
    #[inline]
    pub(crate) fn enter(
        &self,
        slot: Option<&'static Slot>,
        location: &'static Location<'static>,
        owner: Owner,
    ) -> Option<Ticket> {
        match self.enter_fast(slot, location) {
            Some(place) => Some(Ticket { place, slow: None }),
            None => self.enter_slowly(slot, location, owner),
        }
    }

    /// Begins a section that belongs to no reader and may end on any thread.
    pub(crate) fn enter_lent(&self, location: &'static Location<'static>, owner: Owner) -> Option<Ticket> {
        self.enter_slowly(Some(lend()), location, owner)
    }

    /// Ends a section that [`Turnstile::enter_fast`] began. Runs `finish` if the section is the
    /// last and no waiter exists.
    #[inline]
    pub(crate) fn leave_fast(&self, place: &'static Place, finish: impl FnOnce()) {
        place.clear();
        barrier::light_by_compiler();
        if self.word.load(Relaxed) != OPEN {
            self.left(finish);
        }
    }

    /// Ends a section of [`Turnstile::enter`] in the same way.
    #[inline]
    pub(crate) fn leave(&self, ticket: Ticket, finish: impl FnOnce()) {
        match ticket.slow {
            None => self.leave_fast(ticket.place, finish),
            Some(slot) => self.leave_slowly(slot, ticket.place, finish),
        }
    }

    #[cold]
    fn leave_slowly(&self, slot: &'static Slot, place: &'static Place, finish: impl FnOnce()) {
        // The lint is notified last, because its report may panic.
        let _watched = clear_slowly(slot, place);
        if self.word.load(Relaxed) != OPEN {
            self.left(finish);
        }
    }

    /// Handles a cleared place of this turnstile, after the end of a section or after a refused
    /// entry.
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

    /// Shuts the turnstile: no section begins from now on.
    pub(crate) fn shut(&self) {
        let mut state = lock(&self.state);
        if state.shut_at.is_none() {
            state.shut_at = Some(Instant::now());
            self.word.store(SHUT, Release);
        }
    }

    /// Shuts a turnstile that the caller borrows exclusively: no section can be open, and `finish`
    /// will not run.
    pub(crate) fn end(&mut self) {
        self.word.store(STILL, Release);
    }

    /// Shuts the turnstile, and waits until no section is open and a `finish`, of this call or of
    /// another, has run.
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
                    continue; // the last section has just ended
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

    /// Shuts the turnstile, scans it, and begins a wait without a thread.
    pub(crate) fn begin_wait(&self, begun: &'static Location<'static>) -> Waiter {
        self.shut();
        let mut state = lock(&self.state);
        state.look(self.key);
        state.waiting += 1;
        state.wakers.begin(begun)
    }

    /// Tells whether no section is open and a `finish`, of this call or of another, has run. If
    /// not, arranges to wake the task when it should poll again.
    pub(crate) fn poll_wait(&self, waiter: &mut Waiter, context: &Context<'_>, finish: impl FnOnce()) -> Poll<()> {
        if waiter.over {
            return Poll::Ready(());
        }
        if !waiter.polled && crate::watched() {
            hooks::awaiting(self.class, waiter.begun);
        }
        waiter.polled = true;
        // Wakers are cloned and dropped without the lock, because both run code of an executor.
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

    /// Ends a wait. If the wait has not succeeded, the other waiters or the last open section will
    /// run `finish`. If there are neither, `finish` runs here.
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

    /// Returns the open sections. The list is empty before the first wait.
    pub(crate) fn holdouts(&self) -> Holdouts {
        lock(&self.state).holdouts(self.key)
    }

    /// Returns the open sections, except those that may last.
    pub(crate) fn stays(&self) -> Vec<Stay> {
        Registry::get().all().into_iter().filter_map(|open| Stay::of(open, self.key)).collect()
    }

    /// Runs `finish` without the lock if the last section has ended, unless another `finish` runs
    /// or has run.
    fn settle<'a>(
        &'a self,
        mut state: MutexGuard<'a, ShutState>,
        finish: &mut Option<impl FnOnce()>,
    ) -> MutexGuard<'a, ShutState> {
        if !state.all_left(self.key) || state.settling {
            return state;
        }
        state.settling = true;
        drop(state);
        // This takes effect even if `finish` panics: otherwise the waiters would wait for ever.
        let now_still = NowStill(self);
        if let Some(finish) = finish.take() {
            finish();
        }
        drop(now_still);
        lock(&self.state)
    }
}

/// Frees the places of leaked sections. Guards borrow the turnstile, so all sections that are still
/// open here were leaked.
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

impl ShutState {
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

    /// Scans for open sections, once. The turnstile must be shut.
    fn look(&mut self, key: u64) {
        if self.open.is_none() {
            let mut open = std::mem::take(&mut self.room);
            Registry::get().look(key, &mut open);
            self.open = Some(open);
        }
    }

    /// Tells whether all sections that the scan found have ended. Returns `false` before the scan.
    fn all_left(&mut self, key: u64) -> bool {
        let Some(open) = &mut self.open else { return false };
        open.retain(|open| open.place.holds(key));
        open.is_empty()
    }

    fn holdouts(&self, key: u64) -> Holdouts {
        let age = self.shut_at.map(|at| at.elapsed()).unwrap_or_default();
        let holdout = |open: &Open| {
            let (place, thread) = (open.place.location()?, open.slot.name());
            // The section may have ended meanwhile, and its place may hold another section.
            open.place.holds(key).then_some(Holdout { place, age, thread })
        };
        Holdouts(self.open.iter().flatten().filter_map(holdout).collect())
    }
}

/// Borrows a slot for a single section that this thread begins.
fn lend() -> &'static Slot {
    let slot = Registry::get().lend();
    slot.set_name(reader::thread_name());
    slot
}

/// Notifies the lint of the end of a section when dropped, even if the object's drop panics.
struct EndNotice(Token);

impl Drop for EndNotice {
    fn drop(&mut self) {
        hooks::left(self.0);
    }
}

/// Notifies the lint of the beginning of a section.
fn watch(
    slot: &'static Slot,
    place: &'static Place,
    owner: Owner,
    class: &'static Class,
    at: &'static Location<'static>,
) {
    if crate::watched()
        && let Some(token) = slot.token(place)
    {
        *token.lock().unwrap_or_else(PoisonError::into_inner) = Some(match owner {
            Owner::OnThread(kind) => hooks::entered(kind, class, at),
            Owner::Carried => hooks::entered_movable(),
        });
    }
}

/// Clears the place of a section that was entered slowly. Returns the guard that notifies the lint.
fn clear_slowly(slot: &'static Slot, place: &'static Place) -> Option<EndNotice> {
    let token = slot.token(place).and_then(|token| token.lock().unwrap_or_else(PoisonError::into_inner).take());
    let lent = slot.state.load(Relaxed) & state::LENT != 0;
    place.clear();
    barrier::light();
    if lent {
        Registry::get().give_back(slot);
    }
    token.map(EndNotice)
}
