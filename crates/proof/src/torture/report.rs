//! What `cargo xtask torture` reports.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::coverage::{Coverage, Met};
use super::kind::Kind;
use super::process::Footprint;
use super::statistics::Distribution;
use super::tally::Counts;
use lifeboat_cli::exit::Exit;

/// What was done, and what was wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TortureReport {
    /// The driver that was put to the proof.
    pub driver: &'static str,
    /// Faults, each with the full return of the devices.
    pub cycles: u64,
    /// How many in a second.
    pub cycles_per_s: f64,
    /// How many things were wrong.
    pub failures: usize,
    /// How long unplugs took, from the announcement to the release.
    pub unplug_us: Distribution,
    /// How long it took from what happened to all devices working again.
    pub recovery_us: Distribution,
    /// Which events have met the lifecycle of a device in which state, and how often.
    pub coverage: Coverage,
    /// What repeats it.
    pub seed: u64,
    /// How long it took.
    pub seconds: f64,
    /// Devices that were unplugged.
    pub unplugs: u64,
    /// Devices that were wedged.
    pub wedged: u64,
    /// Dumps that were taken of devices.
    pub dumps: u64,
    /// Each kind of fault: how often it was planned and has happened, and in which states of a slot it was met.
    pub faults: BTreeMap<Kind, Met>,
    /// Steps that clients of each kind have made: a handful of calls each, or a burst of accesses.
    pub clients: BTreeMap<&'static str, u64>,
    /// What the process had at first, when everything was set up.
    pub begin: Footprint,
    /// What it had in the end, with everything still set up.
    pub end: Footprint,
    /// What was wrong.
    pub failed: Vec<Failure>,
    /// The user has ended it.
    pub interrupted: bool,
}

/// Something that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// In which cycle.
    pub cycle: u64,
    /// What.
    pub wrong: String,
    /// The command that repeats it, if anything does: threads run as they run.
    pub repeat: String,
}

impl TortureReport {
    pub(super) fn new(driver: &'static str, counts: Counts, seed: u64, took: Duration, failed: Vec<Failure>) -> Self {
        let seconds = took.as_secs_f64();
        #[allow(clippy::cast_precision_loss)] // nobody runs so many
        let cycles = counts.cycles as f64;
        Self {
            driver,
            cycles: counts.cycles,
            cycles_per_s: if seconds > 0.0 { cycles / seconds } else { 0.0 },
            failures: failed.len(),
            unplug_us: counts.unplugs.distribution(),
            recovery_us: counts.recoveries.distribution(),
            coverage: counts.coverage,
            seed,
            seconds,
            unplugs: counts.unplugs.count(),
            wedged: counts.wedged,
            dumps: counts.dumps,
            faults: counts.faults,
            clients: counts.clients,
            begin: Footprint::default(),
            end: Footprint::default(),
            failed,
            interrupted: false,
        }
    }

    /// What to tell the shell.
    pub fn exit(&self) -> Exit {
        match (self.failures, self.interrupted) {
            (0, false) => Exit::Success,
            (0, true) => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cycle {}: {}", self.cycle, self.wrong)?;
        write!(f, "    {}", self.repeat)
    }
}

impl fmt::Display for TortureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24}{:>10}{:>10}  met while its slot was", "fault", "planned", "happened")?;
        for (kind, Met { planned, happened, states }) in &self.faults {
            let states: Vec<_> = states.iter().map(|(state, count)| format!("{state} {count}")).collect();
            writeln!(f, "{:24}{planned:>10}{happened:>10}  {}", kind.to_string(), states.join(" · "))?;
        }
        writeln!(f, "\n{:24}{:>10}", "clients", "steps")?;
        for (client, steps) in &self.clients {
            writeln!(f, "{client:24}{steps:>10}")?;
        }
        writeln!(f, "\n{:24}{:>10}{:>10}{:>10}", "microseconds", "median", "p99", "max")?;
        for (name, times) in [("unplug", self.unplug_us), ("recovery", self.recovery_us)] {
            writeln!(f, "{name:24}{:>10}{:>10}{:>10}", times.median, times.p99, times.max)?;
        }
        writeln!(f, "\n{:24}{:>10}{:>10}", "the process", "at first", "at last")?;
        let shown = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
        for (name, of) in [
            ("memory, KiB", (|it| it.rss_bytes.map(|bytes| bytes / 1024)) as fn(&Footprint) -> Option<u64>),
            ("threads", |it| it.threads),
            ("descriptors", |it| it.descriptors),
        ] {
            writeln!(f, "{name:24}{:>10}{:>10}", shown(of(&self.begin)), shown(of(&self.end)))?;
        }
        let Coverage { seen, of, .. } = &self.coverage;
        writeln!(f, "\n{seen} of the {of} pairs of a slot's state and an event have come to pass")?;
        for (state, events) in self.coverage.missing() {
            writeln!(f, "    not while {state}: {}", events.join(", "))?;
        }
        for failure in &self.failed {
            writeln!(f, "\n{failure}")?;
        }
        let Self { driver, cycles, seconds, cycles_per_s, unplugs, wedged, dumps, seed, .. } = self;
        write!(
            f,
            "\n{cycles} cycles of {driver} in {seconds:.1} s, {cycles_per_s:.0} a second, {unplugs} unplugs, {wedged} wedged, {dumps} dumps, "
        )?;
        write!(f, "seed {seed}: ")?;
        match (self.failures, self.interrupted) {
            (0, false) => writeln!(f, "OK, every answer was right."),
            (0, true) => writeln!(f, "interrupted; every answer was right."),
            (1, _) => writeln!(f, "1 FAILED."),
            (count, _) => writeln!(f, "{count} FAILED."),
        }
    }
}
