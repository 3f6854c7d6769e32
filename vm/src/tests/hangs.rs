//! The device stays, but something on it hangs.

use lifeboat_gpu_server::control::{Fault, Lasts, Trigger};

use crate::card::hotplug::SLOT;
use crate::pace;
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::NATIVE_GPU;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "resets_climb_the_ladder",
        shows: "a hung job has its ring reset; if that fails the device; if that fails too the device is given up",
        proves: &["SCHED-4", "SCHED-6", "FENCE-4"],
        plan: NATIVE_GPU,
        alone: false,
        body: resets_climb_the_ladder,
    },
    Test {
        name: "who_hangs_too_often_is_refused",
        shows: "jobs that caused as many resets as they may are refused, and the device goes on",
        proves: &["SCHED-7"],
        plan: NATIVE_GPU,
        alone: false,
        body: who_hangs_too_often_is_refused,
    },
    Test {
        name: "unbinding_ends_a_reset",
        shows: "a GPU is unbound while a ring of it proves itself in vain: the reset ends at its next step, not by its limit",
        proves: &["GATE-9"],
        plan: NATIVE_GPU,
        alone: false,
        body: unbinding_ends_a_reset,
    },
];

/// The first command of a job: a hang of the number behind it, which the driver writes, is no fault of the job's owner.
const NEXT_JOB: Trigger = Trigger::Job(1);
/// A hang is noticed soon, and nobody but the scheduler looks.
const HASTY: &str = "load=1 health_ms=0 job_timeout_ms=500";

fn resets_climb_the_ladder(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load(HASTY)?;
    driver.is_busy()?;
    bench.gpu()?.inject(Fault::Hang, Some(NEXT_JOB))?;
    driver.wait_for_counter("ring_resets", 1)?;
    goes_on(bench)?;
    expect(driver.counter("jobs_faulted")? == 1, || "another job than the hung one failed".to_owned())?;
    expect(driver.counter("device_resets")? == 0, || "the device was reset for no reason".to_owned())?;

    bench.gpu()?.inject(Fault::FailReset, None)?;
    bench.gpu()?.inject(Fault::Hang, Some(NEXT_JOB))?;
    driver.wait_for_counter("device_resets", 1)?;
    goes_on(bench)?;
    // All jobs of the load may run again: only the two that hung have failed.
    expect(driver.counter("jobs_faulted")? == 2, || "jobs of other rings failed".to_owned())?;

    bench.gpu()?.inject(Fault::FailReset, Some(Trigger::Reset(1)))?;
    bench.gpu()?.inject(Fault::FailReset, Some(Trigger::Reset(2)))?;
    bench.gpu()?.inject(Fault::Hang, Some(NEXT_JOB))?;
    driver.is_lost()?;
    let device = format!("/sys/bus/pci/devices/{SLOT}");
    bench.machine.agent.write(&format!("{device}/remove"), "1", pace::DRIVER)?;
    let removal = driver.only_removal()?;
    expect(removal.retired > 0, || format!("no job was in flight: {removal:?}"))
}

fn who_hangs_too_often_is_refused(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load(&format!("{HASTY} guilty_limit=2"))?;
    driver.is_busy()?;
    bench.gpu()?.inject(Fault::Hang, Some(NEXT_JOB))?;
    driver.wait_for_counter("ring_resets", 1)?;
    goes_on(bench)?;
    bench.gpu()?.inject(Fault::JobFault, None)?;
    driver.wait_for_counter("jobs_refused", 1)?;
    // What was in flight ends, in one way or the other, and nothing comes after it.
    let submitted = driver.counter("jobs_submitted")?;
    let ended = || Ok::<_, Failure>(driver.counter("jobs_completed")? + driver.counter("jobs_faulted")?);
    let (mut before, mut now) = (0, ended()?);
    while now < submitted && now != before {
        std::thread::sleep(std::time::Duration::from_secs(1));
        (before, now) = (now, ended()?);
    }
    expect(now == submitted, || format!("{now} of {submitted} jobs ended"))?;
    expect(driver.counter("jobs_submitted")? == submitted, || "a job was accepted".to_owned())?;
    expect(driver.counter("device_resets")? == 0, || "the device was reset for no reason".to_owned())?;
    driver.wait_for_state("ready").map_err(Failure::from)
}

fn unbinding_ends_a_reset(bench: &mut Bench<'_>) -> Result<(), Failure> {
    /// Longer than any test.
    const FOR_EVER: Lasts = Lasts { micros: Some(3_600_000_000) };
    let driver = bench.driver();
    driver.load(HASTY)?;
    driver.is_busy()?;
    // No job begins any more, nor does a ring prove that it works: neither after its reset nor after the device's.
    bench.gpu()?.inject(Fault::DeadDoorbell(FOR_EVER), None)?;
    driver.wait_for_counter("ring_resets", 1)?;
    driver.unbind()?;
    let removal = driver.only_removal()?;
    expect(removal.retired > 0, || format!("no job was in flight: {removal:?}"))?;
    let said = |text| bench.machine.console.since(0).iter().any(|line| line.contains(text));
    expect(said(" ends with the binding"), || {
        let why = if said("the device is lost") { "was over before it" } else { "was waited for" };
        format!("the reset {why}: {removal:?}")
    })
}

/// The device is in use as before, with right results.
fn goes_on(bench: &Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let done = driver.counter("jobs_completed")?;
    driver.wait_for_counter("jobs_completed", done + 40)?;
    let mismatches = driver.counter("mismatches")?;
    expect(mismatches == 0, || format!("{mismatches} wrong bytes"))
}
