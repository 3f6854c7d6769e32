//! Costs of our driver's calls, jobs and losses in a guest, beside peers of the guest's own kernel.
//!
//! One boot, and everything in rounds: each round measures every subject once, so that whatever disturbs the host disturbs all
//! of them alike. There is no verdict: an emulated processor has no times of its own, and only ratios of one run mean something.

mod calls;
mod losses;
pub mod report;

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use crate::card::hotplug::SLOT;
use crate::guest::machine::MachineError;
use crate::host::process::Processes;
use crate::pace;
use crate::setup::Environment;
use crate::speed::report::Report;
use crate::suite::bench::{Bench, Card, PLAIN, Plan};
use crate::suite::failure::Failure;
use crate::suite::{judge, runner};

/// The peer: a driver of the kernel's own without hardware, which is loaded beside ours all the time.
const PEER: &str = "vgem";

/// A module that does nothing when it is unloaded: what the unloading itself costs.
const NOTHING: &str = "lru_cache";

const PLAN: Plan = Plan { card: Card::Gpu, gpu: true, drivers: &[PEER, NOTHING], ..PLAIN };

/// How often everything is measured.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// Of calls and of jobs.
    pub calls: u32,
    /// Of losses.
    pub losses: u32,
}

/// Boots a guest and measures in it. Says on standard error how far that is.
///
/// # Errors
/// The guest does not come up, something in it fails, or its kernel complains.
pub fn run(environment: &Environment, rounds: Rounds, processes: &Processes) -> Result<Report, Failure> {
    runner::prefer_guests();
    let folder = tempfile::Builder::new().prefix("lifeboat-vm-").tempdir().map_err(MachineError::Qemu)?;
    let progress = Progress::begin(2 * u64::from(rounds.calls) + u64::from(rounds.losses) + 3);
    progress.phase("booting");
    let mut bench = Bench::set_up(&PLAN, environment, folder.path(), processes)?;
    // Nothing of the driver's own disturbs, and no limit ends a job that is held up.
    bench.driver().load("health_ms=0 job_timeout_ms=120000")?;
    bench.driver().works(1)?;
    let kernel = bench.machine.agent.kernel().to_owned();
    let mut groups = calls::measure(&bench, rounds.calls, &progress)?;
    groups.push(losses::measure(&bench, rounds.losses, &progress)?);
    progress.phase("powering off");
    bench.driver().unload()?;
    let gpu = bench.take_gpu()?;
    let (log, ended) = bench.machine.power_off();
    ended?;
    gpu.finish(environment.flavour.limit(pace::SHUTDOWN))?;
    judge::judge(&log, &[])?;
    Ok(Report { kernel, flavour: environment.flavour, device: SLOT, groups })
}

/// How far the measuring is, for people: a bar on a terminal, else a line for each phase.
struct Progress(ProgressBar);

impl Progress {
    fn begin(steps: u64) -> Self {
        if !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} [{elapsed}] {wide_msg}");
        Self(ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn phase(&self, name: &'static str) {
        self.0.set_message(name);
        if self.0.is_hidden() {
            eprintln!("{name} ...");
        }
    }

    fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
