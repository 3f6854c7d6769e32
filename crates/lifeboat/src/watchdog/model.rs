//! The watchdog by random schedules: who comes, goes, stays or tears down while it looks.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p lifeboat --lib watchdog::model`. A model has no time: a pause is
//! over when the schedule says so, so a section of any length may be found at all looks, or at none. A watchdog that
//! misses what never ends leaves a wait without an end, and that is found.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::sync::Arc;

use lifeboat_core::overstay::Overstay;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::DriverError;
use lifeboat_pci::{Bar, BusError, ConfigSpace, Function, HostMemory, Iova, IrqHandler};
use lifeboat_sync::lint;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use shuttle::sync::mpsc::{Receiver, channel};
use shuttle::thread;

use super::*;
use crate::hardware::Hardware;
use crate::link::Sections;

static REPORTS: lint::Class = lint::Class::new("model.reports");
const SCHEDULES: usize = 2_000;
/// Switches of threads at chosen moments, of the half of all runs that choose them.
const DEPTH: usize = 3;

fn explore(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scenario.clone(), SCHEDULES);
    shuttle::check_pct(scenario, SCHEDULES, DEPTH);
}

/// A function without BARs.
struct Bare;

impl Function for Bare {
    fn location(&self) -> &str {
        "0000:01:00.0"
    }
    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        unreachable!("nobody asks")
    }
    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        Err(BusError::NoSuchBar(index))
    }
    fn dma_map(&self, _: &Arc<HostMemory>) -> Result<Iova, BusError> {
        Err(BusError::Unsupported)
    }
    fn dma_unmap(&self, _: Iova) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }
    fn irq_enable(&self, _: u8, _: IrqHandler) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }
    fn irq_disable(&self) {}
    fn release(&self) {}
}

/// A link, and what it has reported.
struct Watchee {
    link: Arc<Link>,
    reports: Arc<AtomicUsize>,
    told: Receiver<Loss>,
}

impl Watchee {
    fn new() -> Self {
        let function: Arc<dyn Function> = Arc::new(Bare);
        let reports = Arc::new(AtomicUsize::new(0));
        let (counted, (tell, told)) = (reports.clone(), channel());
        // Callable by all threads at once, as a report must be.
        let tell = Mutex::new(&REPORTS, tell);
        let report = move |loss| {
            counted.fetch_add(1, SeqCst);
            let tell = tell.lock().clone();
            let _ = tell.send(loss);
        };
        let link = Link::new(Hardware::new(&function, &[]).unwrap(), true, Box::new(report));
        Self { link: Arc::new(link), reports, told }
    }

    fn watched_by(&self, watchdog: &Watchdog) -> Watching {
        watchdog.watch(&self.link, Duration::ZERO).unwrap()
    }

    /// What the link says is of a piece. Gives whether the watchdog has found an overstay.
    fn has_overstayed(&self) -> bool {
        let found = self.link.overstay().is_some();
        assert_eq!(self.reports.load(SeqCst), usize::from(found), "reported, and not found, or more than once");
        assert_eq!(self.link.is_asked_nothing(), found);
        assert_eq!(self.link.code(|| ()), if found { Err(DriverError::Stuck) } else { Ok(()) });
        found
    }
}

/// What no thread of the model finds again is not looked at for ever: its thread ends by itself.
fn ends(watchdog: &Watchdog) {
    while watchdog.0.state.lock().runs {
        thread::yield_now();
    }
    assert!(watchdog.0.state.lock().watched.is_empty());
}

/// Links come and go, so that the watchdog's thread ends and begins; one that never returns is found all the same.
#[test]
fn drv_3_what_never_returns_is_found_whoever_comes_and_goes_meanwhile() {
    explore(|| {
        let watchdog = Watchdog::default();
        let visitors = [0; 2].map(|_| {
            let watchdog = watchdog.clone();
            thread::spawn(move || {
                let watchee = Watchee::new();
                let watching = watchee.watched_by(&watchdog);
                let result = watchee.link.code(|| ());
                drop(watching);
                let found = watchee.link.overstay().is_some();
                assert!(result == Ok(()) || found, "{result:?}");
            })
        });
        let watchee = Watchee::new();
        let watching = watchee.watched_by(&watchdog);
        // Does not return before it is found.
        let found = watchee.link.code(|| watchee.told.recv().unwrap());
        assert_eq!(found, Ok(Loss::Crashed), "its own result comes from code that did return");
        assert!(watchee.has_overstayed());
        drop(watching);
        for visitor in visitors {
            visitor.join().unwrap();
        }
        ends(&watchdog);
    });
}

/// The section ends at the moment at which the watchdog is about to say that it does not.
#[test]
fn drv_3_a_section_that_ends_as_the_watchdog_fires_is_found_or_not_and_nothing_between() {
    let (found, missed) =
        (Arc::new(std::sync::atomic::AtomicUsize::new(0)), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let (counts_found, counts_missed) = (found.clone(), missed.clone());
    explore(move || {
        let watchdog = Watchdog::default();
        let watchee = Watchee::new();
        let watching = watchee.watched_by(&watchdog);
        let _ = watchee.link.code(|| {
            for _ in 0..Overstay::LOOKS {
                thread::yield_now();
            }
        });
        // What is found from now on was open before.
        drop(watching);
        ends(&watchdog);
        let count = if watchee.has_overstayed() { &counts_found } else { &counts_missed };
        count.fetch_add(1, SeqCst);
    });
    let least = SCHEDULES / 100;
    assert!(found.load(SeqCst) > least && missed.load(SeqCst) > least, "{found:?} {missed:?}");
}

/// An unplug ends the watch, cuts the registers off and drops the link, while the watchdog fires.
#[test]
fn drv_3_a_teardown_while_the_watchdog_fires_keeps_nothing() {
    explore(|| {
        let watchdog = Watchdog::default();
        let watchee = Watchee::new();
        let watching = watchee.watched_by(&watchdog);
        let link = Arc::downgrade(&watchee.link);
        let driver = {
            let link = watchee.link.clone();
            thread::spawn(move || {
                let _ = link.code(thread::yield_now);
            })
        };
        let unplug = thread::spawn(move || {
            watchee.link.blow_fuse();
            drop(watching);
            assert!(watchee.reports.load(SeqCst) <= 1);
            drop(watchee);
        });
        driver.join().unwrap();
        unplug.join().unwrap();
        ends(&watchdog);
        assert_eq!(link.strong_count(), 0, "the link is kept");
    });
}

/// A probe's thread is left behind, or it goes on; never both.
#[test]
fn drv_3_a_probe_that_returns_as_it_is_left_behind_fails_or_is_waited_for() {
    explore(|| {
        let watchdog = Watchdog::default();
        let watchee = Watchee::new();
        let watching = watchee.watched_by(&watchdog);
        let over = Arc::new(AtomicBool::new(false));
        let probe = {
            let (link, over) = (watchee.link.clone(), over.clone());
            thread::spawn(move || {
                let result = link.bound().unwrap().code(|| {
                    for _ in 0..Overstay::LOOKS {
                        thread::yield_now();
                    }
                });
                over.store(true, SeqCst);
                result
            })
        };
        let mut abandoned = false;
        while !abandoned && !over.load(SeqCst) {
            abandoned = watchee.link.abandons_callback();
            thread::yield_now();
        }
        let result = probe.join().unwrap();
        if abandoned {
            assert_eq!(result, Err(DriverError::Stuck), "the probe goes on though nobody waits for it");
        } else {
            assert!(result == Ok(()) || watchee.link.overstay().is_some(), "{result:?}");
        }
        drop(watching);
        ends(&watchdog);
    });
}
