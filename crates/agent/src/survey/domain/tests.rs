use super::*;
use crate::system::System;
use crate::tree::{Tree, machines};

fn domain(tree: &Tree, address: &str, step: StepKind) -> Vec<(String, Coupling)> {
    let inventory = Inventory::read(&System::open(tree.root()).unwrap()).unwrap();
    let members = of(&inventory, inventory.function(address.parse().unwrap()).unwrap(), step);
    members.into_iter().map(|member| (member.address.to_string(), member.coupling)).collect()
}

fn names(tree: &Tree, address: &str, step: StepKind) -> Vec<String> {
    domain(tree, address, step).into_iter().map(|(address, _)| address).collect()
}

#[test]
fn a_card_alone_affects_nothing_else() {
    let tree = machines::card();
    for step in StepKind::ALL {
        assert!(domain(&tree, "0000:03:00.0", step).is_empty());
    }
}

#[test]
fn case_31_a_bus_reset_reaches_the_audio_function() {
    let tree = machines::with_audio();
    let audio = "0000:01:00.1".to_owned();
    assert_eq!(domain(&tree, "0000:01:00.0", StepKind::BusReset), [(audio.clone(), Coupling::Bus)]);
    assert_eq!(domain(&tree, "0000:01:00.0", StepKind::Rebind), [(audio, Coupling::Group)]);
}

#[test]
fn case_30_a_reset_above_a_switch_reaches_all_behind_it() {
    let tree = machines::eight_gpus();
    assert!(names(&tree, "0000:12:00.0", StepKind::BusReset).is_empty());
    let all = names(&tree, "0000:12:00.0", StepKind::PowerCycle);
    let gpus = ["0000:13:00.0", "0000:14:00.0", "0000:15:00.0"];
    assert!(gpus.iter().all(|gpu| all.contains(&(*gpu).to_owned())), "{all:?}");
    assert_eq!(all.len(), 8, "3 GPUs, 4 ports below and 1 above: {all:?}");
    assert_eq!(names(&tree, "0000:10:00.0", StepKind::Rebind).len(), 8, "a bridge takes all below along");
}

#[test]
fn case_30_a_reset_reaches_the_whole_hive() {
    let tree = machines::eight_gpus();
    for (switch, ports) in [(1, 2..6), (2, 2..6)] {
        for bus in ports {
            let (root, upstream) = (format!("0000:00:0{switch}.0"), format!("0000:{switch}0:00.0"));
            let port = format!("0000:{switch}1:0{}.0", bus - 2);
            let gpu = format!("0000:{switch}{bus}:00.0");
            let path = format!("sys/devices/pci0000:00/{root}/{upstream}/{port}/{gpu}");
            tree.write(&format!("{path}/xgmi_hive_info/xgmi_hive_id"), "7\n");
        }
    }
    let hive = domain(&tree, "0000:12:00.0", StepKind::FunctionReset);
    assert_eq!(hive.len(), 7);
    assert!(hive.iter().all(|(_, coupling)| *coupling == Coupling::Hive));
}

#[test]
fn case_38_virtual_functions_follow_their_physical_one() {
    let tree = machines::network();
    for step in StepKind::ALL {
        let own = domain(&tree, "0000:05:00.0", step);
        assert_eq!(own.len(), 2, "{step:?}: {own:?}");
    }
    assert!(names(&tree, "0000:05:00.3", StepKind::FunctionReset).is_empty(), "one virtual function is reset alone");
    assert_eq!(names(&tree, "0000:05:00.3", StepKind::BusReset), ["0000:05:00.0", "0000:05:00.2"]);
}

#[test]
fn without_a_bridge_a_vendors_program_is_believed_to_reset_the_slot() {
    let tree = machines::laptop();
    tree.function("pci0000:00", "0000:00:02.1");
    tree.function("pci0000:00", "0000:00:03.0");
    assert_eq!(names(&tree, "0000:00:02.0", StepKind::Vendor), ["0000:00:02.1"]);
}
