//! Plugging and unplugging with everybody's consent: the device is alive until the driver has let go of it.

use lifeboat_guest::wire::Condition;

use crate::card::hotplug::{self, SLOT};
use crate::driver::removal::Path;
use crate::pace;
use crate::suite::bench::{Bench, CARD, Card, Plan};
use crate::suite::failure::Failure;
use crate::suite::test::Test;
use crate::tests::{ACPI_GPU, NATIVE_GPU};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "acpi_device_del",
        shows: "orderly removal by ACPI while jobs run",
        proves: &["HEALTH-3", "FENCE-2"],
        plan: ACPI_GPU,
        alone: false,
        body: device_del,
    },
    Test {
        name: "native_device_del",
        shows: "orderly removal by the port's button while jobs run",
        proves: &["HEALTH-3", "FENCE-2"],
        plan: NATIVE_GPU,
        alone: false,
        body: device_del,
    },
    Test {
        name: "hot_add",
        shows: "a GPU plugged into a running machine is probed and works",
        proves: &[],
        plan: Plan { card: Card::Nothing, ..ACPI_GPU },
        alone: false,
        body: hot_add,
    },
];

/// A card that works is taken out with its driver's consent.
pub(super) fn device_del(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("load=1")?;
    driver.is_busy()?;
    let since = hotplug::unplug(&bench.machine.monitor, CARD)?;
    bench.unplugged(since)?;
    driver.only_removal()?.went(Path::Ordered, bench.flavour())?;
    let device = format!("/sys/bus/pci/devices/{SLOT}");
    bench.machine.agent.wait_until(&device, Condition::Absent, pace::HOTPLUG)?;
    Ok(())
}

fn hot_add(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("load=1")?;
    bench.plug(Card::Gpu)?;
    bench.machine.agent.wait_until(&format!("/sys/bus/pci/devices/{SLOT}"), Condition::Exists, pace::HOTPLUG)?;
    driver.is_busy()
}
