//! Steps on a fake kernel: everything is put back, or the result names it.

use lifeboat_agent::actor::outcome::Outcome;
use lifeboat_agent::actor::steps::plan;
use lifeboat_recovery_policy::policy::StepKind;
use rustix::io::Errno;

use crate::kernel::Kernel;
use crate::steps::{planned, step};
use crate::tree::{AUDIO, Card, GPU, PORT, Tree};

const STEPS: [StepKind; 5] =
    [StepKind::Rebind, StepKind::FunctionReset, StepKind::BusReset, StepKind::RemoveRescan, StepKind::PowerCycle];

fn cards() -> Vec<Card> {
    let below = format!("pci0000:00/{PORT}");
    vec![
        Card::new(GPU, &below, "xe"),
        Card { class: "0x040300", methods: "bus", ..Card::new(AUDIO, &below, "snd_hda_intel") },
    ]
}

/// A workstation with settings that are not those of new functions.
fn workstation() -> Kernel {
    let tree = Tree::workstation();
    tree.write(&format!("bus/pci/devices/{GPU}/power/control"), "auto\n");
    tree.write(&format!("bus/pci/devices/{GPU}/reset_method"), "bus flr\n");
    // The audio function was given to another driver than the kernel would choose.
    tree.unbind(AUDIO);
    tree.bind(AUDIO, "pci-stub");
    tree.write(&format!("bus/pci/devices/{AUDIO}/driver_override"), "pci-stub\n");
    Kernel::new(tree, cards())
}

/// A network card with two of three virtual functions, the second of which belongs to a driver of its own.
fn network_card() -> Kernel {
    let tree = Tree::workstation();
    for card in cards() {
        tree.remove(&card);
    }
    let below = format!("pci0000:00/{PORT}");
    let card = Card { virtual_functions: 3, ..Card::new(GPU, &below, "mlx5_core") };
    tree.add(&card);
    let mut cards = vec![card];
    for number in 1..=3 {
        let address = format!("0000:03:02.{number}");
        let one = Card { physical: Some(GPU.into()), methods: "flr", ..Card::new(&address, &below, "mlx5_vf") };
        if number < 3 {
            tree.add(&one);
        }
        cards.push(one);
    }
    tree.write(&format!("bus/pci/devices/{GPU}/sriov_numvfs"), "2\n");
    tree.write(&format!("bus/pci/devices/{GPU}/sriov_drivers_autoprobe"), "0\n");
    tree.unbind("0000:03:02.2");
    tree.bind("0000:03:02.2", "other");
    tree.write("bus/pci/devices/0000:03:02.2/driver_override", "other\n");
    Kernel::new(tree, cards)
}

#[test]
fn agent_17_each_step_leaves_everything_as_it_was() {
    for kind in STEPS {
        let mut kernel = workstation();
        let before = kernel.tree.target(GPU);
        let plan = planned(&kernel.tree, kind);
        let ending = kernel.execute(&plan);
        assert_eq!((ending.outcome, ending.unrestored), (Outcome::Succeeded, Vec::<String>::new()), "{kind:?}");
        assert_eq!(kernel.tree.target(GPU), before, "{kind:?}");
    }
}

#[test]
fn the_kernel_sees_the_writes_of_the_plan_in_their_order() {
    for kind in STEPS {
        for mut kernel in [workstation(), network_card()] {
            let plan = planned(&kernel.tree, kind);
            kernel.execute(&plan);
            assert!(kernel.log.len() > 2);
            assert_eq!(kernel.log, kernel.expected(&plan), "{kind:?}");
        }
    }
}

#[test]
fn case_39_virtual_functions_come_back_with_their_drivers() {
    for kind in STEPS {
        let mut kernel = network_card();
        let before = kernel.tree.target(GPU);
        let plan = planned(&kernel.tree, kind);
        let ending = kernel.execute(&plan);
        assert_eq!((ending.outcome, ending.unrestored), (Outcome::Succeeded, Vec::<String>::new()), "{kind:?}");
        assert_eq!(kernel.tree.target(GPU), before, "{kind:?}");
    }
}

#[test]
fn case_39_virtual_functions_that_do_not_come_back_are_named() {
    let mut kernel = network_card();
    kernel.failures.insert(format!("bus/pci/devices/{GPU}/sriov_numvfs"), Errno::NOMEM);
    let ending = kernel.execute(&planned(&kernel.tree, StepKind::Rebind));
    assert_eq!(ending.outcome, Outcome::Succeeded);
    let text = ending.unrestored.join("\n");
    for part in ["sriov_numvfs of 0000:03:00.0 is \"0\"", "Cannot allocate memory", "driver of 0000:03:02.2 is gone"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn agent_17_a_step_that_fails_in_the_middle_binds_all_drivers_again() {
    let mut kernel = workstation();
    let before = kernel.tree.target(GPU);
    kernel.failures.insert(format!("bus/pci/devices/{PORT}/reset_subordinate"), Errno::NOTTY);
    let ending = kernel.execute(&planned(&kernel.tree, StepKind::BusReset));
    assert!(matches!(&ending.outcome, Outcome::Failed(text) if text.contains("reset_subordinate")), "{ending:?}");
    assert_eq!(ending.unrestored, Vec::<String>::new());
    assert_eq!(kernel.tree.target(GPU), before);
}

#[test]
fn agent_17_a_sibling_without_its_driver_is_named_and_the_rest_is_put_back() {
    let mut kernel = workstation();
    kernel.failures.insert("bus/pci/drivers/pci-stub/bind".into(), Errno::INVAL);
    let ending = kernel.execute(&planned(&kernel.tree, StepKind::BusReset));
    assert_eq!(ending.outcome, Outcome::Succeeded);
    assert_eq!(ending.unrestored.len(), 1, "{ending:?}");
    assert!(ending.unrestored[0].starts_with(&format!("driver of {AUDIO} is none")), "{ending:?}");
    assert!(ending.unrestored[0].contains("Invalid argument"), "{ending:?}");
    assert_eq!(kernel.tree.driver(GPU).as_deref(), Some("xe"));
    assert_eq!(kernel.tree.read(&format!("bus/pci/devices/{GPU}/power/control")), "auto");
}

#[test]
fn a_device_without_its_driver_is_no_success() {
    let mut kernel = workstation();
    kernel.failures.insert("bus/pci/drivers/xe/bind".into(), Errno::IO);
    let ending = kernel.execute(&planned(&kernel.tree, StepKind::Rebind));
    assert!(matches!(&ending.outcome, Outcome::Failed(text) if text.contains("Input/output error")), "{ending:?}");
}

#[test]
fn agent_17_a_later_step_gives_the_driver_back_that_an_earlier_one_lost() {
    let mut kernel = workstation();
    let before = kernel.tree.target(GPU);
    kernel.failures.insert("bus/pci/drivers/xe/bind".into(), Errno::IO);
    kernel.execute(&planned(&kernel.tree, StepKind::Rebind));
    kernel.failures.clear();
    let now = kernel.tree.target(GPU);
    assert_eq!(now.functions[0].driver, None);
    let again = plan(&step(StepKind::FunctionReset), &now, &before).unwrap();
    assert_eq!(kernel.execute(&again).outcome, Outcome::Succeeded);
    assert_eq!(kernel.tree.target(GPU), before);
}

#[test]
fn agent_14_a_step_whose_first_write_is_answered_with_an_error_is_refused() {
    let mut kernel = workstation();
    kernel.failures.insert("bus/pci/drivers/xe/unbind".into(), Errno::PERM);
    let before = kernel.tree.target(GPU);
    let ending = kernel.execute(&planned(&kernel.tree, StepKind::Rebind));
    assert!(matches!(ending.outcome, Outcome::Refused(_)), "{ending:?}");
    assert_eq!(kernel.log.len(), 1, "{:?}", kernel.log);
    assert_eq!(kernel.tree.target(GPU), before);
}

#[test]
fn case_36_a_rescan_that_brings_nothing_back_has_failed() {
    let mut kernel = workstation();
    kernel.blind = true;
    let ending = kernel.execute(&planned(&kernel.tree, StepKind::RemoveRescan));
    assert!(
        matches!(&ending.outcome, Outcome::Failed(text) if text.contains("0000:03:00.0 is gone after 70 s")),
        "{ending:?}"
    );
    assert!(ending.unrestored.iter().any(|text| text.starts_with("driver of 0000:03:00.0 is gone")), "{ending:?}");
}

#[test]
fn case_37_a_bar_without_an_address_is_said() {
    let mut kernel = workstation();
    let plan = planned(&kernel.tree, StepKind::Rebind);
    kernel.failures.insert("bus/pci/drivers/xe/bind".into(), Errno::NOMEM);
    let resource = format!("bus/pci/devices/{GPU}/resource");
    let fits = "0x00000000e0000000 0x00000000efffffff 0x0000000000140204\n";
    kernel.tree.write(&resource, fits);
    let said = |kernel: &mut Kernel| match kernel.execute(&plan).outcome {
        Outcome::Failed(text) => text.contains("a BAR has no address"),
        other => panic!("{other:?}"),
    };
    assert!(!said(&mut kernel));
    kernel.tree.bind(GPU, "xe");
    let unset = format!("{fits}0x0000000000000000 0x00000003ffffffff 0x0000000020140204\n");
    kernel.tree.write(&resource, &unset);
    assert!(said(&mut kernel));
}

#[test]
fn a_driver_that_took_a_function_meanwhile_is_unbound_for_the_one_before() {
    let mut kernel = workstation();
    let plan = planned(&kernel.tree, StepKind::PowerCycle);
    kernel.execute(&plan);
    let expected = (format!("bus/pci/devices/{AUDIO}/driver/unbind"), AUDIO.to_owned());
    assert!(kernel.log.contains(&expected), "{:?}", kernel.log);
    assert_eq!(kernel.tree.driver(AUDIO).as_deref(), Some("pci-stub"));
}
