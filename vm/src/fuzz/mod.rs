//! Drives the fuzzer in the guest (`lifeboat_guest::fuzz`), and takes the device away meanwhile.

mod commands;
pub mod report;

use std::time::{Duration, Instant};

use fastrand::Rng;
use lifeboat_guest::fuzz::FUZZ;
use lifeboat_guest::fuzz::report::{Options as GuestOptions, Report};
use lifeboat_guest::wire::{Condition, Request};
use lifeboat_uapi::Info;
use parking_lot::Mutex;

use crate::driver::DEBUGFS;
use crate::faults::Kind;
use crate::faults::kind::LOSSES;
use crate::fuzz::report::FuzzReport;
use crate::guest::agent::{AgentError, Pending, Reply};
use crate::host::process::Processes;
use crate::pace::{self, Flavour};
use crate::program::{Program, milliseconds};
use crate::setup::Environment;
use crate::suite::bench::{Bench, Card, PLAIN, Plan, Removals};
use crate::suite::failure::{Failure, expect};
use crate::suite::runner;

/// What a run is given.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Decides what each thread does, and what happens to the device.
    pub seed: u64,
    /// How long.
    pub seconds: u64,
    /// Threads in the guest.
    pub threads: u32,
    /// Whether the device is lost now and then, in the last two thirds of the time.
    pub losses: bool,
}

/// What the guest has.
pub const PLAN: Plan = Plan { card: Card::Gpu, gpu: true, removals: Removals::Untimed, ..PLAIN };

/// A job that hangs is ended soon, and a loss is noticed soon.
const PARAMETERS: &str = "health_ms=100 job_timeout_ms=500";
/// How long a call may take: it may wait for jobs that hang one after the other.
const CALL: Duration = Duration::from_mins(1);
/// What the fuzzer says goes into files of this name.
const SAID: &str = "/tmp/fuzz";
/// Longest time from one loss to the next, in milliseconds.
const GAP: u64 = 800;
const LOOK: Duration = Duration::from_millis(100);

/// What has happened so far, also if something fails then.
#[derive(Debug, Default)]
pub struct Progress {
    /// What was called.
    pub report: Report,
    /// Losses.
    pub losses: u64,
}

/// Runs the fuzzer in a guest of its own, as the runner runs a test. `tell` is told how far it is.
pub fn run(options: Options, environment: &Environment, processes: &Processes, tell: &dyn Fn(&str)) -> FuzzReport {
    let progress = Mutex::new(Progress::default());
    let body = |bench: &mut Bench<'_>| carry_out(bench, &options, &mut progress.lock(), tell);
    let suite = runner::Options { jobs: 1, keep: false };
    let test = runner::run_alone("fuzz_by_hand", &PLAN, &body, environment, suite, processes);
    let Progress { report, losses } = progress.into_inner();
    FuzzReport::new(&options, test, report, losses, environment.flavour == Flavour::Debug)
}

/// Runs the fuzzer, and gives what it has said; the device works afterwards, and nobody holds it.
///
/// # Errors
/// Something is wrong: a call, the device, or the guest.
pub fn carry_out(
    bench: &mut Bench<'_>,
    options: &Options,
    progress: &mut Progress,
    tell: &dyn Fn(&str),
) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load(PARAMETERS)?;
    driver.works(1)?;
    let ended = start(bench, options)?;
    let ended = disturb(bench, options, ended, progress, tell)?;
    let said = bench.machine.agent.read(&format!("{SAID}.out"));
    let complained = bench.machine.agent.read(&format!("{SAID}.err")).unwrap_or_default();
    if let Ok(report) = serde_json::from_str(&said?) {
        progress.report = report;
    }
    let code = ended?.number()?;
    let last = complained.lines().rfind(|line| !line.ends_with(" operations")).unwrap_or_default();
    expect(code == 0, || match code {
        0.. => format!("the fuzzer ended with code {code}: {last}"),
        signal => format!("the fuzzer was ended by signal {}: {last}", -signal),
    })?;
    let findings = &progress.report.findings;
    expect(findings.is_empty(), || format!("{} findings, the first: {}", findings.len(), findings[0]))?;
    works_and_is_free(bench)
}

/// Starts the fuzzer.
fn start(bench: &Bench<'_>, options: &Options) -> Result<Pending, Failure> {
    let agent = &bench.machine.agent;
    let program = Program::start(agent)?;
    let info = program.open(&bench.driver().nodes()?.render)?.info(Info::default())?;
    program.kill()?;
    let given = GuestOptions {
        seed: options.seed,
        run_ms: options.seconds * 1000,
        threads: options.threads,
        limit_ms: milliseconds(bench.limit(CALL)),
        info,
        commands: commands::commands(&info),
    };
    let arguments =
        [FUZZ.to_owned(), serde_json::to_string(&given).map_err(std::io::Error::from).map_err(AgentError::from)?];
    let limit = Duration::from_secs(options.seconds) + 2 * CALL;
    let request = Request::Run {
        program: "/init".to_owned(),
        arguments: arguments.into(),
        said: SAID.to_owned(),
        limit_ms: milliseconds(bench.limit(limit)),
    };
    Ok(agent.start(request, limit + pace::COMMAND)?)
}

/// Loses the device again and again, and brings it back, until the fuzzer ends.
fn disturb(
    bench: &Bench<'_>,
    options: &Options,
    mut pending: Pending,
    progress: &mut Progress,
    tell: &dyn Fn(&str),
) -> Result<Result<Reply, AgentError>, Failure> {
    let mut random = Rng::with_seed(options.seed);
    let began = Instant::now();
    let time = Duration::from_secs(options.seconds);
    let mut next = time / 3;
    let mut told = Instant::now();
    loop {
        pending = match pending.ended() {
            Ok(ended) => return Ok(ended),
            Err(pending) => pending,
        };
        let elapsed = began.elapsed();
        if options.losses && (next..time).contains(&elapsed) {
            let kind = LOSSES[random.usize(..LOSSES.len())];
            let named = |failure: Failure| Failure::Unexpected(format!("{kind}: {failure}"));
            kind.strike(bench, &mut random).map_err(named)?;
            if kind == Kind::FallOff {
                bench.driver().is_lost()?;
            }
            progress.losses += 1;
            std::thread::sleep(Duration::from_millis(random.u64(..50)));
            kind.recover(bench).map_err(named)?;
            next = began.elapsed() + bench.limit(Duration::from_millis(random.u64(..GAP)));
        }
        if told.elapsed() > Duration::from_secs(1) {
            told = Instant::now();
            let said = bench.machine.agent.read(&format!("{SAID}.err"))?;
            let last = said.lines().next_back().unwrap_or_default();
            tell(&format!("{} of {} s: {last}, {} losses", elapsed.as_secs(), options.seconds, progress.losses));
        }
        std::thread::sleep(LOOK);
    }
}

/// The device works as a new one does; and when it is unbound, nothing refers to any that there was.
fn works_and_is_free(bench: &Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.unbind()?;
    let holders = format!("{DEBUGFS}/holders");
    bench.machine.agent.wait_until(&holders, Condition::Is(String::new()), pace::DRIVER)?;
    driver.bind()?;
    driver.works(1)
}
