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

use lifeboat_core::fence::Seqno;
use lifeboat_lb1::{DriverError, Lb1, regs};
use lifeboat_pci::Bar;
use lifeboat_sync::lint::{self, Condvar, Mutex};

use crate::calls::is_inside_access;
use crate::display::Display;
use crate::link::Link;
use crate::locks;
use crate::sched::{Events, RingIndex};
use crate::submit::Job;

/// How often the worker handles what is noted in one round. Another interrupt may be noted while it does.
const PASSES: u32 = 2;
/// When it goes on if there is still something noted: a bus that delivers an interrupt from within every access never ends.
const NEXT_ROUND: Duration = Duration::from_millis(1);

thread_local! {
    /// Whether this thread handles an interrupt, of any device: then it waits for no handler.
    static HANDLES: Cell<bool> = const { Cell::new(false) };
}

/// The interrupts of one binding.
pub(crate) struct Interrupts {
    link: Arc<Link>,
    events: Events<Job>,
    display: Arc<Display>,
    /// One has come that nobody has handled.
    noted: AtomicBool,
    /// The worker is handling, and looks at `noted` when it has done so.
    in_round: AtomicBool,
    handlers: Mutex<Handlers>,
    /// None handles any more.
    ended: Condvar,
}

struct Handlers {
    /// Threads that handle an interrupt at this moment.
    running: usize,
    /// No more are handled.
    closed: bool,
    /// Where that begins.
    place: &'static Location<'static>,
}

/// As long as it lives, its thread handles an interrupt.
struct Handler<'a> {
    interrupts: &'a Interrupts,
    /// Whether it handled one already.
    outer: bool,
}

/// What one interrupt reported, read in one register section.
struct Report {
    /// A flip took effect, or a vertical blank began.
    blanked: bool,
    /// Each ring that reported something: how far it is, and whether it has stopped with a fault.
    rings: [Option<(Seqno, bool)>; regs::MAX_RINGS as usize],
}

impl Interrupts {
    pub(crate) fn new(link: Arc<Link>, events: Events<Job>, display: Arc<Display>) -> Self {
        Self {
            link,
            events,
            display,
            noted: AtomicBool::new(false),
            in_round: AtomicBool::new(false),
            handlers: Mutex::new(&locks::INTERRUPTS, Handlers { running: 0, closed: false, place: Location::caller() }),
            ended: Condvar::new(),
        }
    }

    /// The handler: an interrupt has come.
    pub(crate) fn arrived(&self) {
        if is_inside_access() {
            self.noted.store(true, SeqCst);
            if !self.in_round.load(SeqCst) {
                self.events.nudge();
            }
        } else if let Some(_handler) = self.begin() {
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

    fn handle(&self) {
        // If the device is gone, the link has told the bus side, and the unplug does the rest.
        let Ok(report) = self.link.registers(|lb1, _| read(lb1)) else { return };
        for (ring, news) in (0..).zip(report.rings) {
            let Some((seqno, faulted)) = news else { continue };
            let ring = RingIndex(ring);
            self.events.hw_done(ring, seqno);
            // After the completions: a job that completed is not the one that faulted.
            if faulted {
                self.events.fault(ring, seqno);
            }
        }
        if report.blanked && !self.display.advance(&self.link) {
            self.display.ask_soon();
            self.events.nudge();
        }
    }

    /// From now on interrupts are ignored. Waits for those that are being handled.
    ///
    /// # Errors
    /// If one of them still is at `deadline`: where.
    pub(crate) fn close(&self, deadline: Instant) -> Result<(), &'static Location<'static>> {
        let mut handlers = self.handlers.lock();
        handlers.closed = true;
        while handlers.running > 0 && !HANDLES.get() {
            if self.ended.wait_until(&mut handlers, deadline).timed_out() {
                return if handlers.running == 0 { Ok(()) } else { Err(handlers.place) };
            }
        }
        Ok(())
    }

    #[track_caller]
    fn begin(&self) -> Option<Handler<'_>> {
        let mut handlers = self.handlers.lock();
        if handlers.closed {
            return None;
        }
        handlers.running += 1;
        handlers.place = Location::caller();
        drop(handlers);
        let outer = HANDLES.replace(true);
        Some(Handler { interrupts: self, outer })
    }
}

impl Drop for Handler<'_> {
    fn drop(&mut self) {
        HANDLES.set(self.outer);
        let mut handlers = self.interrupts.handlers.lock();
        handlers.running -= 1;
        let waited_for = handlers.closed && handlers.running == 0;
        drop(handlers);
        if waited_for {
            self.interrupts.ended.notify_all();
        }
    }
}

fn read(lb1: &Lb1<'_, dyn Bar + Send + Sync>) -> Result<Report, DriverError> {
    let interrupts = lb1.take_interrupts()?;
    let mut rings = [None; regs::MAX_RINGS as usize];
    for ring in interrupts.done().chain(interrupts.faulted()) {
        // The status bit may be from before a reset: the ring itself says whether it is stopped now.
        rings[usize::from(ring)] = Some(lb1.ring_report(ring)?);
    }
    Ok(Report { blanked: interrupts.flipped() || interrupts.blanked(), rings })
}
