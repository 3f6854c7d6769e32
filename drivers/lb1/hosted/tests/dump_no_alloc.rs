//! Nothing is allocated while the state of a device is captured: it happens on the way that may end in declaring the device
//! wedged (WEDGE-5), when there may be no memory.
//!
//! All allocations of the process are counted, so that this file has one test.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use lifeboat::dump::Reason;
use lifeboat::{Listeners, Policy};
use lifeboat_gpu::{Card, Config, Slot};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_pci::Function;
use lifeboat_sync::lint::{self, Reaction};
use machine::{Client, LONG};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Long enough for the device to come to rest before its job is overdue.
const JOB_TIMEOUT: Duration = Duration::from_millis(1500);

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

#[test]
fn wedge_4_a_capture_allocates_nothing() {
    // It remembers what it has seen.
    lint::force(Reaction::Off);
    let (captured, at_capture) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let listeners = {
        let (captured, at_capture) = (captured.clone(), at_capture.clone());
        Listeners::none().on_dump(move || {
            at_capture.store(allocations(), SeqCst);
            captured.store(true, SeqCst);
        })
    };
    let policy = Policy { job_timeout: JOB_TIMEOUT, ..Policy::default() };
    let slot = Slot::new("0000:01:00.0");
    slot.insert(Card::new(Config::default()).unwrap()).unwrap();
    let function: Arc<dyn Function> = slot.function().unwrap();
    let module = lifeboat_lb1_hosted::module();
    let binding = module.probe(&function, &policy, listeners).unwrap();
    let client = Client::new(&binding.device().unwrap());
    client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    let hung = client.submit(0, &[Work::Hang], &[]);
    let others: Vec<_> =
        (0..200).map(|at| client.submit(at % 2, &[Work::Nop; 3], std::slice::from_ref(&hung))).collect();
    // The worker has given the job to the device, and sleeps; the device hangs.
    std::thread::sleep(JOB_TIMEOUT / 5);
    assert!(!captured.load(SeqCst), "the machine is too slow for this test");
    let before = allocations();
    let began = Instant::now();
    while !captured.load(SeqCst) {
        assert!(began.elapsed() < LONG, "there is no capture");
        std::thread::yield_now();
    }
    assert_eq!(at_capture.load(SeqCst) - before, 0, "allocations on the way to the dump");
    // It was a whole one.
    let dumps = binding.take_dumps();
    assert_eq!(dumps.len(), 1);
    assert_eq!(dumps[0].reason, Reason::JobTimeout { ring: 0 });
    assert!(dumps[0].jobs.len() > 100 && dumps[0].guilty.is_some() && !dumps[0].rings[0].descriptors.is_empty());
    assert_eq!(binding.last_dump().as_ref(), dumps.first());
    assert!(hung.wait(LONG).is_err());
    drop((others, client));
    drop(binding);
    module.unload().unwrap();
}
