use super::*;
use crate::inventory::bus::Inventory;
use crate::inventory::config::read_here;
use crate::tree::{Tree, machines, serial};

const CARD: &str = "sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0";

fn identity(tree: &Tree, address: &str) -> DeviceId {
    let system = System::open(tree.root()).unwrap();
    let inventory = Inventory::read(&system).unwrap();
    DeviceId::read(&system, inventory.function(address.parse().unwrap()).unwrap(), &read_here)
}

#[test]
fn case_41_new_minors_are_the_same_device() {
    let tree = machines::card();
    let before = identity(&tree, "0000:03:00.0");
    tree.remove(&format!("{CARD}/drm"));
    tree.write(&format!("{CARD}/drm/card7/dev"), "226:7\n");
    let after = identity(&tree, "0000:03:00.0");
    assert_eq!(before, after);
    assert!(before.is_same(&after));
}

#[test]
fn case_41_another_card_at_the_same_address_is_another_device() {
    let tree = machines::card();
    let before = identity(&tree, "0000:03:00.0");
    tree.write(&format!("{CARD}/config"), serial(0x99));
    assert!(!before.is_same(&identity(&tree, "0000:03:00.0")), "the serial number is another");
    tree.write(&format!("{CARD}/config"), crate::tree::config(&[]));
    assert!(!before.is_same(&identity(&tree, "0000:03:00.0")), "there is no serial number");
    let tree = machines::card();
    tree.write(&format!("{CARD}/device"), "0x56c1\n");
    assert!(!before.is_same(&identity(&tree, "0000:03:00.0")), "the model is another");
}

#[test]
fn case_41_a_card_at_another_place_is_another_device() {
    let tree = machines::eight_gpus();
    let (first, second) = (identity(&tree, "0000:12:00.0"), identity(&tree, "0000:13:00.0"));
    assert!(!first.is_same(&second));
    assert_eq!(first.driver_serial, Serial::Known("GPU-00000000".into()));
    assert_eq!(first.route, "pci0000:00/01.0/00.0/00.0/00.0");
}

#[test]
fn a_device_that_does_not_answer_is_the_same_and_keeps_its_number() {
    let tree = machines::card();
    let before = identity(&tree, "0000:03:00.0");
    for (file, content) in [("power/runtime_status", b"suspended\n".to_vec()), ("config", vec![0xff; 4096])] {
        tree.write(&format!("{CARD}/{file}"), content);
        let silent = identity(&tree, "0000:03:00.0");
        assert_eq!(silent.serial, Serial::Unread);
        assert!(silent.is_same(&before));
        assert_eq!(silent.completed_by(&before), before);
        tree.write(&format!("{CARD}/power/runtime_status"), "active\n");
    }
}

#[test]
fn the_driver_of_a_disk_states_its_number() {
    assert_eq!(identity(&machines::nvme(), "0000:04:00.0").driver_serial, Serial::Known("S64ANS0T000001".into()));
}

#[test]
fn an_identity_survives_its_text() {
    let identity = identity(&machines::card(), "0000:03:00.0");
    let text = serde_json::to_string(&identity).unwrap();
    assert_eq!(serde_json::from_str::<DeviceId>(&text).unwrap(), identity);
}
