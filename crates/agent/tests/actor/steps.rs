//! Plans: their exact writes, and the reasons for which there is none.

use std::time::Duration;

use lifeboat_agent::actor::execute::execute;
use lifeboat_agent::actor::plan::{Operation, Plan};
use lifeboat_agent::actor::record::Recorder;
use lifeboat_agent::actor::steps::{Unavailable, plan};
use lifeboat_recovery_policy::policy::{Step, StepKind};

use crate::tree::{AUDIO, Card, GPU, PORT, Tree, address};

pub(crate) fn step(kind: StepKind) -> Step {
    let deadline = Duration::from_mins(3);
    Step { kind, tries: 1, deadline, confirm: false, case: "xe/firmware".into(), run: "/usr/lib/vendor/flash".into() }
}

pub(crate) fn planned(tree: &Tree, kind: StepKind) -> Plan {
    let target = tree.target(GPU);
    plan(&step(kind), &target, &target).unwrap()
}

fn refusal(tree: &Tree, device: &str, kind: StepKind) -> Unavailable {
    let target = tree.target(device);
    plan(&step(kind), &target, &target).unwrap_err()
}

/// Returns the writes of the plan's step, without those that put things back.
fn writes(plan: &Plan) -> Vec<(String, String)> {
    let operations = plan.operations.iter();
    operations
        .filter_map(|operation| match operation {
            Operation::Write { path, text, .. } => Some((path.clone(), text.clone())),
            _ => None,
        })
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_simulation_makes_the_writes_of_the_plan() {
    let tree = Tree::workstation();
    for kind in StepKind::ALL {
        let plan = planned(&tree, kind);
        let mut recorder = Recorder::default();
        execute(&plan, &mut recorder, &mut |_| Ok(())).unwrap();
        let all: Vec<_> = plan
            .all()
            .filter_map(|operation| match operation {
                Operation::Write { path, text, .. } => Some((path.clone(), text.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(recorder.writes, all);
        assert_eq!(recorder.programs.len(), usize::from(kind == StepKind::Vendor));
    }
}

#[test]
fn a_plan_survives_json_and_every_operation_is_printed() {
    let tree = Tree::workstation();
    for kind in StepKind::ALL {
        let plan = planned(&tree, kind);
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        let text = plan.to_string();
        for operation in plan.all() {
            assert!(text.contains(&operation.to_string()), "{operation} is not in {text}");
        }
    }
}

#[test]
fn a_rebind_is_printed_for_people() {
    let text = planned(&Tree::workstation(), StepKind::Rebind).to_string();
    let expected = [
        "rebind of 0000:03:00.0",
        "   1. write \"0000:03:00.0\" to /sys/bus/pci/drivers/xe/unbind",
        "   2. wait at most 10 s until 0000:03:00.0 has no driver",
        "  then, whatever became of these:",
        "   3. write \"flr bus\" to /sys/bus/pci/devices/0000:03:00.0/reset_method, unless reset_method of 0000:03:00.0 is \"flr bus\"",
        "   4. write \"0000:03:00.0\" to /sys/bus/pci/drivers/xe/bind, unless 0000:03:00.0 is bound to xe",
        "   5. wait at most 10 s until 0000:03:00.0 is bound to xe",
    ];
    assert!(text.starts_with(&(expected.join("\n") + "\n")), "{text}");
}

#[test]
fn a_function_reset_uses_one_method_and_puts_the_list_back() {
    let plan = planned(&Tree::workstation(), StepKind::FunctionReset);
    let expected = [
        ("bus/pci/drivers/xe/unbind", GPU),
        ("bus/pci/devices/0000:03:00.0/reset_method", "flr"),
        ("bus/pci/devices/0000:03:00.0/reset", "1"),
    ];
    assert_eq!(writes(&plan), pairs(&expected));
    let Operation::Write { path, text, .. } = &plan.restores[0] else { panic!("{plan}") };
    assert_eq!((path.as_str(), text.as_str()), ("bus/pci/devices/0000:03:00.0/reset_method", "flr bus"));
}

#[test]
fn a_bus_reset_unbinds_every_function_below_the_bridge_first() {
    let plan = planned(&Tree::workstation(), StepKind::BusReset);
    let expected = [
        ("bus/pci/drivers/snd_hda_intel/unbind", AUDIO),
        ("bus/pci/drivers/xe/unbind", GPU),
        ("bus/pci/devices/0000:00:01.0/reset_subordinate", "1"),
    ];
    assert_eq!(writes(&plan), pairs(&expected));
    assert_eq!(plan.functions, [address(GPU), address(AUDIO)]);
}

#[test]
fn a_bus_reset_of_an_older_kernel_needs_a_function_that_is_alone() {
    let tree = Tree::workstation();
    std::fs::remove_file(tree.sys(&format!("bus/pci/devices/{PORT}/reset_subordinate"))).unwrap();
    assert_eq!(refusal(&tree, GPU, StepKind::BusReset), Unavailable::NoBusReset(address(PORT)));
    tree.remove(&Card::new(AUDIO, &format!("pci0000:00/{PORT}"), "snd_hda_intel"));
    let plan = planned(&tree, StepKind::BusReset);
    assert_eq!(
        writes(&plan)[1..],
        pairs(&[("bus/pci/devices/0000:03:00.0/reset_method", "bus"), ("bus/pci/devices/0000:03:00.0/reset", "1"),])
    );
}

#[test]
fn case_31_an_audio_function_without_a_reset_of_its_own_is_not_reset() {
    let unavailable = refusal(&Tree::workstation(), AUDIO, StepKind::FunctionReset);
    assert_eq!(unavailable, Unavailable::NoReset { function: address(AUDIO), methods: vec!["bus".into()] });
}

#[test]
fn case_35_no_plan_rescans_more_than_the_bus_of_the_device() {
    let tree = Tree::workstation();
    for kind in StepKind::ALL {
        for operation in planned(&tree, kind).all() {
            let Operation::Write { path, .. } = operation else { continue };
            let rescans = path.ends_with("/rescan");
            assert!(!rescans || path == "class/pci_bus/0000:03/rescan", "{path}");
        }
    }
    assert_eq!(
        writes(&planned(&tree, StepKind::RemoveRescan)),
        pairs(&[
            ("bus/pci/drivers/xe/unbind", GPU),
            ("bus/pci/devices/0000:03:00.0/remove", "1"),
            ("class/pci_bus/0000:03/rescan", "1"),
        ])
    );
    // The bus of a function without a bridge is the root: a rescan there would be one of everything.
    tree.add(&Card::new("0000:00:02.0", "pci0000:00", "i915"));
    let unavailable = refusal(&tree, "0000:00:02.0", StepKind::RemoveRescan);
    assert_eq!(unavailable, Unavailable::RootBus(address("0000:00:02.0")));
}

#[test]
fn agent_19_power_is_cut_only_where_the_slot_says_so() {
    let tree = Tree::workstation();
    let slot = "bus/pci/slots/7/power";
    assert_eq!(writes(&planned(&tree, StepKind::PowerCycle))[2..], pairs(&[(slot, "0"), (slot, "1")]));

    let config = tree.sys(&format!("bus/pci/devices/{PORT}/config"));
    let mut space = std::fs::read(&config).unwrap();
    space[0x84] = 0x40;
    std::fs::write(&config, &space).unwrap();
    assert_eq!(refusal(&tree, GPU, StepKind::PowerCycle), Unavailable::NoPowerController("7".into()));

    // A port that is gone states every bit.
    std::fs::write(&config, [0xff; 256]).unwrap();
    let gone = refusal(&tree, GPU, StepKind::PowerCycle);
    assert!(matches!(gone, Unavailable::UnknownPower { .. }), "{gone}");

    std::fs::remove_dir_all(tree.sys("bus/pci/slots/7")).unwrap();
    assert_eq!(refusal(&tree, GPU, StepKind::PowerCycle), Unavailable::NoSlot(address(GPU)));
}

#[test]
fn agent_22_a_port_that_sleeps_is_not_read() {
    let tree = Tree::workstation();
    tree.write(&format!("bus/pci/devices/{PORT}/power/runtime_status"), "suspended\n");
    let unknown = refusal(&tree, GPU, StepKind::PowerCycle);
    let reason = format!("the port {PORT} is suspended");
    assert_eq!(unknown, Unavailable::UnknownPower { slot: "7".into(), reason });
}

#[test]
fn the_slot_above_a_switch_on_the_card_is_the_slot_of_the_card() {
    let tree = Tree::empty();
    let bridge = |address, parent: &str| Card { class: "0x060400", ..Card::new(address, parent, "pcieport") };
    tree.add(&bridge(PORT, "pci0000:00"));
    tree.port(PORT, "7", "0000:01:00", true);
    tree.add(&bridge("0000:01:00.0", &format!("pci0000:00/{PORT}")));
    tree.add(&bridge("0000:02:01.0", &format!("pci0000:00/{PORT}/0000:01:00.0")));
    tree.add(&Card::new(GPU, &format!("pci0000:00/{PORT}/0000:01:00.0/0000:02:01.0"), "xe"));
    let plan = planned(&tree, StepKind::PowerCycle);
    assert_eq!(plan.realm, Some(address(PORT)));
    assert_eq!(plan.functions, ["0000:01:00.0", "0000:02:01.0", GPU].map(address));
    // The drivers of bridges go and come with the bridges.
    assert_eq!(writes(&plan)[0], ("bus/pci/drivers/xe/unbind".into(), GPU.into()));
    assert!(!plan.to_string().contains("pcieport/bind"));
}

#[test]
fn case_33_an_unbind_that_may_never_return_is_announced() {
    let tree = Tree::workstation();
    tree.unbind(GPU);
    tree.bind(GPU, "vfio-pci");
    let plan = planned(&tree, StepKind::Rebind);
    assert_eq!(
        plan.cautions,
        [format!("{GPU} is bound to vfio-pci: unbinding it waits, without an end, for the process that uses it")]
    );
}

#[test]
fn case_7_every_plan_has_a_longest_time() {
    let tree = Tree::workstation();
    for kind in StepKind::ALL {
        let plan = planned(&tree, kind);
        for operation in plan.all() {
            assert!((Duration::from_millis(1)..Duration::from_mins(5)).contains(&operation.patience()), "{operation}");
        }
        assert!(plan.patience() < Duration::from_mins(15), "{plan}");
    }
    // The kernel waits a minute for a function to be ready again.
    let reset = planned(&tree, StepKind::FunctionReset);
    assert!(reset.patience() >= Duration::from_mins(1));
}

#[test]
fn a_device_that_is_gone_can_only_be_looked_for() {
    let tree = Tree::workstation();
    let before = tree.target(GPU);
    tree.remove(&Card::new(GPU, &format!("pci0000:00/{PORT}"), "xe"));
    let now = tree.target(GPU);
    for kind in [StepKind::Rebind, StepKind::FunctionReset, StepKind::BusReset] {
        assert_eq!(plan(&step(kind), &now, &before).unwrap_err(), Unavailable::Gone(address(GPU)));
    }
    let rescan = plan(&step(StepKind::RemoveRescan), &now, &before).unwrap();
    assert_eq!(writes(&rescan), pairs(&[("class/pci_bus/0000:03/rescan", "1")]));
}

#[test]
fn agent_14_a_target_with_a_file_that_cannot_be_read_is_none() {
    let tree = Tree::workstation();
    let path = format!("bus/pci/devices/{AUDIO}/driver_override");
    std::fs::remove_file(tree.sys(&path)).unwrap();
    std::fs::create_dir(tree.sys(&path)).unwrap();
    let error = lifeboat_agent::actor::targets::Target::read(&tree.root(), address(GPU)).unwrap_err();
    assert_eq!(error.path, path);
}
