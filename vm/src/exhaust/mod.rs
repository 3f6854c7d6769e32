//! Something happens to the device at every hardware access of every call, one run each (CALL-4).
//!
//! One guest, and in it a program that makes the calls. For each call of a node, for the driver's probe and for its removal,
//! the accesses of an undisturbed run are counted. Then the call is made again for each of these accesses, and exactly then the
//! device falls off the bus, or hangs, falls silent, or answers nonsense; and once more with calls that run past the entry
//! check (the module's parameter `race`). Whatever happens: calls return in time, with an answer that their class allows; every
//! fence signals, with an error that fits; maps can be read and written; files close. A device that is lost is unbound, and a
//! sound card in its place is bound and works; one that hangs works on. The kernel says nothing that it must not say, and the
//! device has witnessed no mistake.
//!
//! QEMU reads configuration space on its own when a driver is bound or unbound. These accesses are points of `bind` and `unbind`
//! like those of the driver.

mod call;
mod mode;
mod plan;
mod point;
pub mod report;
mod rig;
mod verdict;
mod world;

use std::io::{IsTerminal, stderr};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::guest::machine::MachineError;
use crate::host::process::Processes;
use crate::pace;
use crate::setup::Environment;
use crate::suite::bench::{Bench, Card, PLAIN, Plan};
use crate::suite::failure::Failure;
use crate::suite::{judge, runner};

pub use mode::Mode;
pub use plan::Choice;
use plan::Line;
use point::{Deed, Point, Ran};
use report::Report;
use rig::{PEER, Rig};

/// A guest for a search.
pub const PLAN: Plan = Plan { card: Card::Gpu, gpu: true, drivers: &[PEER], ..PLAIN };

/// What is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// One call, `bind` or `unbind`; all if there is none.
    pub call: Option<String>,
    /// One access, from 1; all if there is none.
    pub at: Option<u64>,
    /// What happens to the device.
    pub modes: Vec<Mode>,
    /// The race switch: off, on, or both.
    pub races: Vec<bool>,
    /// Which points.
    pub choice: Choice,
}

/// Why there is nothing to search.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No call has this name.
    #[error("there is no call {name}; there are {}", .calls.join(", "))]
    NoSuchCall {
        /// Which.
        name: String,
        /// Those that there are.
        calls: Vec<&'static str>,
    },
    /// The guest, or not even an undisturbed run is as it must be.
    #[error(transparent)]
    Guest(#[from] Failure),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Guest(failure) => failure,
            Error::NoSuchCall { .. } => Self::Unexpected(error.to_string()),
        }
    }
}

/// Boots a guest and searches in it.
///
/// # Errors
/// There is no such call, the guest does not come up, or its kernel complains in the end. Points that are not as they must be
/// are in the report.
pub fn run(environment: &Environment, search: &Search, processes: &Processes) -> Result<Report, Error> {
    deeds(search)?;
    runner::prefer_guests();
    let folder = tempfile::Builder::new().prefix("lifeboat-vm-").tempdir();
    let folder = folder.map_err(|error| Failure::from(MachineError::Qemu(error)))?;
    let mut bench = Bench::set_up(&PLAN, environment, folder.path(), processes)?;
    let report = search_in(&bench, search, &Progress::shown(), &|| processes.interrupted())?;
    let gpu = bench.take_gpu()?;
    let (log, ended) = bench.machine.power_off();
    if report.passed() {
        ended.map_err(Failure::from)?;
        gpu.finish(environment.flavour.limit(pace::SHUTDOWN)).map_err(Failure::from)?;
        judge::of_this_kernel(environment.flavour, log, &[]).map_err(Failure::from)?;
    }
    Ok(report)
}

/// Searches in a guest that is up, until `interrupted` says that it is enough.
///
/// # Errors
/// As [`run`].
pub fn search_in(
    bench: &Bench<'_>,
    search: &Search,
    progress: &Progress,
    interrupted: &dyn Fn() -> bool,
) -> Result<Report, Error> {
    let began = Instant::now();
    let mut rig = Rig::new(bench).map_err(|broken| broken.0)?;
    let lines = lines(&mut rig, search, progress)?;
    let mut points = plan::points(&lines, search.choice);
    if let Some(at) = search.at {
        points.retain(|point| point.at == Some(at));
    }
    progress.begin(points.len());
    let seed = match search.choice {
        Choice::All => None,
        Choice::Some { seed, .. } => Some(seed),
    };
    let mut ran: Vec<(Point, Ran)> = Vec::new();
    let mut broken = None;
    for point in points {
        if interrupted() {
            break;
        }
        progress.point(&point);
        let result = rig.load(point.mode, point.race).and_then(|()| point::run(&mut rig, &point));
        match result {
            Ok(result) => {
                progress.ended(&point, &result);
                ran.push((point, result));
            }
            Err(error) => {
                let wrongs = vec![format!("no further point can be run: {error}")];
                ran.push((point, Ran { wrongs, ..Ran::default() }));
                broken = Some(error);
                break;
            }
        }
    }
    if broken.is_none() && !interrupted() {
        rig.unload().map_err(|broken| broken.0)?;
    }
    let mut report = Report::new(bench.flavour(), seed, &lines, &ran, began.elapsed());
    report.interrupted = interrupted();
    Ok(report)
}

fn deeds(search: &Search) -> Result<Vec<Deed>, Error> {
    let Some(name) = &search.call else { return Ok(Deed::all().collect()) };
    let unknown = || Error::NoSuchCall { name: name.clone(), calls: Deed::all().map(Deed::name).collect() };
    Ok(vec![Deed::named(name).ok_or_else(unknown)?])
}

/// Counts the accesses of each call, undisturbed. What happens to the device does not change that.
fn lines(rig: &mut Rig<'_>, search: &Search, progress: &Progress) -> Result<Vec<Line>, Error> {
    let deeds = deeds(search)?;
    progress.counting();
    let mut lines = Vec::new();
    for deed in deeds {
        let point = Point { deed, mode: Mode::Gone, race: false, at: None };
        let counted =
            rig.load(point.mode, point.race).and_then(|()| point::run(rig, &point)).map_err(|broken| broken.0)?;
        if let Some(wrong) = counted.wrongs.first() {
            let what = format!("{} fails although nothing happens to the device: {wrong}", deed.name());
            return Err(Failure::Unexpected(what).into());
        }
        for &race in &search.races {
            let modes = search.modes.iter().filter(|mode| deed.is_run(**mode, race));
            lines.extend(modes.map(|&mode| Line { deed, mode, race, accesses: counted.accesses }));
        }
    }
    Ok(lines)
}

/// How far a search is, for people.
#[derive(Debug)]
pub struct Progress(ProgressBar, bool);

/// Points between two lines, where there is no bar.
const LINE_EVERY: u64 = 50;

impl Progress {
    /// A bar on a terminal, else a line now and then.
    pub fn shown() -> Self {
        if !stderr().is_terminal() {
            return Self(ProgressBar::hidden(), true);
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} [{elapsed}] {wide_msg}");
        Self(ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())), false)
    }

    /// Only failures.
    pub fn quiet() -> Self {
        Self(ProgressBar::hidden(), false)
    }

    fn counting(&self) {
        self.0.set_message("counting accesses");
    }

    fn begin(&self, points: usize) {
        self.0.set_length(points as u64);
    }

    fn point(&self, point: &Point) {
        self.0.set_message(point.to_string());
        if self.1 && self.0.position() % LINE_EVERY == 0 {
            eprintln!("{} of {} points; {point} ...", self.0.position(), self.0.length().unwrap_or(0));
        }
    }

    fn ended(&self, point: &Point, ran: &Ran) {
        self.0.inc(1);
        if !ran.wrongs.is_empty() {
            let failed = report::FailedPoint { repeat: point.to_string(), wrongs: ran.wrongs.clone() };
            self.0.suspend(|| eprintln!("{failed}"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
