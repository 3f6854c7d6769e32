//! What can happen to any device between its driver and its model: an interposer, through which every access goes.
//!
//! Of what the device itself does wrong it knows nothing: that is the model's, as another [`Disturbance::Device`].

mod function;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_pci::Function;
use parking_lot::Mutex;

/// What every read of a register gives that is nonsense, with its offset in it.
const NONSENSE: u32 = 0x5ac3_a500;

/// Something that happens at an access.
pub enum Disturbance<D: 'static> {
    /// The device does something, before it sees the access.
    Device(fn(&D)),
    /// Its registers read nonsense for a moment.
    Garbage(Duration),
    /// Its BARs do not answer for a moment.
    SilentBars(Duration),
    /// Its configuration space does not answer for a moment.
    SilentConfig(Duration),
    /// Each register read takes so much longer.
    SlowReads(Duration),
    /// The access takes so long.
    Stalls(Duration),
    /// No interrupt arrives for a moment.
    NoInterrupts(Duration),
    /// The driver panics in the access.
    DriverPanics,
    /// The driver stands still after the access for so long.
    DriverStuck(Duration),
}

impl<D: 'static> Clone for Disturbance<D> {
    fn clone(&self) -> Self {
        *self
    }
}

/// Whatever the device is: nothing of it is in here.
impl<D: 'static> Copy for Disturbance<D> {}

/// What happens to one device, and the record of its accesses.
pub(crate) struct Watch<D: 'static> {
    device: D,
    accesses: AtomicU64,
    armed: Mutex<Vec<Armed<D>>>,
    lasting: Mutex<Lasting>,
}

struct Armed<D: 'static> {
    /// The number of the access.
    at: u64,
    what: Disturbance<D>,
    tell: Box<dyn Fn() + Send + Sync>,
}

/// Until when it goes on.
#[derive(Default)]
struct Lasting {
    garbage: Option<Instant>,
    silent_bars: Option<Instant>,
    silent_config: Option<Instant>,
    no_interrupts: Option<Instant>,
    slower: Duration,
}

/// Where an access goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    /// To a register: by code of the driver, or on its behalf.
    Register,
    /// To configuration space, by the bus side.
    Config,
}

/// What becomes of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Reaches,
    Vanishes,
    /// A read gives nonsense.
    Garbled,
}

impl<D: Send + Sync + 'static> Watch<D> {
    pub(crate) fn new(device: D) -> Self {
        Self { device, accesses: AtomicU64::new(0), armed: Mutex::default(), lasting: Mutex::default() }
    }

    pub(crate) fn device(&self) -> &D {
        &self.device
    }

    /// Accesses so far.
    pub(crate) fn accesses(&self) -> u64 {
        self.accesses.load(SeqCst)
    }

    /// Has something happen at the access of this number, counted from now on from 1, and calls `tell` then.
    pub(crate) fn arm(&self, at: u64, what: Disturbance<D>, tell: Box<dyn Fn() + Send + Sync>) {
        let mut armed = self.armed.lock();
        let at = self.accesses() + at;
        armed.push(Armed { at, what, tell });
    }

    /// A function all of whose accesses pass here.
    pub(crate) fn interpose(self: &Arc<Self>, inner: Arc<dyn Function>) -> Arc<dyn Function> {
        Arc::new(function::Interposed { inner, watch: self.clone() })
    }

    /// An access begins. What happens at it happens here, on the thread of the driver. Gives what becomes of the access,
    /// and how long the driver stands still after it.
    ///
    /// Not before: the framework keeps a driver that has stood still in its own code from the device, but cannot call back
    /// an access that stands still in the device (decision 22).
    fn access(&self, to: To, reads: bool) -> (Fate, Duration) {
        let due: Vec<_> = {
            let mut armed = self.armed.lock();
            let number = self.accesses.fetch_add(1, SeqCst) + 1;
            armed.extract_if(.., |armed| armed.at <= number).collect()
        };
        let mut stuck = Duration::ZERO;
        for Armed { what, tell, .. } in due {
            // Told first: the access may not come back.
            tell();
            match what {
                // The bus side's accesses are no driver's.
                Disturbance::DriverStuck(time) if to == To::Register => stuck = time,
                _ => self.happens(what, to),
            }
        }
        let lasting = self.lasting.lock();
        let goes_on = |until: Option<Instant>| until.is_some_and(|until| Instant::now() < until);
        let silent = if to == To::Register { lasting.silent_bars } else { lasting.silent_config };
        let fate = if goes_on(silent) {
            Fate::Vanishes
        } else if to == To::Register && goes_on(lasting.garbage) {
            Fate::Garbled
        } else {
            Fate::Reaches
        };
        let slower = if reads && to == To::Register { lasting.slower } else { Duration::ZERO };
        drop(lasting);
        if !slower.is_zero() {
            thread::sleep(slower);
        }
        (fate, stuck)
    }

    fn happens(&self, what: Disturbance<D>, to: To) {
        let until = |time: Duration| Some(Instant::now() + time);
        let mut lasting = self.lasting.lock();
        match what {
            Disturbance::Garbage(time) => lasting.garbage = until(time),
            Disturbance::SilentBars(time) => lasting.silent_bars = until(time),
            Disturbance::SilentConfig(time) => lasting.silent_config = until(time),
            Disturbance::NoInterrupts(time) => lasting.no_interrupts = until(time),
            Disturbance::SlowReads(time) => lasting.slower = time,
            Disturbance::Device(does) => {
                drop(lasting);
                does(&self.device);
            }
            Disturbance::Stalls(time) => {
                drop(lasting);
                thread::sleep(time);
            }
            Disturbance::DriverPanics if to == To::Register => {
                drop(lasting);
                // Without a message for each point.
                resume_unwind(Box::new("a mistake of the driver"));
            }
            Disturbance::DriverPanics | Disturbance::DriverStuck(_) => {}
        }
    }

    /// Whether an interrupt arrives.
    fn lets_interrupts_through(&self) -> bool {
        self.lasting.lock().no_interrupts.is_none_or(|until| Instant::now() >= until)
    }
}
