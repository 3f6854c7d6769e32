//! What the fuzzer has found, for people and for programs.

use std::fmt;
use std::time::Duration;

use lifeboat_guest::fuzz::report::Report;
use serde::Serialize;

use crate::fuzz::Options;
use crate::suite::report::{Outcome, TestReport};

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct FuzzReport {
    /// Seed of everything that is left to chance.
    pub seed: u64,
    /// Threads.
    pub threads: u32,
    /// Seconds of fuzzing.
    pub seconds: u64,
    /// The verdict: on calls, the kernel's log, leaks, and what the GPU has seen.
    pub outcome: Outcome,
    /// Why it failed.
    pub failure: Option<String>,
    /// Losses of the device meanwhile.
    pub losses: u64,
    /// What was called.
    pub calls: Report,
    /// Calls that never succeeded or never failed.
    pub poor: Vec<String>,
    /// How to do the same again.
    pub repeat: String,
}

impl FuzzReport {
    /// Puts together what is known when the guest has gone.
    pub(super) fn new(options: &Options, test: TestReport, calls: Report, losses: u64, debug: bool) -> Self {
        let kernel = if debug { " --debug-kernel" } else { "" };
        let calm = if options.losses { "" } else { " --no-losses" };
        let Options { seed, seconds, threads, .. } = *options;
        Self {
            seed,
            threads,
            seconds,
            outcome: test.outcome,
            failure: test.failure,
            losses,
            poor: calls.poor(),
            calls,
            repeat: format!("cargo xtask vm fuzz --seed {seed} --seconds {seconds} --threads {threads}{calm}{kernel}"),
        }
    }

    /// Whether nothing was wrong.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }
}

impl fmt::Display for FuzzReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, errnos) in &self.calls.counts {
            let succeeded = errnos.get(&0).copied().unwrap_or(0);
            write!(f, "{name:<28} {succeeded:>8}")?;
            errnos
                .iter()
                .filter(|(errno, _)| **errno != 0)
                .try_for_each(|(errno, count)| write!(f, "  {}:{count}", errno_name(*errno)))?;
            writeln!(f)?;
        }
        let Self { seed, threads, seconds, losses, .. } = self;
        let (longest, call) = &self.calls.longest;
        writeln!(
            f,
            "{} operations by {threads} threads in {seconds} s, {losses} losses; the longest took {:.1} ms ({call})",
            self.calls.operations,
            Duration::from_micros(*longest).as_secs_f64() * 1e3
        )?;
        for poor in &self.poor {
            writeln!(f, "poor coverage: {poor}")?;
        }
        for finding in &self.calls.findings {
            writeln!(f, "finding: {finding}")?;
        }
        match &self.failure {
            None => write!(f, "nothing was wrong; seed {seed}"),
            Some(failure) => write!(f, "FAILED: {failure}\nagain: {}", self.repeat),
        }
    }
}

fn errno_name(errno: i32) -> String {
    let names = [
        (1, "EPERM"),
        (2, "ENOENT"),
        (4, "EINTR"),
        (6, "ENXIO"),
        (7, "E2BIG"),
        (9, "EBADF"),
        (11, "EAGAIN"),
        (12, "ENOMEM"),
        (13, "EACCES"),
        (14, "EFAULT"),
        (17, "EEXIST"),
        (19, "ENODEV"),
        (22, "EINVAL"),
        (25, "ENOTTY"),
        (28, "ENOSPC"),
        (38, "ENOSYS"),
        (62, "ETIME"),
        (95, "EOPNOTSUPP"),
        (122, "EDQUOT"),
        (125, "ECANCELED"),
    ];
    names.iter().find(|(number, _)| *number == errno).map_or_else(|| errno.to_string(), |(_, name)| (*name).to_owned())
}
