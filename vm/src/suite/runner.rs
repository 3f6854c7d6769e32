//! Runs tests, several at a time, each in a guest of its own, and gives the verdict.

use std::any::Any;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use parking_lot::Mutex;
use rustix::process::setpriority_process;
use tempfile::TempDir;

use crate::driver::removal::Removal;
use crate::guest::machine::MachineError;
use crate::host::process::Processes;
use crate::pace::{self, Flavour};
use crate::setup::Environment;
use crate::suite::bench::{Bench, Plan, Removals};
use crate::suite::checkers;
use crate::suite::failure::{Failure, expect};
use crate::suite::judge;
use crate::suite::report::{Outcome, SuiteReport, TestReport};
use crate::suite::test::Test;

/// What a loaded module of ours may leave in `/proc/sys/kernel/tainted`: that it is not in Debian's tree, and not signed.
const OURS: u64 = 1 << 12 | 1 << 13;

/// What a complaint leaves there that a test provokes.
const WARNED: u64 = 1 << 9;

/// The priority of what a test runs on (as of `nice`).
///
/// Removing a dead device is three to six milliseconds of computing in the kernel, on an emulated processor: a thread of QEMU
/// that has to share the host's processors with whatever else runs there. Among eight busy loops on two processors that became
/// up to 45 ms in a handful of runs; with this priority, up to 16.
const PRIORITY: i32 = -10;

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many guests at a time.
    pub jobs: usize,
    /// Keep what tests leave behind even if they pass.
    pub keep: bool,
}

/// Runs tests, and tells `progress` of each when it has ended. Those that want to be alone run last and one by one; on the debug kernel,
/// where no removal is timed, beside others.
pub fn run(
    tests: &[Test],
    environment: &Environment,
    options: Options,
    processes: &Processes,
    progress: &(impl Fn(&TestReport) + Sync),
) -> SuiteReport {
    prefer_guests();
    let started = Instant::now();
    let reports: Mutex<Vec<Option<TestReport>>> = Mutex::new(vec![None; tests.len()]);
    let in_turn = |queue: &Mutex<VecDeque<usize>>| {
        while let Some(number) = { queue.lock().pop_front() } {
            let report = run_one(&tests[number], environment, options, processes);
            progress(&report);
            reports.lock()[number] = Some(report);
        }
    };
    let (alone, together): (VecDeque<_>, VecDeque<_>) =
        (0..tests.len()).partition(|number| tests[*number].alone && environment.flavour == Flavour::Stock);
    let together = Mutex::new(together);
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, tests.len().max(1)) {
            scope.spawn(|| in_turn(&together));
        }
    });
    in_turn(&Mutex::new(alone));
    let tests = reports.into_inner().into_iter().flatten().collect();
    SuiteReport { flavour: environment.flavour, seconds: started.elapsed().as_secs_f64(), tests }
}

/// Gives this thread, and so all that it starts, the priority of what a test runs on.
pub fn prefer_guests() {
    if let Err(errno) = setpriority_process(None, PRIORITY) {
        eprintln!("guests get no priority over other programs ({errno}): on a busy host, removals may seem slow");
    }
}

/// What is done with a guest that is up.
pub type Body<'a> = dyn Fn(&mut Bench<'_>) -> Result<(), Failure> + 'a;

fn run_one(test: &Test, environment: &Environment, options: Options, processes: &Processes) -> TestReport {
    run_plan(test.name, &test.plan, &test.body, environment, options, processes)
}

/// Runs something that is no test of the suite, and judges it like one. It has the priority of its caller: nothing in it is timed.
pub fn run_alone(
    name: &'static str,
    plan: &Plan,
    body: &Body<'_>,
    environment: &Environment,
    options: Options,
    processes: &Processes,
) -> TestReport {
    run_plan(name, plan, body, environment, options, processes)
}

fn run_plan(
    name: &'static str,
    plan: &Plan,
    body: &Body<'_>,
    environment: &Environment,
    options: Options,
    processes: &Processes,
) -> TestReport {
    let started = Instant::now();
    let mut remove_us = Vec::new();
    let mut artefacts = None;
    let kept = environment.artefacts.join(name);
    let result = in_a_folder(|folder| {
        discard(&kept)?;
        let caught =
            catch_unwind(AssertUnwindSafe(|| carry_out(plan, body, environment, folder, processes, &mut remove_us)));
        let result = caught.unwrap_or_else(|panic| Err(Failure::Unexpected(panic_message(panic.as_ref()))));
        let keep = options.keep || result.is_err() && !processes.interrupted();
        if keep {
            artefacts = Some(keep_artefacts(folder, &kept)?);
        }
        result
    });
    let outcome = match &result {
        Ok(()) => Outcome::Passed,
        Err(_) if processes.interrupted() => Outcome::Interrupted,
        Err(_) => Outcome::Failed,
    };
    let failure = result.err().filter(|_| outcome == Outcome::Failed).map(|failure| failure.to_string());
    TestReport { name, outcome, seconds: started.elapsed().as_secs_f64(), remove_us, failure, artefacts }
}

fn in_a_folder(work: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    // Short, because the names of sockets are limited to 107 bytes.
    let folder = tempfile::Builder::new().prefix("lifeboat-vm-").tempdir().map_err(MachineError::Qemu)?;
    work(TempDir::path(&folder))
}

fn carry_out(
    plan: &Plan,
    body: &Body<'_>,
    environment: &Environment,
    folder: &Path,
    processes: &Processes,
    remove_us: &mut Vec<u64>,
) -> Result<(), Failure> {
    let mut bench = Bench::set_up(plan, environment, folder, processes)?;
    let mut result = body(&mut bench).and_then(|()| stay_quiet(&bench, plan));
    let gpus = bench.take_gpus();
    let (log, ended) = match &result {
        Ok(()) => bench.machine.power_off(),
        // Whatever state it is in: its log is what is wanted.
        Err(_) => (bench.machine.into_log(), Ok(())),
    };
    result = result.and(ended.map_err(Failure::from));
    for gpu in gpus {
        result = result.and_then(|()| Ok(gpu.finish(environment.flavour.limit(pace::SHUTDOWN))?));
    }
    let removals = Removal::all_in(&log);
    remove_us.extend(removals.iter().map(|removal| u64::try_from(removal.took.as_micros()).unwrap_or(u64::MAX)));
    for removal in removals.iter().filter(|_| plan.removals == Removals::Timed) {
        result = result.and_then(|()| removal.in_time(environment.flavour));
    }
    let expected = plan.expected(environment.flavour);
    match (result, judge::of_this_kernel(environment.flavour, log, &expected)) {
        (Ok(()), verdict) => Ok(verdict?),
        (Err(failure), Ok(())) => Err(failure),
        // The log says what happened, the failure how it was noticed.
        (Err(failure), Err(verdict)) => Err(Failure::Unexpected(format!("{failure}; {verdict}"))),
    }
}

/// Unloads the module. Work that it left behind then has time to do its damage, and the guest must be there afterwards.
fn stay_quiet(bench: &Bench<'_>, plan: &Plan) -> Result<(), Failure> {
    let machine = &bench.machine;
    if bench.driver().is_loaded()? {
        bench.driver().unload()?;
    }
    expect(machine.console.lives_on_for(bench.limit(pace::QUIET)), || "the guest died after the test".to_owned())?;
    machine.agent.ping()?;
    if bench.flavour() == Flavour::Debug {
        checkers::ask(bench)?;
    }
    let tainted = machine.agent.read("/proc/sys/kernel/tainted")?;
    let allowed = if plan.expected(bench.flavour()).is_empty() { OURS } else { OURS | WARNED };
    let unexpected = tainted.trim().parse::<u64>().map(|tainted| tainted & !allowed);
    expect(unexpected == Ok(0), || format!("the kernel says that it is tainted: {}", tainted.trim()))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the test panicked: {}", message.unwrap_or("without a message"))
}

/// What an earlier run kept would be taken for this one's.
fn discard(kept: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::Unexpected(format!("{} cannot be removed: {error}", kept.display())))
        }
        _ => Ok(()),
    }
}

/// Copies what people can read; not the sockets, and not the guest's file system.
fn keep_artefacts(from: &Path, to: &Path) -> Result<PathBuf, Failure> {
    let copy = || -> io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.path().extension().is_none_or(|extension| extension != "cpio") {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    };
    copy().map_err(|error| Failure::Unexpected(format!("what is left cannot be kept in {}: {error}", to.display())))?;
    Ok(to.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn artefacts_are_what_people_can_read_and_of_the_last_run() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("kept/test"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(to.join("old.log"), "").unwrap();
        fs::write(from.join("console.log"), "line").unwrap();
        fs::write(from.join("initramfs.cpio"), "").unwrap();
        let _socket = UnixListener::bind(from.join("qmp.sock")).unwrap();
        discard(&to).unwrap();
        discard(&to).unwrap();
        keep_artefacts(&from, &to).unwrap();
        let kept: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(kept, ["console.log"]);
    }
}
