//! Cost of beginning and ending a section, beside other ways to guard an object that may be taken
//! away.
//!
//! `floor` is the least that any way could cost: checking a flag and loading. Each figure is
//! processor time per operation, that is, wall time times the processors in use, divided by the
//! number of operations. `cargo xtask bench sync` makes a table of ratios from the figures.

#![allow(unsafe_code)] // some peers have unsafe loads

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex, RwLock};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lifeboat_sync::{Gate, Reader, Revocable, lint};

/// Numbers of threads. The largest exceeds the processors of most machines that run this.
const THREADS: [usize; 4] = [1, 2, 4, 8];

/// Operations per iteration of criterion. Even the fewest operations must outweigh the start of the
/// threads.
const PORTION: u64 = 100_000;

/// Measures an operation. The operation is made anew for each thread, because it may have its own
/// state.
fn measure<O: FnMut() -> u64>(c: &mut Criterion, name: &str, operation: impl Fn() -> O + Sync) {
    let mut group = c.benchmark_group("sections");
    for threads in THREADS {
        group.bench_function(BenchmarkId::new(name, threads), |bencher| {
            bencher.iter_custom(|iterations| run(threads, iterations, &operation));
        });
    }
}

#[allow(clippy::cast_precision_loss)] // a handful of threads
#[allow(clippy::unwrap_used)] // a benchmark that panicked has no figure
fn run<O: FnMut() -> u64>(threads: usize, iterations: u64, operation: &(impl Fn() -> O + Sync)) -> Duration {
    let ready = Barrier::new(threads);
    // Each thread reads the clock itself, because a thread that only waits for the others may be
    // woken late.
    let timed = || {
        let mut operation = operation();
        black_box(operation());
        ready.wait();
        let began = Instant::now();
        for _ in 0..iterations * PORTION {
            black_box(operation());
        }
        (began, Instant::now())
    };
    let measured = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(timed)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let (began, ended): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
    let wall = ended.into_iter().max().zip(began.into_iter().min()).map_or(Duration::ZERO, |(end, begin)| end - begin);
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(threads);
    wall.mul_f64(processors as f64 / threads as f64 / PORTION as f64)
}

struct Flagged {
    gone: AtomicBool,
    value: u64,
}

fn ours(c: &mut Criterion) {
    let flagged = Flagged { gone: AtomicBool::new(false), value: 7 };
    measure(c, "floor", || || if flagged.gone.load(Relaxed) { 0 } else { *black_box(&flagged.value) });
    let revocable = Revocable::new(7_u64);
    measure(c, "Revocable::try_access_with", || || revocable.try_access_with(|value| *black_box(value)).unwrap_or(0));
    measure(c, "Revocable::try_access", || || revocable.try_access().map_or(0, |value| *black_box(&*value)));
    measure(c, "Revocable::try_access_by", || {
        let reader = Reader::new("bench");
        let revocable = &revocable;
        move || revocable.try_access_by(&reader, |value| *black_box(value)).unwrap_or(0)
    });
    let (gate, value) = (Gate::new(), 7_u64);
    measure(c, "Gate::run", || || gate.run(|| *black_box(&value)).unwrap_or(0));
    measure(c, "Gate::enter", || || gate.enter().map_or(0, |_section| *black_box(&value)));
    let bound = revocable.bound();
    measure(c, "Revocable::access", || || bound.as_ref().map_or(0, |bound| *black_box(revocable.access(bound))));
}

static CLASS: lint::Class = lint::Class::new("bench");

fn peers(c: &mut Criterion) {
    let pointer = crossbeam_epoch::Atomic::new(7_u64);
    measure(c, "crossbeam-epoch pin", || {
        || {
            let guard = crossbeam_epoch::pin();
            // SAFETY: the object is never retired.
            unsafe { pointer.load(Relaxed, &guard).as_ref() }.copied().unwrap_or(0)
        }
    });
    let collector = seize::Collector::new();
    let object = AtomicPtr::new(Box::into_raw(Box::new(7_u64)));
    measure(c, "seize enter", || {
        || {
            use seize::Guard as _;
            let guard = collector.enter();
            // SAFETY: the object is never retired.
            unsafe { *guard.protect(&object, std::sync::atomic::Ordering::Acquire) }
        }
    });
    let swap = arc_swap::ArcSwap::from_pointee(7_u64);
    measure(c, "arc-swap load", || || **swap.load());
    let hazard = haphazard::AtomicPtr::from(Box::new(7_u64));
    measure(c, "haphazard load", || {
        let mut pointer = haphazard::HazardPointer::new();
        let hazard = &hazard;
        move || hazard.safe_load(&mut pointer).copied().unwrap_or(0)
    });
    let locked = RwLock::new(7_u64);
    measure(c, "std RwLock read", || || locked.read().map_or(0, |value| *value));
    let locked = Mutex::new(7_u64);
    measure(c, "std Mutex", || || locked.lock().map_or(0, |value| *value));
    let locked = parking_lot::RwLock::new(7_u64);
    measure(c, "parking_lot RwLock read", || || *locked.read());
    let locked = parking_lot::Mutex::new(7_u64);
    measure(c, "parking_lot Mutex", || || *locked.lock());
    // The lint is off in release builds; this measures its remaining cost.
    let locked = lint::Mutex::new(&CLASS, 7_u64);
    measure(c, "lint::Mutex, lint off", || || *locked.lock());
    let shared = Arc::new(7_u64);
    measure(c, "Arc clone and drop", || || *shared.clone());
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots()
}

criterion_group! { name = benches; config = config(); targets = ours, peers }
criterion_main!(benches);
