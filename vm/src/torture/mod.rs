//! Clients of every kind, and one fault after the other: what `cargo xtask torture` does to the hosted stack, through ioctls.

pub mod report;
mod round;

use std::time::{Duration, Instant};

use fastrand::Rng;
use parking_lot::Mutex;

use crate::faults::Kind;
use crate::faults::kind::ALL;
use crate::host::process::Processes;
use crate::pace::Flavour;
use crate::setup::Environment;
use crate::suite::bench::{Bench, Card, PLAIN, Plan, Removals};
use crate::suite::failure::Failure;
use crate::suite::runner;
use crate::torture::report::{Tally, TortureReport};

/// What a run is given.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides what happens, and what clients do.
    pub seed: u64,
    /// How long.
    pub time: Duration,
    /// What may happen.
    pub kinds: Vec<Kind>,
}

/// What the guest has.
pub const PLAN: Plan = Plan { card: Card::Gpu, gpu: true, removals: Removals::Untimed, ..PLAIN };

/// A loss is noticed soon, and the driver recovers what it can.
const PARAMETERS: &str = "health_ms=100 recoveries=20 guilty_limit=1000";
/// When a job is taken for hung: no sound one takes so long, on a host that others use as well.
const JOB: Duration = Duration::from_secs(1);

impl Options {
    /// All kinds of faults.
    pub fn new(seed: u64, time: Duration) -> Self {
        Self { seed, time, kinds: ALL.iter().map(|(kind, _)| *kind).collect() }
    }
}

/// Runs in a guest of its own, judged as a test is. `tell` is told how far it is.
pub fn run(options: &Options, environment: &Environment, processes: &Processes, tell: &dyn Fn(&str)) -> TortureReport {
    let tally = Mutex::new(Tally::default());
    let body = |bench: &mut Bench<'_>| carry_out(bench, options, &mut tally.lock(), tell);
    let suite = runner::Options { jobs: 1, keep: false };
    let test = runner::run_alone("torture_by_hand", &PLAN, &body, environment, suite, processes);
    let debug = environment.flavour == Flavour::Debug;
    TortureReport::new(options.seed, options.time, test, tally.into_inner(), debug)
}

/// One cycle after the other until the time is over.
///
/// # Errors
/// Something is wrong; the message says in which cycle.
pub fn carry_out(
    bench: &mut Bench<'_>,
    options: &Options,
    tally: &mut Tally,
    tell: &dyn Fn(&str),
) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load(&format!("{PARAMETERS} job_timeout_ms={}", bench.limit(JOB).as_millis()))?;
    driver.works(1)?;
    let began = Instant::now();
    let mut random = Rng::with_seed(options.seed);
    let mut deck = Vec::new();
    while began.elapsed() < options.time {
        if deck.is_empty() {
            deck.clone_from(&options.kinds);
            random.shuffle(&mut deck);
        }
        let Some(kind) = deck.pop() else { break };
        let cycle = tally.cycles;
        tell(&format!("{} of {} s: cycle {cycle}, {kind}", began.elapsed().as_secs(), options.time.as_secs()));
        // Each cycle is decided by itself, as far as the seed decides.
        let mut of_cycle = random.fork();
        let played = round::play(bench, kind, &mut of_cycle);
        tally.add(kind, played.map_err(|failure| Failure::Unexpected(format!("cycle {cycle}, {kind}: {failure}")))?);
    }
    Ok(())
}
