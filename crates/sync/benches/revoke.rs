//! Cost of a revoke: without readers, with a thousand idle readers, and with a reader inside a
//! section that is about to end.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use lifeboat_sync::barrier::Mode;
use lifeboat_sync::{Reader, Revocable};
use rustix::thread::{MembarrierCommand, membarrier};

const LIMIT: Duration = Duration::from_secs(10);

/// Part of a round that is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Membarrier,
    Revoke,
}

/// Runs rounds of a bare barrier and a revoke, and measures one of them. So both meet the same
/// state of the machine: the cost of a barrier depends on where the other threads of the process
/// run.
fn rounds(iterations: u64, measured: Part) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..iterations {
        let revocable = Revocable::new(7_u64);
        let began = Instant::now();
        let passed = membarrier(MembarrierCommand::PrivateExpedited);
        let between = Instant::now();
        let revoked = revocable.revoke(LIMIT);
        took += if measured == Part::Membarrier { between - began } else { between.elapsed() };
        assert!(passed.is_ok() && revoked.is_ok());
    }
    took
}

fn idle(c: &mut Criterion) {
    let mut group = c.benchmark_group("revoke");
    // `membarrier` is refused before the process has registered.
    assert_eq!(Mode::current(), Mode::Membarrier, "nothing to compare with");
    // A second thread is busy. Without it, the kernel knows that no other processor needs the
    // barrier.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                std::hint::spin_loop();
            }
        });
        let _over = Over(&over);
        group.bench_function("membarrier", |bencher| bencher.iter_custom(|n| rounds(n, Part::Membarrier)));
        group.bench_function("no reader", |bencher| bencher.iter_custom(|n| rounds(n, Part::Revoke)));
        let other = Revocable::new(());
        let readers: Vec<_> = (0..1000).map(|number| Reader::new(format!("reader {number}"))).collect();
        for reader in &readers {
            assert!(other.try_access_by(reader, |()| ()).is_some());
        }
        group.bench_function("1,000 idle readers", |bencher| bencher.iter_custom(|n| rounds(n, Part::Revoke)));
    });
    group.finish();
}

/// Stops the busy thread when dropped, even after a panic.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Measures the time from the end of the last section to the return of the revoke.
fn busy(c: &mut Criterion) {
    c.benchmark_group("revoke").bench_function("after the last section", |bencher| {
        bencher.iter_custom(|iterations| (0..iterations).map(|_| after_the_last_section()).sum());
    });
}

fn after_the_last_section() -> Duration {
    let revocable = Revocable::new(7_u64);
    let inside = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            revocable.try_access_with(|_| {
                inside.store(true, SeqCst);
                // Long enough for the revoker to go to sleep.
                let began = Instant::now();
                while began.elapsed() < Duration::from_micros(500) {
                    std::hint::spin_loop();
                }
                Instant::now()
            })
        });
        while !inside.load(SeqCst) {
            std::hint::spin_loop();
        }
        assert!(revocable.revoke(LIMIT).is_ok());
        let returned = Instant::now();
        let ended = reader.join().ok().flatten();
        ended.map_or(Duration::ZERO, |ended| returned.saturating_duration_since(ended))
    })
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots()
}

criterion_group! { name = benches; config = config(); targets = idle, busy }
criterion_main!(benches);
