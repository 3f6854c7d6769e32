//! The device is lost in the middle of something else.

use std::time::Duration;

use lifeboat_gpu_server::control::{Fault, Trigger};

use crate::guest::agent::AgentError;
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::loss::{plug_again, pull};
use crate::tests::{ACPI_GPU, NATIVE_GPU};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "removal_during_probe",
        shows: "a GPU that goes at any of many accesses of probe: probe fails or its device is lost, nothing hangs",
        proves: &["GATE-9", "LIFE-5"],
        plan: ACPI_GPU,
        alone: true,
        body: removal_during_probe,
    },
    Test {
        name: "surprise_during_probe",
        shows: "a GPU is pulled out of its slot while its self-test runs",
        proves: &["GATE-9"],
        plan: NATIVE_GPU,
        alone: true,
        body: surprise_during_probe,
    },
    Test {
        name: "removal_during_remove",
        shows: "a GPU that goes at any of many accesses of remove: remove ends, and in time",
        proves: &["GATE-9", "LIFE-7"],
        plan: ACPI_GPU,
        alone: true,
        body: removal_during_remove,
    },
    Test {
        name: "surprise_during_remove",
        shows: "a GPU is pulled out of its slot while it is being unbound: removed once, by whoever is first",
        proves: &["GATE-9", "LIFE-7"],
        plan: NATIVE_GPU,
        alone: true,
        body: surprise_during_remove,
    },
];

/// Accesses at which the device goes: closely at first, where the steps are many, then wider.
const ACCESSES: [u64; 16] = [1, 2, 3, 4, 5, 7, 9, 12, 16, 22, 30, 42, 60, 90, 150, 300];

/// From unbinding and pulling at the same time, to pulling when unbinding is done, in answers of the guest.
const DISTANCES: usize = 5;

const ENODEV: i32 = 19;

/// The longest a driver may take over a device that goes under its hands: no wait for hardware goes on after it, but one may
/// be under way and see it only at its next look.
const MIDWAY: Duration = Duration::from_secs(1);

/// The longest a self-test may go on whose device is pulled: the slow job and the pulling included, a job's timeout not.
const SELF_TEST: Duration = Duration::from_secs(10);

fn removal_during_probe(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let gpu = bench.gpu()?;
    driver.load("health_ms=100")?;
    driver.works(1)?;
    driver.unbind()?;
    let mut failed = 0;
    for access in ACCESSES {
        gpu.inject(Fault::Gone, Some(Trigger::Access(access)))?;
        match driver.bind() {
            // Gone after probe: health polling, which accesses it as well, brings it there.
            Ok(_) => {
                driver.is_lost()?;
                driver.unbind()?;
            }
            Err(AgentError::Failed(_)) => failed += 1,
            Err(other) => return Err(other.into()),
        }
        expect(!driver.is_bound()?, || format!("bound to a device that went at access {access}"))?;
        gpu.replace()?;
    }
    expect(failed >= ACCESSES.len() / 2, || format!("the device went during probe only {failed} times"))?;
    driver.bind()?;
    driver.works(1)
}

fn surprise_during_probe(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    // The self-test takes long enough to be met. Not before: the reset at its beginning would make the device fast again.
    bench.gpu()?.inject(Fault::Slow { micros: 200_000 }, Some(Trigger::Job(1)))?;
    // No job's timeout helps: that the device is gone must be noticed by who waits for the job.
    let load = driver.start_load("job_timeout_ms=60000")?;
    driver.wait_for_counter("jobs_submitted", 1)?;
    pull(bench)?;
    // The module stays, whatever became of its device.
    let took = load.wait()?.took;
    expect(took < bench.limit(SELF_TEST), || format!("the self-test went on for {took:?}"))?;
    let ready = bench.machine.console.since(0).iter().any(|line| line.contains(": ready: "));
    expect(!ready, || "the self-test was over before the card was pulled".to_owned())?;
    expect(!driver.is_bound()?, || "bound to a device that is not there".to_owned())
}

fn removal_during_remove(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let gpu = bench.gpu()?;
    driver.load("health_ms=0")?;
    for (round, access) in (1..).zip(ACCESSES) {
        driver.works(1)?;
        gpu.inject(Fault::Gone, Some(Trigger::Access(access)))?;
        let took = driver.unbind()?;
        expect(took < bench.limit(MIDWAY), || format!("gone at access {access}: unbinding took {took:?}"))?;
        driver.removals(round)?;
        gpu.replace()?;
        driver.bind()?;
    }
    driver.works(1)
}

fn surprise_during_remove(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("load=1")?;
    let mut unbound = 0;
    for distance in 0..DISTANCES {
        driver.is_busy()?;
        let unbind = driver.start_unbind()?;
        for _ in 0..distance {
            bench.machine.agent.ping()?;
        }
        pull(bench)?;
        match unbind.wait() {
            Ok(_) => unbound += 1,
            // The slot was first.
            Err(AgentError::Failed(failure)) if failure.errno == Some(ENODEV) => {}
            Err(other) => return Err(other.into()),
        }
        // However the two met: one removal, and in time.
        let removals = driver.removals(distance + 1)?;
        expect(removals.len() == distance + 1, || format!("removed twice: {removals:?}"))?;
        plug_again(bench)?;
        driver.wait_for_state("ready")?;
    }
    expect(unbound > 0, || "the slot was first every time".to_owned())
}
