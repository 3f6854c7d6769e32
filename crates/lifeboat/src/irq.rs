//! The interrupt handler. Runs in interrupt context: it takes short locks and register sections, and never waits.
//!
//! A bus may call it on any thread, also on one that is in the middle of an access to the device's registers: a simulated
//! bus, or one in another process, delivers a message from within the access that causes it. Such a thread may hold what
//! handling needs, and its caller's section has no room for fences' callbacks. So the handler only notes the interrupt there,
//! and the worker handles it in its next round.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use lifeboat_core::unplug::Loss;
use lifeboat_driver::{Driver, Pending, Progress, RingReport};
use lifeboat_sync::lint::{self, Condvar, Mutex};

use crate::calls::is_inside_access;
use crate::link::Link;
use crate::locks;
use crate::panics::caught;
use crate::sched::{Events, QueueId, RingIndex};
use crate::subsystem::Subsystem;

/// How often the worker handles what is noted in one round. Another interrupt may be noted while it does.
const PASSES: u32 = 2;
/// When it goes on if there is still something noted: a bus that delivers an interrupt from within every access never ends.
const NEXT_ROUND: Duration = Duration::from_millis(1);

/// Reports that are taken of one interrupt: one for each number that a ring can have. A driver that has more to tell never ends
/// (DRV-3).
const MOST_REPORTS: usize = 256;

thread_local! {
    /// Whether this thread handles an interrupt, of any device: then it waits for no handler.
    static HANDLES: Cell<bool> = const { Cell::new(false) };
}

/// The interrupts of one binding.
pub(crate) struct Interrupts<S: Subsystem> {
    link: Arc<Link>,
    events: Events<S::Job>,
    subsystem: Arc<S>,
    handlers: Handlers,
    /// One has come that nobody has handled.
    noted: AtomicBool,
    /// A ring has reported in its memory.
    in_memory: AtomicBool,
    /// The worker is handling, and looks at `noted` when it has done so.
    in_round: AtomicBool,
}

/// The threads that handle interrupts of one binding.
struct Handlers {
    running: Mutex<Running>,
    /// None handles any more.
    ended: Condvar,
}

struct Running {
    /// Threads that handle an interrupt at this moment.
    count: usize,
    /// No more are handled.
    closed: bool,
    /// Where that begins.
    place: &'static Location<'static>,
}

/// As long as it lives, its thread handles an interrupt.
struct Handler<'a> {
    handlers: &'a Handlers,
    /// Whether it handled one already.
    outer: bool,
}

impl<S: Subsystem> Interrupts<S> {
    pub(crate) fn new(link: Arc<Link>, events: Events<S::Job>, subsystem: Arc<S>) -> Self {
        Self {
            link,
            events,
            subsystem,
            handlers: Handlers::new(),
            noted: AtomicBool::new(false),
            in_memory: AtomicBool::new(false),
            in_round: AtomicBool::new(false),
        }
    }

    /// The handler: an interrupt has come.
    pub(crate) fn arrived(&self) {
        if is_inside_access() {
            self.noted.store(true, SeqCst);
            if !self.in_round.load(SeqCst) {
                self.events.nudge();
            }
        } else if let Some(_handler) = self.handlers.begin() {
            lint::interrupt(|| self.handle());
        }
    }

    /// The worker's round: handles what was noted. Says when to come again if that is known.
    pub(crate) fn look(&self) -> Option<Instant> {
        if !self.noted.load(SeqCst) {
            return None;
        }
        self.in_round.store(true, SeqCst);
        for _ in 0..PASSES {
            if self.noted.swap(false, SeqCst) {
                self.handle();
            }
        }
        self.in_round.store(false, SeqCst);
        // An interrupt noted before that does not nudge.
        self.noted.load(SeqCst).then(|| Instant::now() + NEXT_ROUND)
    }

    /// Tells the scheduler how far a ring is.
    pub(crate) fn report(&self, ring: RingIndex, progress: Progress) {
        match progress {
            Progress::UpTo(seqno) => self.events.hw_done(ring, seqno),
            Progress::One(seqno) => self.events.hw_done_one(ring, seqno),
            Progress::Aborted(seqno) => self.events.aborted(ring, seqno),
            Progress::LetGo(queue) => self.events.firmware_let_go(QueueId::from_bits(queue)),
            Progress::Stopped(seqno) => self.events.fault(ring, seqno),
            Progress::InMemory => {
                self.in_memory.store(true, SeqCst);
                self.events.nudge();
            }
        }
    }

    /// Whether a ring has reported in its memory since this was asked last. For the worker, which has
    /// the rings.
    pub(crate) fn take_in_memory(&self) -> bool {
        self.in_memory.swap(false, SeqCst)
    }

    /// Takes up what is pending, and tells whoever is concerned.
    pub(crate) fn handle(&self) {
        // If the device is gone, the link has told the bus side, and the unplug does the rest.
        let Ok(pending) = self.link.io(S::Driver::pending) else { return };
        // Of a driver that makes a mistake here, the link has told the bus side.
        if let Ok(mut reports) = self.link.code(|| pending.rings().take(MOST_REPORTS)) {
            while let Ok(Some(RingReport { ring, progress })) = self.link.code(|| reports.next()) {
                self.report(RingIndex(ring), progress);
            }
        }
        match caught("an interrupt handler", || self.subsystem.interrupt(&self.link, &pending)) {
            Some(true) => {}
            Some(false) => self.events.nudge(),
            None => self.link.lost(Loss::Crashed),
        }
        // The drop is code of the driver, too.
        let _ = self.link.code(|| drop(pending));
    }

    /// From now on interrupts are ignored. Waits for those that are being handled.
    ///
    /// # Errors
    /// If one of them still is at `deadline`: where.
    pub(crate) fn close(&self, deadline: Instant) -> Result<(), &'static Location<'static>> {
        self.handlers.close(deadline)
    }
}

impl Handlers {
    fn new() -> Self {
        let running = Running { count: 0, closed: false, place: Location::caller() };
        Self { running: Mutex::new(&locks::INTERRUPTS, running), ended: Condvar::new() }
    }

    fn close(&self, deadline: Instant) -> Result<(), &'static Location<'static>> {
        let mut running = self.running.lock();
        running.closed = true;
        while running.count > 0 && !HANDLES.get() {
            if self.ended.wait_until(&mut running, deadline).timed_out() {
                return if running.count == 0 { Ok(()) } else { Err(running.place) };
            }
        }
        Ok(())
    }

    #[track_caller]
    fn begin(&self) -> Option<Handler<'_>> {
        let mut running = self.running.lock();
        if running.closed {
            return None;
        }
        running.count += 1;
        running.place = Location::caller();
        drop(running);
        let outer = HANDLES.replace(true);
        Some(Handler { handlers: self, outer })
    }
}

impl Drop for Handler<'_> {
    fn drop(&mut self) {
        HANDLES.set(self.outer);
        let mut running = self.handlers.running.lock();
        running.count -= 1;
        let waited_for = running.closed && running.count == 0;
        drop(running);
        if waited_for {
            self.handlers.ended.notify_all();
        }
    }
}
