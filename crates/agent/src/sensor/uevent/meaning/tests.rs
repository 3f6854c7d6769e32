use lifeboat_recovery_policy::sign::Advice;
use proptest::prelude::*;

use super::*;

const CARD: &str = "/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/drm/card7";
const FUNCTION: &str = "/devices/pci0000:00/0000:00:1c.0/0000:03:00.0";

fn bytes(action: &str, path: &str, variables: &[&str]) -> Vec<u8> {
    let mut text = format!("{action}@{path}\0ACTION={action}\0DEVPATH={path}\0");
    for variable in variables {
        text.push_str(variable);
        text.push('\0');
    }
    text.into_bytes()
}

fn meaning(action: &str, path: &str, variables: &[&str]) -> Option<Observed> {
    observe(&Message::parse(&bytes(action, path, variables)).unwrap(), Witness::KernelEvent)
}

fn address() -> Address {
    "0000:03:00.0".parse().unwrap()
}

fn sign(kind: SignKind) -> Observed {
    Observed::sign(address(), kind, Witness::KernelEvent)
}

fn wedged_as(value: &str) -> Vec<Method> {
    match meaning("change", CARD, &["SUBSYSTEM=drm", &format!("WEDGED={value}")]) {
        Some(Observed::Sign { sign, .. }) => match sign.kind {
            SignKind::Wedged { methods, task: None } => methods,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn agent_1_every_method_several_and_unknown_names() {
    use Method::{BusReset, Other, Rebind, VendorSpecific};
    assert_eq!(wedged_as("none"), [Method::None]);
    assert_eq!(wedged_as("rebind,bus-reset"), [Rebind, BusReset]);
    assert_eq!(wedged_as("vendor-specific"), [VendorSpecific]);
    assert_eq!(wedged_as("cold-reset,"), [Other("cold-reset".into())]);
    assert_eq!(wedged_as("unknown"), []);
    assert_eq!(wedged_as(""), []);
}

#[test]
fn agent_1_a_name_that_the_kernel_cut_off_is_completed() {
    let cut = "bus-reset,vendor-specif";
    assert_eq!(cut.len(), CUT_OFF);
    assert_eq!(wedged_as(cut), [Method::BusReset, Method::VendorSpecific]);
    assert_eq!(wedged_as("rebind,bus-reset,vendor"), [Method::Rebind, Method::BusReset, Method::VendorSpecific]);
    // A shorter value was not cut off, and its name is another one.
    assert_eq!(wedged_as("bus-reset,vendor"), [Method::BusReset, Method::Other("vendor".into())]);
}

#[test]
fn a_process_is_blamed_by_number_and_name_together() {
    let task = |variables: &[&str]| {
        let variables = [&["SUBSYSTEM=drm", "WEDGED=none"], variables].concat();
        let Some(Observed::Sign { sign, .. }) = meaning("change", CARD, &variables) else { panic!("no sign") };
        assert_eq!(sign.kind.advice(), Advice::Nothing);
        match sign.kind {
            SignKind::Wedged { task, .. } => task,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(task(&["PID=42", "TASK=a game"]), Some(Task { pid: 42, name: "a game".into() }));
    for half in [&["PID=42"][..], &["TASK=a game"], &["PID=-1", "TASK=a game"], &["PID=4294967296", "TASK=a game"]] {
        assert_eq!(task(half), None, "{half:?}");
    }
}

#[test]
fn agent_12_the_kernels_recovery_is_reported() {
    for (event, online, recovery) in [
        ("BEGIN_RECOVERY", "0", KernelRecovery::Began),
        ("SUCCESSFUL_RECOVERY", "1", KernelRecovery::Succeeded),
        ("FAILED_RECOVERY", "0", KernelRecovery::Failed),
    ] {
        let variables = [
            "SUBSYSTEM=pci",
            &format!("ERROR_EVENT={event}"),
            &format!("DEVICE_ONLINE={online}"),
            "PCI_SLOT_NAME=0000:03:00.0",
        ];
        assert_eq!(meaning("change", FUNCTION, &variables), Some(sign(SignKind::Pci(recovery))));
    }
    let unknown = SignKind::State { source: "pci".into(), state: "paused".into() };
    assert_eq!(meaning("change", FUNCTION, &["SUBSYSTEM=pci", "ERROR_EVENT=PAUSED"]), Some(sign(unknown)));
}

#[test]
fn the_recovery_of_an_npu_is_a_state() {
    let kind = SignKind::State { source: "ivpu".into(), state: "ivpu_recover".into() };
    assert_eq!(meaning("change", FUNCTION, &["SUBSYSTEM=pci", "IVPU_PM_EVENT=IVPU_RECOVER"]), Some(sign(kind)));
}

#[test]
fn functions_come_go_and_change_drivers() {
    for (action, change) in [
        ("add", FunctionChange::Added),
        ("remove", FunctionChange::Removed),
        ("bind", FunctionChange::Bound),
        ("unbind", FunctionChange::Unbound),
    ] {
        let expected = Observed::Function { address: address(), change, witness: Witness::KernelEvent };
        assert_eq!(meaning(action, FUNCTION, &["SUBSYSTEM=pci"]), Some(expected));
    }
    assert_eq!(meaning("move", FUNCTION, &["SUBSYSTEM=pci"]), None);
    assert_eq!(meaning("add", &format!("{FUNCTION}/0000:03:00.0:pcie001"), &["SUBSYSTEM=pci"]), None);
}

#[test]
fn nodes_of_a_function_are_told_from_nodes_behind_it() {
    let variables = ["SUBSYSTEM=drm", "MAJOR=226", "MINOR=7", "DEVNAME=dri/card7", "DEVTYPE=drm_minor"];
    let node = Node { name: "dri/card7".into(), major: 226, minor: 7 };
    for (action, present) in [("add", true), ("remove", false)] {
        let node = node.clone();
        let expected = Observed::Node { address: address(), node, present, witness: Witness::KernelEvent };
        assert_eq!(meaning(action, CARD, &variables), Some(expected));
    }
    let disk = format!("{FUNCTION}/nvme/nvme0/nvme0n1");
    assert_eq!(meaning("add", &disk, &["SUBSYSTEM=block", "MAJOR=259", "MINOR=0", "DEVNAME=nvme0n1"]), None);
    let stick = format!("{FUNCTION}/usb1/1-1");
    assert_eq!(meaning("add", &stick, &["SUBSYSTEM=usb", "MAJOR=189", "MINOR=1", "DEVNAME=bus/usb/001/002"]), None);
}

#[test]
fn an_event_that_a_process_asked_for_says_nothing() {
    let variables = ["SUBSYSTEM=drm", "WEDGED=rebind", "SYNTH_UUID=0"];
    assert_eq!(meaning("change", CARD, &variables), None);
    assert_eq!(meaning("remove", FUNCTION, &["SUBSYSTEM=pci", "SYNTH_UUID=0"]), None);
}

#[test]
fn events_of_other_devices_say_nothing() {
    assert_eq!(meaning("change", "/devices/virtual/drm/card0", &["SUBSYSTEM=drm", "WEDGED=rebind"]), None);
    assert_eq!(meaning("change", CARD, &["SUBSYSTEM=drm", "HOTPLUG=1"]), None);
    assert_eq!(meaning("add", CARD, &["SUBSYSTEM=drm", "WEDGED=rebind"]), None);
    assert_eq!(meaning("change", CARD, &["WEDGED=rebind"]), None);
}

#[test]
fn a_huge_event_makes_a_small_report() {
    let value = format!("WEDGED={}", "x".repeat(100).repeat(10) + &",y".repeat(1000));
    let Some(Observed::Sign { sign, .. }) = meaning("change", CARD, &["SUBSYSTEM=drm", &value]) else {
        panic!("no sign")
    };
    let SignKind::Wedged { methods, .. } = sign.kind else { panic!("not wedged") };
    assert_eq!(methods.len(), MOST_METHODS);
    assert!(methods.iter().all(|method| method.name().len() <= LONGEST_NAME));
}

proptest! {
    #[test]
    fn no_variables_panic(
        action in prop::sample::select(vec!["add", "remove", "change", "bind", "x"]),
        path in prop::sample::select(vec![CARD, FUNCTION, "/", "", "0000:00:00.0"]),
        subsystem in prop::sample::select(vec!["drm", "pci", "nvme", "\u{fffd}"]),
        values in prop::collection::vec("[a-z,0-9\u{80}-\u{fff}=-]{0,40}", 8),
    ) {
        let names = ["WEDGED", "PID", "TASK", "ERROR_EVENT", "IVPU_PM_EVENT", "MAJOR", "MINOR", "DEVNAME"];
        let mut variables = vec![format!("SUBSYSTEM={subsystem}")];
        variables.extend(names.iter().zip(&values).map(|(name, value)| format!("{name}={value}")));
        let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
        let _ = meaning(action, path, &variables);
    }
}
