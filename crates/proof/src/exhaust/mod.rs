//! `cargo xtask exhaust`: something happens to the device at every hardware access of every call, one run each (CALL-4).
//!
//! For each call of the table, for a session of all of them, for the driver's probe and for a forced unbind: the accesses of
//! an undisturbed run are counted, and then it is run again once for each of them, on a machine of its own, with the device
//! pulled out at exactly that access; once more with calls running past their entry check; once more with the device
//! hanging instead; and once more for each untidy thing that can happen to it ([`Mode`]). Whatever happens, calls answer as
//! their class allows and in time, every fence signals, every owed event arrives, nothing is left behind, and the driver
//! makes no mistake that the card could see. A device that is still there afterwards works on, or is bound again and works
//! then, or is given up with a reason.

mod dirty;
mod mode;
mod point;
mod report;
mod rig;
mod verdict;

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lifeboat_sync::lint;

pub use mode::Mode;
pub use point::{Deed, Point, Ran, run};
pub use report::{ExhaustReport, Failure, Line, Sample};

use lifeboat_cli::exit::Exit;
use lifeboat_cli::interrupt::Interrupt;
use rig::Manner;

use crate::drivers::Driver;
use crate::subject::Subject;

/// How often an undisturbed run is tried: on a busy machine a sound device may seem not to come out of its reset.
const TRIES: usize = 3;
/// Threads for each processor: most of a point is waiting.
const THREADS_PER_PROCESSOR: usize = 4;

const AFTER_HELP: &str = "\
All modes of lb1 together have some hundred thousand points, and take an hour or two; `--mode unplug --mode unchecked --mode hang` has \
those in which the device goes cleanly, or hangs, and takes minutes. --sample leaves most points out.

Each failure is printed with the arguments that repeat it. The points of a session with interrupts in it are not quite the same \
each time: an interrupt comes when it comes.

Exit codes: 0 every point was as it must be; 1 one was not; 2 the request makes no sense; 130 interrupted: what was found until then is printed.";

/// Arguments of `cargo xtask exhaust`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ExhaustArgs {
    /// The driver that is put to the proof
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub driver: Driver,

    /// Only this call (of LB1: see `lifeboat calls`), or `session`, `probe` or `unbind`
    #[arg(long, value_name = "NAME")]
    pub call: Option<String>,

    /// Only at this access, counted from 1
    #[arg(long, value_name = "N", requires = "call", value_parser = clap::value_parser!(u64).range(1..))]
    pub at: Option<u64>,

    /// Only what happens to the device in this way; may be given several times
    #[arg(long, value_name = "MODE", value_enum)]
    pub mode: Vec<Mode>,

    /// Every untidy mode: the device neither goes nor stays as it was, or its driver makes a mistake; with --mode, these too
    #[arg(long)]
    pub untidy: bool,

    /// Run only one point in N; --seed chooses which
    #[arg(long, value_name = "N", conflicts_with = "at")]
    pub sample: Option<NonZero<usize>>,

    /// Seed of the sample [default: a new one, shown in the report]
    #[arg(long, value_name = "N", requires = "sample")]
    pub seed: Option<u64>,

    /// Points at the same time [default: four for each processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZero<usize>>,

    /// Print one JSON object: {"driver","points","calls","failures","interrupted","seconds","table","failed","sample"}
    #[arg(long)]
    pub json: bool,

    /// Show no progress (none is shown either when standard error is not a terminal)
    #[arg(long, short)]
    pub quiet: bool,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No call has this name.
    #[error("{driver} has no call {name:?}; there are {}, session, probe and unbind", calls.join(", "))]
    NoSuchCall {
        /// Of which driver.
        driver: &'static str,
        /// Which.
        name: String,
        /// Those that there are.
        calls: Vec<&'static str>,
    },
    /// The model of the device cannot do this.
    #[error("the model of {driver} has no {mode}")]
    NoSuchMode {
        /// Of which driver.
        driver: &'static str,
        /// Which.
        mode: String,
    },
    /// It has fewer accesses.
    #[error("{deed} has no access {at}: undisturbed, it has {accesses}")]
    NoSuchAccess {
        /// What.
        deed: &'static str,
        /// Which.
        at: u64,
        /// How many there are, in the mode that has most.
        accesses: u64,
    },
    /// Nothing of the kind happens to that.
    #[error("{0} is not run in this mode; leave --mode out")]
    NotInThisMode(&'static str),
    /// Not even an undisturbed run is as it must be.
    #[error("{deed} fails although nothing happens to the device: {why}")]
    Broken {
        /// What.
        deed: &'static str,
        /// How.
        why: String,
    },
    /// There is not even a machine.
    #[error("no machine could be set up: {0}")]
    NoMachine(String),
}

impl Error {
    /// What to tell the shell.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSuchCall { .. } | Self::NoSuchMode { .. } | Self::NoSuchAccess { .. } | Self::NotInThisMode(_) => {
                Exit::BadInput
            }
            Self::Broken { .. } | Self::NoMachine(_) => Exit::Failed,
        }
    }
}

/// Does it.
///
/// # Errors
/// [`Error`]. Points that are not as they must be are in the report.
pub fn exhaust(args: &ExhaustArgs, interrupt: &Interrupt) -> Result<ExhaustReport, Error> {
    match args.driver {
        Driver::Lb1 => exhaust_of::<crate::drivers::Lb1>(args, interrupt),
        Driver::Edu => exhaust_of::<crate::drivers::Edu>(args, interrupt),
    }
}

fn exhaust_of<S: Subject>(args: &ExhaustArgs, interrupt: &Interrupt) -> Result<ExhaustReport, Error> {
    let began = Instant::now();
    lint::force(lint::Reaction::Keep);
    let deeds = chosen::<S>(args)?;
    let peer = S::peer().map_err(Error::NoMachine)?;
    let sample = args.sample.map(|every| Sample { every, seed: args.seed.unwrap_or_else(|| fastrand::u64(..)) });
    let mut plan = plan::<S>(&deeds, args.at, &peer, interrupt)?;
    plan.thin_out(sample);
    let bar = progress(plan.points.len(), args.quiet);
    let Results { failures, missed, left_out } = run_all::<S>(&plan.points, &peer, threads(args.jobs), &bar, interrupt);
    bar.finish_and_clear();
    // What was not run is in no count.
    plan.lines.iter_mut().for_each(|line| line.leave_out(&left_out));
    let lint = lint::take_reports().iter().map(ToString::to_string).collect();
    let lines = plan.lines.into_iter().map(|line| line.without(&missed)).collect();
    let report =
        ExhaustReport::new(S::NAME, lines, failures, lint, began.elapsed(), !left_out.is_empty() || plan.cut_short);
    Ok(ExhaustReport { sample, ..report })
}

/// What to do, and how.
fn chosen<S: Subject>(args: &ExhaustArgs) -> Result<Vec<(Deed, Mode)>, Error> {
    let all = args.mode.is_empty() && !args.untidy;
    let wanted = |mode: &Mode| all || args.mode.contains(mode) || args.untidy && mode.is_dirty();
    if let Some(mode) = args.mode.iter().find(|mode| !S::MODES.contains(mode)) {
        return Err(Error::NoSuchMode { driver: S::NAME, mode: crate::untidy::name(mode) });
    }
    let modes = || S::MODES.iter().copied().filter(wanted);
    let all = modes().flat_map(|mode| Deed::all::<S>(mode).map(move |deed| (deed, mode)));
    let Some(name) = &args.call else { return Ok(all.collect()) };
    let only = Deed::named::<S>(name).ok_or_else(|| Error::NoSuchCall {
        driver: S::NAME,
        name: name.clone(),
        calls: S::CALLS.iter().map(|call| call.name).collect(),
    })?;
    let chosen: Vec<_> = all.filter(|(deed, _)| *deed == only).collect();
    if chosen.is_empty() { Err(Error::NotInThisMode(only.name())) } else { Ok(chosen) }
}

struct Plan {
    lines: Vec<Line>,
    points: Vec<Point>,
    /// The user ended it before all was planned.
    cut_short: bool,
}

impl Plan {
    /// Leaves only the points of a sample.
    fn thin_out(&mut self, sample: Option<Sample>) {
        let Some(Sample { every, seed }) = sample else { return };
        // A sample of few points has one at least.
        let every = every.min(NonZero::new(self.points.len()).unwrap_or(NonZero::<usize>::MIN));
        let first = usize::try_from(seed % every.get() as u64).unwrap_or(0);
        let (kept, left_out): (Vec<_>, Vec<_>) =
            self.points.drain(..).enumerate().partition(|(number, _)| *number % every == first);
        self.points = kept.into_iter().map(|(_, point)| point).collect();
        let left_out: Vec<_> = left_out.into_iter().map(|(_, point)| point).collect();
        self.lines.iter_mut().for_each(|line| line.leave_out(&left_out));
    }
}

/// Counts the accesses of each deed, undisturbed, and makes a point of each.
fn plan<S: Subject>(
    deeds: &[(Deed, Mode)],
    at: Option<u64>,
    peer: &S::Peer,
    interrupt: &Interrupt,
) -> Result<Plan, Error> {
    let (mut lines, mut points) = (Vec::new(), Vec::new());
    let (mut beyond, mut most) = (None, 0);
    let mut cut_short = false;
    // Counts of accesses, shared by all modes that drive a deed in the same manner.
    let mut undisturbed: Vec<(Deed, Manner, u64)> = Vec::new();
    for &(deed, mode) in deeds {
        if interrupt.is_requested() {
            cut_short = true;
            break;
        }
        let manner = Manner::of(mode);
        let known = undisturbed.iter().find(|known| (known.0, known.1) == (deed, manner)).map(|known| known.2);
        let counted = match known {
            Some(counted) => counted,
            None => count::<S>(deed, mode, peer)?,
        };
        undisturbed.push((deed, manner, counted));
        // What touches no hardware is still tried once, with the loss right after it.
        let accesses = counted.max(1);
        let ats = match at {
            None => 1..=accesses,
            // A session's are not quite the same each time.
            Some(at) if at <= accesses || deed == Deed::Session => at..=at,
            Some(at) => {
                most = most.max(counted);
                beyond = Some(Error::NoSuchAccess { deed: deed.name(), at, accesses: most });
                continue;
            }
        };
        let count = ats.clone().count();
        lines.push(Line { call: deed.name(), mode, accesses: counted, points: count, reached: count });
        points.extend(ats.map(|at| Point { deed, mode, at: Some(at) }));
    }
    match beyond {
        Some(beyond) if points.is_empty() && !cut_short => Err(beyond),
        _ => Ok(Plan { lines, points, cut_short }),
    }
}

/// The accesses of a deed when nothing happens.
fn count<S: Subject>(deed: Deed, mode: Mode, peer: &S::Peer) -> Result<u64, Error> {
    let mut ran = run::<S>(&Point { deed, mode, at: None }, peer);
    for _ in 1..TRIES {
        if ran.wrongs.is_empty() {
            break;
        }
        ran = run::<S>(&Point { deed, mode, at: None }, peer);
    }
    match ran.wrongs.into_iter().next() {
        Some(why) => Err(Error::Broken { deed: deed.name(), why }),
        None => Ok(ran.accesses),
    }
}

fn threads(jobs: Option<NonZero<usize>>) -> usize {
    let processors = || thread::available_parallelism().map_or(1, NonZero::get);
    jobs.map_or_else(|| THREADS_PER_PROCESSOR * processors(), NonZero::get)
}

/// What came of the points.
#[derive(Default)]
struct Results {
    /// Those that are not as they must be, in order.
    failures: Vec<Failure>,
    /// Those that had no access.
    missed: Vec<Point>,
    /// Those that were not run, because the user has ended it.
    left_out: Vec<Point>,
}

/// Runs the points, several at a time.
fn run_all<S: Subject>(
    points: &[Point],
    peer: &S::Peer,
    threads: usize,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Results {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::new(), Vec::new()));
    let ran = Mutex::new(vec![false; points.len()]);
    thread::scope(|scope| {
        for _ in 0..threads.min(points.len()) {
            scope.spawn(|| {
                while let Some((number, point)) = take(points, &next).filter(|_| !interrupt.is_requested()) {
                    let Ran { wrongs, reached, .. } = run::<S>(point, peer);
                    let failure = (!wrongs.is_empty()).then(|| Failure::new(S::NAME, point, wrongs));
                    if let Some(failure) = &failure {
                        bar.println(failure.to_string());
                    }
                    // A thread that panicked with the lock has added its result or not.
                    let mut results = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    results.0.extend(failure.map(|failure| (number, failure)));
                    results.1.extend((!reached).then_some(*point));
                    ran.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[number] = true;
                    bar.inc(1);
                }
            });
        }
    });
    let (mut failures, missed) = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    failures.sort_by_key(|(number, _)| *number);
    let ran = ran.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let left_out = points.iter().zip(ran).filter(|(_, ran)| !ran).map(|(point, _)| *point).collect();
    Results { failures: failures.into_iter().map(|(_, failure)| failure).collect(), missed, left_out }
}

fn take<'a>(points: &'a [Point], next: &AtomicUsize) -> Option<(usize, &'a Point)> {
    let number = next.fetch_add(1, Relaxed);
    Some((number, points.get(number)?))
}

fn progress(points: usize, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(points as u64), target);
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed:>4} [{bar:40}] {human_pos}/{human_len} points  {eta} left")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
