//! The device is there and answers, and is not well.

use std::collections::BTreeSet;

use lifeboat_gpu_server::control::{Fault, Lasts};

use crate::card::hotplug::SLOT;
use crate::driver::removal::{Path, Removal};
use crate::pace;
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "heartbeat_stands_still",
        shows: "a GPU that answers and does not go on is a hang after three looks, and is shut down in order",
        proves: &["HEALTH-2", "FENCE-2", "DRV-1"],
        plan: ACPI_GPU,
        alone: false,
        body: heartbeat_stands_still,
    },
    Test {
        name: "answers_nonsense",
        shows: "a GPU whose registers read nonsense is given up after three looks",
        proves: &["HEALTH-4", "FENCE-2", "DRV-1"],
        plan: ACPI_GPU,
        alone: false,
        body: answers_nonsense,
    },
    Test {
        name: "another_card",
        shows: "another card is in the place of a GPU: the GPU is lost, and the other is a device of its own once it is found",
        proves: &["LIFE-8", "FENCE-2"],
        plan: ACPI_GPU,
        alone: false,
        body: another_card,
    },
    Test {
        name: "a_slow_read_is_no_verdict",
        shows: "a register read takes seconds, then each takes milliseconds: the GPU is slow, is not lost, and works",
        proves: &["HEALTH-5"],
        plan: ACPI_GPU,
        alone: false,
        body: a_slow_read_is_no_verdict,
    },
];

fn heartbeat_stands_still(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let removal = lost_by(bench, Fault::StickHeartbeat, "wedged-hung")?;
    removal.went(Path::Ordered, bench.flavour())
}

fn answers_nonsense(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let removal = lost_by(bench, Fault::Garbage(Lasts::default()), "wedged-nonsense")?;
    expect(removal.verdict == "unsure", || format!("the driver was not unsure of it: {removal:?}"))?;
    // Its release is not timed: another guest may run beside this one.
    expect(removal.path == Path::Short, || format!("the driver waited for it: {removal:?}"))
}

fn another_card(bench: &mut Bench<'_>) -> Result<(), Failure> {
    // Its addresses are not set up, so that nothing answers where the first card was: that one is missing.
    let removal = lost_by(bench, Fault::SwapSize, "fell-off")?;
    expect(removal.verdict == "dead", || format!("the first card is said to be there: {removal:?}"))?;
    bench.machine.agent.write("/sys/bus/pci/rescan", "1", pace::DRIVER)?;
    bench.driver().works(1)?;
    let log = bench.machine.console.since(0);
    let cards: BTreeSet<_> = log.iter().filter_map(|line| line.split_once(": ready: ")).map(|(_, card)| card).collect();
    expect(cards.len() == 2, || format!("the cards that were driven: {cards:?}"))
}

fn a_slow_read_is_no_verdict(bench: &mut Bench<'_>) -> Result<(), Failure> {
    /// Many periods of health polling, in microseconds.
    const STALL: u64 = 2_000_000;
    /// A tick, in microseconds: a look at the device is several reads.
    const SLOW: u64 = 5_000;
    let driver = bench.driver();
    driver.load("health_ms=100")?;
    driver.works(1)?;
    for fault in [Fault::StalledRead { micros: STALL }, Fault::SlowReads { micros: SLOW }] {
        let before = driver.counter("health_polls")?;
        bench.gpu()?.inject(fault, None)?;
        driver.wait_for_counter("health_polls", before + 5)?;
        let failures = driver.counter("health_failures")?;
        expect(failures == 0, || format!("{failures} looks say that the device is not well after {fault:?}"))?;
        driver.wait_for_state("ready")?;
    }
    driver.set_load("1")?;
    driver.is_busy()
}

/// Has the driver notice a fault by its own looks, and says how the binding ended.
fn lost_by(bench: &mut Bench<'_>, fault: Fault, loss: &str) -> Result<Removal, Failure> {
    let driver = bench.driver();
    driver.load("load=1 health_ms=100")?;
    driver.is_busy()?;
    bench.gpu()?.inject(fault, None)?;
    driver.is_lost()?;
    bench.machine.agent.write(&format!("/sys/bus/pci/devices/{SLOT}/remove"), "1", pace::DRIVER)?;
    let removal = driver.only_removal()?;
    expect(removal.trigger == "health", || format!("health polling did not notice first: {removal:?}"))?;
    expect(removal.loss == loss, || format!("not lost by {loss}: {removal:?}"))?;
    Ok(removal)
}
