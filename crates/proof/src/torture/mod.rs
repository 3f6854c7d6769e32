//! `cargo xtask torture`: everything at once, for a long time.
//!
//! Several machines of two devices each, with clients of every kind on them. One fault of a random kind after the other happens to
//! each, the devices come back, and everything is as it must be: calls answer as their class allows, every fence that was
//! ever given out signals and says what is true, events come once, maps are memory, nothing is left, no card has seen a
//! mistake, and nobody waits for ever. What happens is decided by the seed; when threads run is not.

mod activity;
mod clients;
mod coverage;
mod kind;
mod lane;
mod machine;
mod plan;
mod process;
mod report;
mod round;
mod statistics;
mod tally;
mod tortured;
mod verdict;
mod watchdog;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lifeboat_sync::lint;

pub use clients::Desk;
pub(crate) use clients::{Work, waiter};
pub use coverage::{Coverage, Met, Pair};
pub use kind::{Kind, Plain};
pub use plan::{Gust, Help, Plan};
pub use process::Footprint;
pub use report::{Failure, TortureReport};
pub(crate) use round::Standing;
pub use statistics::{Distribution, Durations};
pub use tortured::{Blamed, Nobody, Role, Tortured};

use crate::drivers::Driver;
use lane::Common;
use lifeboat_cli::exit::Exit;
use lifeboat_cli::interrupt::Interrupt;
use lifeboat_cli::usage::error_line;

/// How often the main thread looks around.
const LOOK: Duration = Duration::from_millis(20);
/// How long the run is, if nobody says.
const TIME: Duration = Duration::from_secs(10);
/// Cycles until the process is as large as it is going to be.
const WARM_UP: u64 = 200;

const AFTER_HELP: &str = "\
A cycle is one fault and the full return of the devices. Whatever happens is decided by the seed: the kind of each cycle's fault, at \
which access, job or reset it comes, how the devices are brought back, and what each client does, step by step. Each cycle is \
decided by itself, so --skip leads straight to one. Not decided are the moments at which threads run: a failure that depends on these \
may need several tries of the command that is printed with it, and a busy machine takes sound jobs for hung, which is allowed.

--json prints one object: {\"driver\",\"cycles\",\"cycles_per_s\",\"failures\",\"unplug_us\",\"recovery_us\",\"coverage\",\"faults\",\"seed\",..}; times are \
{\"median\",\"p99\",\"max\"} in microseconds.

The report says of each kind of fault in how many cycles it was planned, in how many all of it has happened, and in which \
states of a slot's lifecycle it was met. A kind that was planned in 20 cycles or more and has never happened is a failure.

If a thread stands still for longer than --limit, or devices do not work again for so long, that is a failure: what every thread is doing, with its fences and its sections, \
goes to standard error, and the run is over.

Exit codes: 0 every answer was right; 1 one was not; 2 the request makes no sense; 130 interrupted.";

/// Arguments of `cargo xtask torture`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TortureArgs {
    /// The driver that is put to the proof
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub driver: Driver,

    /// How many faults
    #[arg(long, value_name = "N", conflicts_with = "time", value_parser = clap::value_parser!(u64).range(1..))]
    pub cycles: Option<u64>,

    /// How long, 1s to 30d [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = time)]
    pub time: Option<Duration>,

    /// Seed of everything that is left to chance [default: a new one, shown in the report]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Machines at the same time, 1 to 64; part of what repeats a run
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub lanes: u64,

    /// Begin with this cycle, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u64,

    /// Only faults of this kind; may be given several times
    #[arg(long, value_name = "KIND", value_enum)]
    pub fault: Vec<Kind>,

    /// How long a thread may stand still, 100ms to 1h
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = limit)]
    pub limit: Duration,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Show no progress (none is shown either when standard error is not a terminal)
    #[arg(long, short)]
    pub quiet: bool,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not give what is needed.
    #[error("the torture cannot begin: {0}")]
    System(#[from] std::io::Error),
    /// The model of the device cannot do this.
    #[error("the model of {driver} has no {kind}")]
    NoSuchKind {
        /// Of which driver.
        driver: &'static str,
        /// Which.
        kind: Kind,
    },
}

impl Error {
    /// What to tell the shell.
    pub fn exit(&self) -> Exit {
        match self {
            Self::System(_) => Exit::Failed,
            Self::NoSuchKind { .. } => Exit::BadInput,
        }
    }
}

/// Does it. If threads have not ended by then, as after a stall, the report says so, and only the end of the process ends them.
///
/// # Errors
/// [`Error`]. Whatever else is wrong is in the report.
pub fn torture(args: &TortureArgs, interrupt: &Interrupt) -> Result<TortureReport, Error> {
    match args.driver {
        Driver::Lb1 => torture_of::<crate::drivers::Lb1>(args, interrupt),
        Driver::Edu => torture_of::<crate::drivers::Edu>(args, interrupt),
    }
}

fn torture_of<S: Tortured>(args: &TortureArgs, interrupt: &Interrupt) -> Result<TortureReport, Error> {
    lint::force(lint::Reaction::Keep);
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let all = S::kinds();
    if let Some(kind) = args.fault.iter().copied().find(|kind| !all.contains(kind)) {
        return Err(Error::NoSuchKind { driver: S::NAME, kind });
    }
    // A driver that stands still takes the limits of a whole run: only if it is asked for.
    let usual: Vec<Kind> = all.iter().copied().filter(|kind| !kind.keeps_threads()).collect();
    let kinds = if args.fault.is_empty() { &usual } else { &args.fault };
    let common = Arc::new(Common {
        seed,
        lanes: args.lanes,
        cycles: args.skip..args.cycles.map_or(u64::MAX, |cycles| args.skip.saturating_add(cycles)),
        kinds: kinds.clone(),
        limit: args.limit,
        tally: tally::Tally::default(),
        activities: activity::Activities::default(),
        stop: false.into(),
        running: 0.into(),
    });
    let before = Footprint::now();
    let began = Instant::now();
    let threads = (0..args.lanes).map(|lane| lane::start::<S>(lane, &common)).collect::<Result<Vec<_>, _>>();
    let threads = threads.inspect_err(|_| common.stop.store(true, SeqCst))?;
    let mut watched = watch(args, &common, began, interrupt);
    let took = began.elapsed();
    if !watched.stalled {
        for thread in threads {
            if thread.join().is_err() {
                watched.remarks.push("a conductor panicked; standard error says where".to_owned());
            }
        }
        watched.remarks.extend(grown(&before));
    }
    let counts = common.tally.counts();
    watched.remarks.extend(unmet(&counts));
    let last = args.skip.saturating_add(counts.cycles).saturating_sub(1);
    let found = counts.failures.clone().into_iter().chain(watched.remarks.into_iter().map(|remark| (last, remark)));
    let failed =
        found.map(|(cycle, wrong)| Failure { cycle, wrong, repeat: repeat(S::NAME, args, seed, cycle) }).collect();
    let interrupted = interrupt.is_requested();
    let Watched { begin, end, .. } = watched;
    Ok(TortureReport { begin, end, interrupted, ..TortureReport::new(S::NAME, counts, seed, took, failed) })
}

/// What the main thread has seen.
#[derive(Default)]
struct Watched {
    begin: Footprint,
    end: Footprint,
    stalled: bool,
    remarks: Vec<String>,
}

/// Looks on until it is over.
fn watch(args: &TortureArgs, common: &Common, began: Instant, interrupt: &Interrupt) -> Watched {
    let time = args.time.or_else(|| args.cycles.is_none().then_some(TIME));
    let bar = progress(args, time);
    let mut watched = Watched::default();
    while common.running.load(SeqCst) > 0 {
        thread::sleep(LOOK);
        let cycles = common.tally.cycles();
        bar.set_position(if time.is_some() { began.elapsed().as_secs() } else { cycles });
        bar.set_message(format!("{cycles} cycles"));
        if cycles <= WARM_UP {
            watched.begin = Footprint::now();
        }
        if common.running.load(SeqCst) as u64 == common.lanes {
            watched.end = Footprint::now();
        }
        let lint = lint::take_reports();
        watched.remarks.extend(lint.iter().map(|report| format!("the lint has seen: {report}")));
        let over = interrupt.is_requested() || time.is_some_and(|time| began.elapsed() >= time);
        if over || common.tally.is_enough() || !watched.remarks.is_empty() {
            common.stop.store(true, SeqCst);
        }
        let stalled = common.activities.stalled(args.limit);
        if !stalled.is_empty() {
            bar.finish_and_clear();
            // Each line for itself: an error is a line.
            watchdog::account(&common.activities, args.limit).lines().for_each(error_line);
            watched.remarks.extend(stalled.iter().map(|seen| format!("stands still: {seen}")));
            watched.stalled = true;
            return watched;
        }
    }
    bar.finish_and_clear();
    watched
}

/// What the process has more than before, when everything is switched off.
fn grown(before: &Footprint) -> Vec<String> {
    let after = Footprint::now();
    let more = |what: &str, before: Option<u64>, after: Option<u64>| {
        let (before, after) = (before?, after?);
        (after > before).then(|| format!("there were {before} {what} at first, and now there are {after}"))
    };
    let threads = more("threads", before.threads, after.threads);
    threads.into_iter().chain(more("descriptors", before.descriptors, after.descriptors)).collect()
}

/// Kinds of faults that were planned often, and have never happened: nothing was shown of them.
fn unmet(counts: &tally::Counts) -> Vec<String> {
    let never = counts.faults.iter().filter(|(_, met)| met.never_happened());
    let say = |(kind, met): (&Kind, &Met)| format!("{kind} was planned {} times, and has never happened", met.planned);
    never.map(say).collect()
}

/// The command that does the same up to a cycle.
fn repeat(driver: &str, args: &TortureArgs, seed: u64, cycle: u64) -> String {
    let cycles = cycle.saturating_sub(args.skip).saturating_add(1);
    let skip = if args.skip > 0 { format!(" --skip {}", args.skip) } else { String::new() };
    let faults: String = args.fault.iter().flat_map(|kind| [" --fault ".to_owned(), kind.to_string()]).collect();
    format!(
        "cargo xtask torture --driver {driver} --seed {seed} --lanes {} --cycles {cycles}{skip}{faults}",
        args.lanes
    )
}

fn progress(args: &TortureArgs, time: Option<Duration>) -> ProgressBar {
    let target = if args.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let length = time.map(|time| time.as_secs()).or(args.cycles);
    let bar = ProgressBar::with_draw_target(length, target);
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} [{bar:40}] {msg}  {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn time(text: &str) -> Result<Duration, String> {
    between(text, Duration::from_secs(1), Duration::from_hours(30 * 24), "give a time from 1s to 30d, such as 1m")
}

fn limit(text: &str) -> Result<Duration, String> {
    between(text, Duration::from_millis(100), Duration::from_hours(1), "give a time from 100ms to 1h, such as 10s")
}

fn between(text: &str, least: Duration, most: Duration, advice: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; {advice}"))?;
    if (least..=most).contains(&time) { Ok(time) } else { Err(advice.to_owned()) }
}
