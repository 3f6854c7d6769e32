//! Probe: looks at devices, each look in a process of its own.
//!
//! A read of a device can wait in the kernel for ever, and no signal ends such a wait. So the process is disposable: after its
//! deadline it is killed, which may have no effect, and reported as a sign. There is no second process for the device as long as
//! the first is there.
//!
//! The process is this very program under a hidden command. It gets the kind of look and the address as its last two arguments and
//! writes [`Answer::line`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lifeboat_recovery_policy::sign::{SignKind, Witness};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

pub use look::{Answer, Look, NoLook, look};

use super::report::{Observed, Report};
use super::{Moment, Sensor};
use crate::address::Address;

mod look;

/// Name of the sensor.
const NAME: &str = "probe";
/// Processes that run at once, without those that are past their deadline.
const AT_ONCE: usize = 4;
/// Bytes that are read of a process's output.
const LONGEST_OUTPUT: u64 = 4096;

/// State that is reported of a device whose look does not return.
pub const NO_ANSWER: &str = "no-answer";

/// Timing of looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Time between two looks at a device, and between two reports of one that does not return.
    pub period: Duration,
    /// Time after which a process is killed and its device reported.
    pub deadline: Duration,
}

/// Sensor that looks at devices.
#[derive(Debug)]
pub struct Prober {
    /// Program and first arguments of the process.
    command: Vec<OsString>,
    timing: Timing,
    targets: BTreeMap<(Address, Look), Target>,
}

/// Device that is looked at.
#[derive(Debug)]
struct Target {
    /// Whether the next look is wanted.
    wanted: bool,
    /// Uptime of the next look.
    due: Duration,
    running: Option<Running>,
}

/// Process that looks.
#[derive(Debug)]
struct Running {
    process: Child,
    /// Readable when the process has ended.
    ended: OwnedFd,
    /// Uptime at which the process is reported, for the first time or again.
    report_at: Duration,
    /// Whether the process is past its deadline.
    late: bool,
}

impl Prober {
    /// Creates a sensor that runs `command`, a program with its first arguments.
    pub fn new(command: Vec<OsString>, timing: Timing) -> Self {
        Self { command, timing, targets: BTreeMap::new() }
    }

    /// Chooses the devices to look at. The first looks at new devices are spread over the period.
    pub fn watch(&mut self, wanted: &[(Address, Look)], now: Moment) {
        for target in self.targets.values_mut() {
            target.wanted = false;
        }
        let share = self.timing.period / u32::try_from(wanted.len()).unwrap_or(u32::MAX).max(1);
        let mut due = now.uptime;
        for key in wanted {
            let target = self.targets.entry(*key).or_insert(Target { wanted: true, due, running: None });
            target.wanted = true;
            due += share;
        }
        self.targets.retain(|_, target| target.wanted || target.running.is_some());
    }

    /// Returns the devices whose look does not return.
    pub fn stuck(&self) -> impl Iterator<Item = (Address, Look)> {
        let late = |target: &Target| target.running.as_ref().is_some_and(|running| running.late);
        self.targets.iter().filter(move |(_, target)| late(target)).map(|(key, _)| *key)
    }

    /// Counts the processes that may yet answer.
    fn busy(&self) -> usize {
        let in_time = |target: &&Target| target.running.as_ref().is_some_and(|running| !running.late);
        self.targets.values().filter(in_time).count()
    }
}

impl Sensor for Prober {
    fn name(&self) -> &'static str {
        NAME
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.targets.values().filter_map(|target| Some(target.running.as_ref()?.ended.as_fd())).collect()
    }

    fn next_deadline(&self) -> Option<Duration> {
        // A device that waits for its turn gets it when a process ends, and a descriptor tells of that.
        let turn = self.busy() < AT_ONCE;
        let next = |target: &Target| match &target.running {
            Some(running) => Some(running.report_at),
            None => turn.then_some(target.due),
        };
        self.targets.values().filter_map(next).min()
    }

    fn read(&mut self, now: Moment, reports: &mut Vec<Report>) -> io::Result<()> {
        for ((address, look), target) in &mut self.targets {
            if let Some(kind) = target.follow(*look, now, self.timing) {
                reports.push(Report::new(now.wall, Observed::sign(*address, kind, Witness::Probe)));
            }
        }
        self.targets.retain(|_, target| target.wanted || target.running.is_some());
        let mut free = AT_ONCE.saturating_sub(self.busy());
        for ((address, look), target) in &mut self.targets {
            if free > 0 && target.running.is_none() && target.due <= now.uptime {
                target.running = Some(start(&self.command, *look, *address, now.uptime + self.timing.deadline)?);
                free -= 1;
            }
        }
        Ok(())
    }
}

impl Target {
    /// Follows the process, and returns the sign that it gives.
    fn follow(&mut self, look: Look, now: Moment, timing: Timing) -> Option<SignKind> {
        let running = self.running.as_mut()?;
        // An error means that the process is no longer there.
        if matches!(running.process.try_wait(), Ok(None)) {
            if now.uptime < running.report_at {
                return None;
            }
            running.late = true;
            running.report_at = now.uptime + timing.period;
            // A process that waits in the kernel stays, and a process that has just ended needs none.
            let _ = running.process.kill();
            return Some(SignKind::State { source: look.name().into(), state: NO_ANSWER.into() });
        }
        let answer = running.answer();
        self.running = None;
        self.due = now.uptime + timing.period;
        match answer? {
            Answer::AllOnes => Some(SignKind::AllOnes),
            Answer::Critical => Some(SignKind::State { source: look.name().into(), state: "critical".into() }),
            Answer::Works | Answer::Absent | Answer::Asleep(_) | Answer::Unreadable(_) => None,
        }
    }
}

impl Running {
    /// Reads the answer of a process that has ended. `None` if the process has failed or was killed.
    fn answer(&mut self) -> Option<Answer> {
        let mut output = Vec::new();
        // The process is the only holder of the other end, so nothing is waited for.
        self.process.stdout.take()?.take(LONGEST_OUTPUT).read_to_end(&mut output).ok()?;
        Answer::from_output(&String::from_utf8_lossy(&output))
    }
}

fn start(command: &[OsString], look: Look, address: Address, report_at: Duration) -> io::Result<Running> {
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "the probe has no program");
    let (program, arguments) = command.split_first().ok_or_else(missing)?;
    let mut process = Command::new(program)
        .args(arguments)
        .args([look.name(), &address.to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let number = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let ended = number
        .ok_or(io::ErrorKind::InvalidData.into())
        .and_then(|number| pidfd_open(number, PidfdFlags::empty()).map_err(io::Error::from));
    match ended {
        Ok(ended) => Ok(Running { process, ended, report_at, late: false }),
        Err(error) => {
            let _ = process.kill();
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
