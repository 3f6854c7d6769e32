use std::fs;

use super::*;
use crate::inventory::config::read_here;
use crate::tree::{Tree, machines, port};

fn obstacle_with(tree: &Tree, address: &str, step: StepKind, program: &Path, driver: Option<&str>) -> Option<String> {
    let system = System::open(tree.root()).unwrap();
    let inventory = Inventory::read(&system).unwrap();
    let device = address.parse().unwrap();
    let question = Question {
        device,
        step,
        program,
        driver,
        bridge: "0000:00:01.0".parse().ok(),
        never_end: &[],
        control: &[],
        kernel_recovers: false,
    };
    match inventory.function(device) {
        Some(function) => obstacle(&system, &inventory, function, &question, &read_here),
        None => obstacle_of_missing(&system, &inventory, &question),
    }
}

fn obstacle_of(tree: &Tree, address: &str, step: StepKind) -> Option<String> {
    obstacle_with(tree, address, step, Path::new(""), None)
}

const CARD: &str = "sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0";

#[test]
fn everything_but_a_vendors_program_is_there_for_a_card_in_a_slot() {
    let tree = machines::card();
    for step in StepKind::ALL.into_iter().filter(|step| *step != StepKind::Vendor) {
        assert_eq!(obstacle_of(&tree, "0000:03:00.0", step), None, "{step:?}");
    }
}

#[test]
fn a_driver_is_needed_to_bind_and_may_be_remembered() {
    let tree = machines::card();
    tree.remove(&format!("{CARD}/driver"));
    assert!(obstacle_of(&tree, "0000:03:00.0", StepKind::Rebind).unwrap().contains("no driver"));
    assert_eq!(obstacle_with(&tree, "0000:03:00.0", StepKind::Rebind, Path::new(""), Some("xe")), None);
    let other = obstacle_with(&tree, "0000:03:00.0", StepKind::Rebind, Path::new(""), Some("i915"));
    assert!(other.unwrap().contains("i915 is not loaded"));
}

#[test]
fn case_31_resets_of_the_bus_are_no_resets_of_a_function() {
    let tree = machines::with_audio();
    assert!(obstacle_of(&tree, "0000:01:00.0", StepKind::FunctionReset).unwrap().contains("only resets of the bus"));
    assert_eq!(obstacle_of(&tree, "0000:01:00.0", StepKind::BusReset), None);
    assert!(obstacle_of(&tree, "0000:01:00.1", StepKind::FunctionReset).unwrap().contains("no reset"));
    // Without the bridge's own reset, the kernel refuses while two functions are there.
    tree.remove("sys/devices/pci0000:00/0000:00:01.0/reset_subordinate");
    assert!(obstacle_of(&tree, "0000:01:00.0", StepKind::BusReset).unwrap().contains("other functions"));
    let tree = machines::card();
    tree.remove("sys/devices/pci0000:00/0000:00:01.0/reset_subordinate");
    assert_eq!(obstacle_of(&tree, "0000:03:00.0", StepKind::BusReset), None);
}

#[test]
fn a_function_on_a_root_bus_has_no_bridge_to_reset_or_rescan() {
    let tree = machines::laptop();
    for step in [StepKind::BusReset, StepKind::RemoveRescan] {
        assert!(obstacle_of(&tree, "0000:00:02.0", step).unwrap().contains("no bridge"));
    }
    assert!(obstacle_of(&tree, "0000:00:02.0", StepKind::PowerCycle).unwrap().contains("no slot"));
}

#[test]
fn agent_19_a_slot_that_cannot_cut_power_has_no_power_cycle() {
    let tree = machines::card();
    tree.write("sys/devices/pci0000:00/0000:00:01.0/config", port(false));
    assert!(obstacle_of(&tree, "0000:03:00.0", StepKind::PowerCycle).unwrap().contains("no power controller"));
    tree.write("sys/devices/pci0000:00/0000:00:01.0/power/runtime_status", "suspended\n");
    assert!(obstacle_of(&tree, "0000:03:00.0", StepKind::PowerCycle).unwrap().contains("asleep"));
}

#[test]
fn agent_19_the_power_of_a_card_behind_a_switch_is_that_of_the_switch() {
    assert_eq!(obstacle_of(&machines::eight_gpus(), "0000:12:00.0", StepKind::PowerCycle), None);
}

#[test]
fn a_device_off_the_bus_can_only_be_looked_for() {
    let tree = machines::card();
    tree.remove("sys/bus/pci/devices/0000:03:00.0");
    assert_eq!(obstacle_of(&tree, "0000:03:00.0", StepKind::RemoveRescan), None);
    assert!(obstacle_of(&tree, "0000:03:00.0", StepKind::BusReset).unwrap().contains("not on the bus"));
}

#[test]
fn a_vendors_program_must_be_safe_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("flash");
    let obstacle = || obstacle_with(&machines::card(), "0000:03:00.0", StepKind::Vendor, &program, None);
    assert!(obstacle().is_some());
    fs::write(&program, "#!/bin/sh\n").unwrap();
    for (mode, reason) in [(0o600, Some("not executable")), (0o777, Some("others can write")), (0o755, None)] {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(obstacle().is_some(), reason.is_some());
        assert!(obstacle().unwrap_or_default().contains(reason.unwrap_or_default()));
    }
    assert!(obstacle_of(&machines::card(), "0000:03:00.0", StepKind::Vendor).unwrap().contains("no absolute path"));
}
