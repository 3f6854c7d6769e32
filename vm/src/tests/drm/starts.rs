//! A job that cannot be started. The driver is told to refuse one (`refuse_start` in debugfs): no program can have it do so.

use lifeboat_uapi::{ContextStatus, RESET_GUILTY};

use crate::card::hotplug::SLOT;
use crate::driver::DEBUGFS;
use crate::pace;
use crate::program::Program;
use crate::program::commands::{NEW_SYNC_FILE, sync_file};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;
use crate::tests::drm::desk::Desk;

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "drm_a_job_is_not_started",
    shows: "a job that the driver refuses fails alone, as its context's fault; an error of the device loses the device",
    proves: &["SCHED-10"],
    plan: ACPI_GPU,
    alone: false,
    body: not_started,
}];

const ENODEV: i64 = 19;
const ETIME: i64 = 62;
const ECANCELED: i64 = 125;

/// Nobody but the scheduler looks at the device, and no limit ends a job.
const PARAMETERS: &str = "health_ms=0 job_timeout_ms=3600000";

fn not_started(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load(PARAMETERS)?;
    driver.works(1)?;
    let node = driver.nodes()?.render;
    let agent = &bench.machine.agent;
    let (bad, good) = (Program::start(agent)?, Program::start(agent)?);
    let (guilty, innocent) = (Desk::open(&bad, &node)?, Desk::open(&good, &node)?);
    innocent.works()?;
    a_job_alone(bench, &guilty, &innocent)?;
    the_device(bench, &guilty, &innocent)?;
    bad.kill()?;
    Ok(good.kill()?)
}

/// A job is refused for a reason of its own.
fn a_job_alone(bench: &Bench<'_>, guilty: &Desk<'_>, innocent: &Desk<'_>) -> Result<(), Failure> {
    refuse(bench, "1")?;
    let mut first = guilty.job.clone();
    first.signals = vec![NEW_SYNC_FILE];
    let (refused, signals) = guilty.file.submit(&first, 1)?;
    // It waits for the one that is refused, in its own context; others are behind that in the ring.
    let mut dependent = guilty.job.clone();
    dependent.waits = vec![sync_file(signals[0].handle)];
    let (dependents, _) = guilty.file.submit(&dependent, 1)?;
    let (behind, _) = guilty.file.submit(&guilty.job, 2)?;
    for (what, job, wanted) in [
        ("the job that is refused", refused[0], -ETIME),
        ("the job that waits for it", dependents[0], -ECANCELED),
        ("the next job of the context", behind[0], 0),
        ("the one after that", behind[1], 0),
    ] {
        let result = guilty.file.wait(guilty.context, job)?;
        expect(result == wanted, || format!("{what} ended with {result}"))?;
    }
    innocent.works()?;
    guilty.works()?;
    let [of_guilty, of_innocent] = [guilty, innocent]
        .map(|desk| desk.file.context_status(ContextStatus { context: desk.context, ..Default::default() }));
    let (of_guilty, of_innocent) = (of_guilty?, of_innocent?);
    expect(of_guilty.guilty == 1 && of_guilty.status == RESET_GUILTY && of_guilty.flags == 0, || {
        format!("the context of the job that was refused says {of_guilty:?}")
    })?;
    expect(of_innocent == ContextStatus { context: innocent.context, ..Default::default() }, || {
        format!("the other context says {of_innocent:?}")
    })?;
    let driver = bench.driver();
    for counter in ["ring_resets", "device_resets"] {
        let count = driver.counter(counter)?;
        expect(count == 0, || format!("{counter}: {count}"))?;
    }
    Ok(driver.wait_for_state("ready")?)
}

/// The device has an error as a job is to be started.
fn the_device(bench: &Bench<'_>, guilty: &Desk<'_>, innocent: &Desk<'_>) -> Result<(), Failure> {
    refuse(bench, "device")?;
    let (jobs, _) = guilty.file.submit(&guilty.job, 1)?;
    let result = guilty.file.wait(guilty.context, jobs[0])?;
    expect(result == -ENODEV, || format!("the job that met the error ended with {result}"))?;
    let driver = bench.driver();
    driver.wait_for_state("wedged")?;
    // Nothing recovers it: it has failed for good.
    let errno = crate::program::refused(innocent.file.submit(&innocent.job, 1))?;
    expect(i64::from(errno) == ECANCELED, || format!("a job for the lost device is refused with errno {errno}"))?;
    let device_resets = driver.counter("device_resets")?;
    expect(device_resets == 0, || format!("the device was reset {device_resets} times"))?;
    driver.unbind()?;
    let removal = driver.only_removal()?;
    expect(removal.loss == "wedged-reset-failed", || format!("lost by something else: {removal:?}"))
}

/// Has the driver refuse the next jobs: so many, or the next one with an error of the device.
fn refuse(bench: &Bench<'_>, jobs: &str) -> Result<(), Failure> {
    let path = format!("{DEBUGFS}/{SLOT}/refuse_start");
    Ok(bench.machine.agent.write(&path, jobs, pace::COMMAND).map(drop)?)
}
