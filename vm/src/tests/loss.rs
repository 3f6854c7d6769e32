//! The device is gone before anybody is asked.

use std::thread;
use std::time::{Duration, Instant};

use lifeboat_gpu_server::control::Fault;
use lifeboat_guest::wire::Condition;
use qapi::qmp;

use crate::card::gpu::GpuServer;
use crate::card::hotplug::{self, PORT, SLOT, SLOT_CONTROL_AT, SLOT_IS_OFF};
use crate::driver::Driver;
use crate::driver::removal::{Path, Removal};
use crate::pace::{self, Flavour};
use crate::suite::bench::{Bench, CARD, Card};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::{ACPI_GPU, NATIVE_GPU};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "surprise_removal_busy",
        shows: "a GPU pulled out of its slot while jobs run: retired at once, nothing waited for",
        proves: &["HEALTH-3", "FENCE-2", "GATE-9"],
        plan: NATIVE_GPU,
        alone: true,
        body: surprise_removal_busy,
    },
    Test {
        name: "silent_loss_health",
        shows: "a GPU that reads all-ones, without any event, is noticed by health polling within its period",
        proves: &["HEALTH-1", "HEALTH-2", "HEALTH-3", "FENCE-2", "SCHED-5"],
        plan: ACPI_GPU,
        alone: true,
        body: silent_loss_health,
    },
    Test {
        name: "server_killed_then_removed",
        shows: "a GPU that died is removed without waiting for it",
        proves: &["HEALTH-3", "FENCE-2", "GATE-9"],
        plan: ACPI_GPU,
        alone: true,
        body: server_killed_then_removed,
    },
    Test {
        name: "hot_replace",
        shows: "a GPU is pulled out, and the one put in its place works, again and again",
        proves: &["LIFE-5"],
        plan: NATIVE_GPU,
        alone: true,
        body: hot_replace,
    },
];

/// Health polling is turned off where the removal itself is to find out. No limit ends a job: longer than any test.
const NO_HEALTH: &str = "load=1 health_ms=0 job_timeout_ms=3600000";

/// Between two looks at the device's health.
const PERIOD: Duration = Duration::from_millis(500);

/// What comes on top of a period: the command's way to the GPU, the timer's rounding, the look itself, and telling.
const NOTICING: Duration = Duration::from_millis(100);

/// By how much jobs are held up, in microseconds: longer than any test.
const SLOW: u64 = 3_600_000_000;

fn surprise_removal_busy(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load(NO_HEALTH)?;
    driver.is_busy()?;
    jobs_stay_in_flight(driver, bench.gpu()?)?;
    pull(bench)?;
    let removal = driver.only_removal()?;
    dead(bench, &removal)?;
    retired_jobs(&removal)
}

fn silent_loss_health(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load(&format!("load=1 health_ms={} job_timeout_ms=3600000", PERIOD.as_millis()))?;
    driver.is_busy()?;
    // Nobody but health polling has reason to touch the device.
    jobs_stay_in_flight(driver, bench.gpu()?)?;
    driver.is_silent()?;
    let before = bench.machine.console.len();
    let noticed = driver.start_wait_for_state("removed", bench.limit(pace::DRIVER))?;
    bench.gpu()?.inject(Fault::Gone, None)?;
    let took = noticed.wait()?.took;
    // A kernel with checkers takes what it takes; that it was polling is shown below.
    let in_time = took < PERIOD + NOTICING || bench.flavour() == Flavour::Debug;
    expect(in_time, || format!("the loss was noticed after {took:?}"))?;
    expect(driver.counter("health_failures")? == 1, || "it was not health polling that noticed".to_owned())?;
    let log = bench.machine.console.since(before);
    expect(!log.iter().any(|line| line.contains("pciehp")), || format!("the bus said something: {log:?}"))?;
    reads_all_ones(bench)?;

    let device = format!("/sys/bus/pci/devices/{SLOT}");
    bench.machine.agent.write(&format!("{device}/remove"), "1", pace::DRIVER)?;
    let removal = driver.only_removal()?;
    expect(removal.trigger == "health", || format!("health polling did not notice first: {removal:?}"))?;
    dead(bench, &removal)?;
    retired_jobs(&removal)
}

fn server_killed_then_removed(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let gpu = bench.take_gpu()?;
    let driver = bench.driver();
    driver.load(NO_HEALTH)?;
    driver.is_busy()?;
    jobs_stay_in_flight(driver, &gpu)?;
    bench.machine.monitor.execute(&qmp::stop {})?;
    gpu.kill();
    bench.machine.monitor.execute(&qmp::cont {})?;
    reads_all_ones(bench)?;
    let since = hotplug::unplug(&bench.machine.monitor, CARD)?;
    bench.unplugged(since)?;
    let removal = driver.only_removal()?;
    dead(bench, &removal)?;
    retired_jobs(&removal)
}

fn hot_replace(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("load=1")?;
    for round in 1..=3 {
        driver.is_busy()?;
        pull(bench)?;
        let removals = driver.removals(round)?;
        removals.iter().try_for_each(|removal| dead(bench, removal))?;
        plug_again(bench)?;
    }
    driver.is_busy()
}

/// Pulls the card, and makes sure that this was a surprise: the slot found the card gone. The kernel says so of surprises
/// alone (`pciehp_handle_presence_or_link_change`). A press of the button proves nothing: plugging presses it, too, and
/// now and then the guest comes to that when the card is in use already.
pub(super) fn pull(bench: &Bench<'_>) -> Result<(), Failure> {
    let console = &bench.machine.console;
    let before = console.len();
    let since = hotplug::pull(&bench.machine.monitor)?;
    bench.unplugged(since)?;
    let device = format!("/sys/bus/pci/devices/{SLOT}");
    bench.machine.agent.wait_until(&device, Condition::Absent, pace::HOTPLUG)?;
    expect(console.wait_for(before, "Card not present", bench.limit(pace::COMMAND)), || {
        "the slot did not find its card gone".to_owned()
    })
}

/// Plugs the card in again after [`pull`], and waits until it is on the bus.
pub(super) fn plug_again(bench: &Bench<'_>) -> Result<(), Failure> {
    slot_is_off(bench)?;
    bench.plug(Card::Gpu)?;
    let device = format!("/sys/bus/pci/devices/{SLOT}");
    Ok(bench.machine.agent.wait_until(&device, Condition::Exists, pace::HOTPLUG).map(drop)?)
}

/// Waits until the guest is through with a removal. For a second after the driver's end it ignores a card that is plugged in
/// (`remove_board` of pciehp), and then turns the indicator off, at which QEMU takes such a card out again.
fn slot_is_off(bench: &Bench<'_>) -> Result<(), Failure> {
    let config = format!("/sys/bus/pci/devices/{PORT}/config");
    let began = Instant::now();
    loop {
        let bytes = bench.machine.agent.read_bytes(&config, SLOT_CONTROL_AT, 2)?;
        let control = <[u8; 2]>::try_from(bytes).map_or(0, u16::from_le_bytes);
        if control & SLOT_IS_OFF == SLOT_IS_OFF {
            return Ok(());
        }
        expect(began.elapsed() < bench.limit(pace::HOTPLUG), || "the slot is not turned off".to_owned())?;
        thread::sleep(Duration::from_millis(50));
    }
}

/// The function is on the bus, but nothing answers: that, and no event, makes a loss silent.
fn reads_all_ones(bench: &Bench<'_>) -> Result<(), Failure> {
    let config = bench.machine.agent.read_bytes(&format!("/sys/bus/pci/devices/{SLOT}/config"), 0, 4)?;
    expect(config == [0xff; 4], || format!("the device still answers: {config:02x?}"))
}

/// The driver found the device dead, and did not wait for it.
pub(super) fn dead(bench: &Bench<'_>, removal: &Removal) -> Result<(), Failure> {
    expect(removal.verdict == "dead", || format!("the driver did not find the device dead: {removal:?}"))?;
    removal.went(Path::Short, bench.flavour())
}

/// Has the load submit jobs that do not end: from here on some are in flight, however slow the guest is.
fn jobs_stay_in_flight(driver: Driver<'_>, gpu: &GpuServer) -> Result<(), Failure> {
    driver.set_load("0")?;
    driver.is_idle()?;
    gpu.inject(Fault::Slow { micros: SLOW }, None)?;
    let before = driver.counter("jobs_submitted")?;
    driver.set_load("1")?;
    Ok(driver.wait_for_counter("jobs_submitted", before + 1)?)
}

fn retired_jobs(removal: &Removal) -> Result<(), Failure> {
    expect(removal.retired > 0, || format!("no job was in flight: {removal:?}"))
}
