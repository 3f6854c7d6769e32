//! Probe and remove, many times: what is not given back adds up.

use std::thread;
use std::time::Duration;

use crate::driver::removal::Path;
use crate::suite::bench::{Bench, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;

/// As often as the issue says.
const TIMES: usize = 50;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "load_unload_50",
        shows: "the module can be loaded and unloaded 50 times, with the device in its slot",
        proves: &["LIFE-3"],
        plan: ACPI_GPU,
        alone: false,
        body: load_unload_50,
    },
    Test {
        name: "unbind_bind_50_busy",
        shows: "the device can be unbound and bound 50 times while jobs run; their fences are retired",
        proves: &["FENCE-2", "HEALTH-3", "LIFE-3"],
        plan: ACPI_GPU,
        alone: false,
        body: unbind_bind_50_busy,
    },
    Test {
        name: "dma_unmap_order",
        shows: "behind an IOMMU nothing is unmapped while the device may use it, and all is unmapped in the end",
        proves: &["SCHED-2"],
        plan: Plan { iommu: true, ..ACPI_GPU },
        alone: false,
        body: dma_unmap_order,
    },
    Test {
        name: "nothing_runs_after_unbind",
        shows: "timers and jobs run all the time; from the end of an unbind on nothing reaches the device",
        proves: &["GATE-4", "GATE-8"],
        plan: ACPI_GPU,
        alone: false,
        body: nothing_runs_after_unbind,
    },
    Test {
        name: "one_device_holds_up_no_other",
        shows: "a section of one device does not end, and holds up its unbind; another device is unbound and bound meanwhile",
        proves: &["GATE-3"],
        plan: Plan { second_gpu: true, ..ACPI_GPU },
        alone: false,
        body: one_device_holds_up_no_other,
    },
];

fn load_unload_50(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let before = bench.gpu()?.status()?.mappings;
    for _ in 0..TIMES {
        driver.load("")?;
        driver.works(1)?;
        driver.unload()?;
    }
    let removals = bench.logged_removals()?;
    expect(removals.len() == TIMES, || format!("{TIMES} removals were logged as {}", removals.len()))?;
    removals.iter().try_for_each(|removal| removal.went(Path::Ordered, bench.flavour()))?;
    let after = bench.gpu()?.status()?.mappings;
    expect(after == before, || {
        format!("{before} mappings for DMA before the first load, {after} after the last unload")
    })
}

fn unbind_bind_50_busy(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("load=1")?;
    for _ in 0..TIMES {
        driver.is_busy()?;
        driver.unbind()?;
        expect(!driver.is_bound()?, || "it is still bound".to_owned())?;
        driver.bind()?;
    }
    let removals = driver.removals(TIMES)?;
    removals.iter().try_for_each(|removal| removal.went(Path::Ordered, bench.flavour()))?;
    let retired: u64 = removals.iter().map(|removal| removal.retired).sum();
    expect(retired > 0, || "no job was in flight in any of the removals".to_owned())
}

fn dma_unmap_order(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let mappings = || Ok::<_, Failure>(bench.gpu()?.status()?.mappings);
    let before = mappings()?;
    driver.load("load=1")?;
    for _ in 0..5 {
        driver.is_busy()?;
        let bound = mappings()?;
        expect(bound > before, || {
            format!("the driver maps nothing: {before} mappings before, {bound} while it works")
        })?;
        driver.unbind()?;
        let after = mappings()?;
        expect(after == before, || format!("{before} mappings before, {after} after the driver has let go"))?;
        driver.bind()?;
    }
    // Whether the device reached for anything that was unmapped: the witness knows, and is asked at the end of each test.
    Ok(())
}

fn nothing_runs_after_unbind(bench: &mut Bench<'_>) -> Result<(), Failure> {
    /// Milliseconds between two looks at the device, which are as frequent as they may be.
    const PERIOD: u64 = 20;
    /// Several times as long as whatever works by itself is ever quiet.
    const QUIET: Duration = Duration::from_millis(500);
    let driver = bench.driver();
    driver.load(&format!("load=1 health_ms={PERIOD}"))?;
    let accesses = || Ok::<_, Failure>(bench.gpu()?.status()?.counters.accesses);
    for _ in 0..5 {
        driver.is_busy()?;
        let (busy, looks) = (accesses()?, driver.counter("health_polls")?);
        driver.wait_for_counter("health_polls", looks + 3)?;
        expect(accesses()? > busy, || "nothing reaches a device that is bound".to_owned())?;
        driver.unbind()?;
        let after = accesses()?;
        thread::sleep(bench.limit(QUIET));
        let later = accesses()?;
        expect(later == after, || format!("{} accesses after the end of the binding", later - after))?;
        driver.bind()?;
    }
    Ok(())
}

fn one_device_holds_up_no_other(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let (stuck, other) = (bench.driver(), bench.second_driver());
    stuck.load("")?;
    stuck.works(1)?;
    other.works(1)?;
    let section = stuck.start_section()?;
    let unbind = stuck.start_unbind()?;
    stuck.wait_for_state("gone")?;
    other.unbind()?;
    expect(!other.is_bound()?, || "the other device is still bound".to_owned())?;
    other.bind()?;
    other.works(1)?;
    // All that was done while the first device's end waited: its section is open still.
    stuck.wait_for_state("gone")?;
    stuck.end_section()?;
    section.wait()?;
    unbind.wait()?;
    stuck.bind()?;
    stuck.works(1)
}
