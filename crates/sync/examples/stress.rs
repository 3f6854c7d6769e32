//! Stress test: many readers against a revoker that revokes all the time. No access may happen
//! after a revoke has returned.
//!
//! `cargo run --release -p lifeboat-sync --example stress -- --time 60s` runs it. Under
//! `AddressSanitizer` and valgrind, an access to a dropped object is an error by itself. Without
//! them, a poison in the object and a flag detect it.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use clap::Parser;
use lifeboat_sync::barrier::Mode;
use lifeboat_sync::{Gate, Reader, Revocable};

const ALIVE: u64 = 0x600d_600d_600d_600d;
const POISON: u64 = 0xdead_dead_dead_dead;

/// Stress the sections of `lifeboat-sync`.
#[derive(Parser)]
struct Args {
    /// Duration of the test.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// Number of threads that access the object.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    readers: u16,
    /// Pause between two revokes; the object is replaced after each.
    #[arg(long, default_value = "1ms", value_parser = humantime::parse_duration)]
    every: Duration,
    /// Rest of a reader after a few thousand sections. Without rest, readers keep one another from
    /// running, and the revoker waits for readers that were interrupted inside a section.
    #[arg(long, default_value = "1ms", value_parser = humantime::parse_duration)]
    rest: Duration,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Sections of a reader between two rests.
const PORTION: u64 = 2048;

/// Object that the readers access.
struct Payload {
    words: [AtomicU64; 16],
    /// Flag that is set when a revoke has returned.
    revoked: Arc<AtomicBool>,
}

impl Payload {
    fn check(&self, failures: &AtomicU64) {
        let alive = || self.words.iter().all(|word| word.load(Relaxed) == ALIVE) && !self.revoked.load(SeqCst);
        if !alive() || !alive() {
            failures.fetch_add(1, SeqCst);
        }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.words.iter().for_each(|word| word.store(POISON, Relaxed));
    }
}

/// Objects that are revoked and replaced together.
struct World {
    gate: Gate,
    object: Revocable<Box<Payload>>,
    revoked: Arc<AtomicBool>,
}

impl World {
    fn new() -> Arc<Self> {
        let revoked = Arc::new(AtomicBool::new(false));
        let words = std::array::from_fn(|_| AtomicU64::new(ALIVE));
        let object = Revocable::new(Box::new(Payload { words, revoked: revoked.clone() }));
        Arc::new(Self { gate: Gate::new(), object, revoked })
    }
}

struct Stress {
    world: Mutex<Arc<World>>,
    over: AtomicBool,
    failures: AtomicU64,
    sections: AtomicU64,
}

impl Stress {
    fn world(&self) -> MutexGuard<'_, Arc<World>> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts sections in portions, because a counter that all threads share would dominate the
    /// measurement.
    fn count(&self, sections: &mut u64, rest: Duration) {
        *sections += 1;
        if sections.is_multiple_of(PORTION) {
            self.sections.fetch_add(PORTION, Relaxed);
            std::thread::sleep(rest);
        }
    }
}

/// Runs one reader thread, which enters in one of several ways.
fn read(shared: &Stress, kind: u16, rest: Duration) {
    let (mut world, mut sections) = (shared.world().clone(), 0);
    let mut reader = Reader::new("stress");
    while !shared.over.load(Relaxed) {
        let check = |payload: &Payload| payload.check(&shared.failures);
        let open = match kind % 6 {
            0 => world.object.try_access_with(|payload| check(payload)).is_some(),
            1 => world.object.try_access().map(|payload| check(&payload)).is_some(),
            2 => world.object.try_access_by(&reader, |payload| check(payload)).is_some(),
            // Nested deeper than a slot has places.
            3 => world
                .gate
                .run(|| {
                    let guards: Vec<_> = (0..6).map_while(|_| world.object.try_access()).collect();
                    for payload in &guards {
                        check(payload);
                    }
                    !guards.is_empty()
                })
                .unwrap_or(false),
            // Ends on another thread, with a reader that is made and dropped each time.
            4 => {
                reader = Reader::new("moving");
                world
                    .gate
                    .enter_with(&reader)
                    .is_some_and(|section| std::thread::scope(|scope| scope.spawn(|| drop(section)).join().is_ok()))
            }
            _ => world.object.bound().map(|payload| check(&payload)).is_some(),
        };
        shared.count(&mut sections, rest);
        if !open {
            world.clone_from(&shared.world());
            std::thread::yield_now();
        }
    }
}

/// Revokes one world after the other. Returns the number of worlds and the longest revoke.
fn revoke(shared: &Stress, args: &Args, over: &mpsc::Receiver<()>) -> Result<(u64, Duration), String> {
    let (mut revokes, mut longest) = (0, Duration::ZERO);
    while over.recv_timeout(args.every) == Err(mpsc::RecvTimeoutError::Timeout) {
        let world = shared.world().clone();
        let began = Instant::now();
        world.gate.drain(Duration::from_secs(30)).map_err(|holdouts| holdouts.to_string())?;
        world.object.revoke(Duration::from_secs(30)).map_err(|holdouts| holdouts.to_string())?;
        longest = longest.max(began.elapsed());
        world.revoked.store(true, SeqCst);
        *shared.world() = World::new();
        revokes += 1;
    }
    Ok((revokes, longest))
}

fn main() -> ExitCode {
    let args = Args::parse();
    let shared = Stress {
        world: Mutex::new(World::new()),
        over: AtomicBool::new(false),
        failures: AtomicU64::new(0),
        sections: AtomicU64::new(0),
    };
    let (stop, over) = mpsc::channel();
    let (shared, args) = (&shared, &args);
    let result = std::thread::scope(|scope| {
        for kind in 0..args.readers {
            scope.spawn(move || read(shared, kind, args.rest));
        }
        let revoker = scope.spawn(move || revoke(shared, args, &over));
        std::thread::sleep(args.time);
        let _ = stop.send(());
        let result = revoker.join();
        shared.over.store(true, SeqCst);
        result
    });
    let (failures, sections) = (shared.failures.load(SeqCst), shared.sections.load(SeqCst));
    let (revokes, longest) = match result {
        Ok(Ok(result)) => result,
        Ok(Err(holdouts)) => {
            eprintln!("a revoke did not end in 30 s: {holdouts}");
            return ExitCode::FAILURE;
        }
        Err(_) => return ExitCode::FAILURE,
    };
    if args.json {
        println!(
            r#"{{"readers": {}, "sections": {sections}, "revokes": {revokes}, "longest_us": {}, "failures": {failures}}}"#,
            args.readers,
            longest.as_micros()
        );
    } else {
        println!(
            "{sections} sections by {} readers, {revokes} revokes (longest {longest:?}), by {:?}: {failures} accesses after a revoke",
            args.readers,
            Mode::current()
        );
    }
    if failures == 0 && revokes > 0 && sections > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
