use std::path::Path;

use super::bus::Inventory;
use super::function::{Function, Power};
use super::{block::Stack, network};
use crate::address::Address;
use crate::system::System;
use crate::tree::{Tree, machines};

fn read(tree: &Tree) -> (System, Inventory) {
    let system = System::open(tree.root()).unwrap();
    let inventory = Inventory::read(&system).unwrap();
    (system, inventory)
}

fn at(address: &str) -> Address {
    address.parse().unwrap()
}

fn function<'a>(inventory: &'a Inventory, address: &str) -> &'a Function {
    inventory.function(at(address)).unwrap()
}

#[test]
fn a_card_is_read_with_its_driver_nodes_and_slot() {
    let tree = machines::card();
    let (_, inventory) = read(&tree);
    let gpu = function(&inventory, "0000:03:00.0");
    assert_eq!((gpu.ids.vendor, gpu.ids.device, gpu.ids.class), (0x8086, 0x56c0, 0x03_8000));
    assert_eq!((gpu.driver.as_deref(), gpu.module.as_deref()), (Some("xe"), Some("xe")));
    assert_eq!(gpu.driver_override, None);
    assert_eq!((gpu.slot.as_deref(), gpu.iommu_group.as_deref()), (Some("3"), Some("14")));
    assert_eq!(gpu.reset_methods, ["flr", "bus"]);
    assert_eq!(gpu.topology.bridge, Some(at("0000:00:01.0")));
    assert_eq!(gpu.power, Power::Awake);
    let names: Vec<&str> = gpu.below.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["dri/card0", "dri/renderD128"]);
    assert_eq!(gpu.unreadable, None);
    assert!(function(&inventory, "0000:00:01.0").below.nodes.is_empty(), "nodes of the card count for the card only");
}

#[test]
fn functions_without_a_number_are_unreadable_and_not_harmless() {
    let tree = machines::card();
    tree.write("sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0/class", "garbage\n");
    let (_, inventory) = read(&tree);
    assert!(function(&inventory, "0000:03:00.0").unreadable.as_deref().unwrap().starts_with("class of"));
}

#[test]
fn virtual_functions_and_their_physical_one_know_each_other() {
    let tree = machines::network();
    let (_, inventory) = read(&tree);
    let card = function(&inventory, "0000:05:00.0");
    assert_eq!(card.virtfns, [at("0000:05:00.2"), at("0000:05:00.3")]);
    assert_eq!(function(&inventory, "0000:05:00.2").physfn, Some(card.address));
    assert!(function(&inventory, "0000:05:00.2").is_vfio());
    assert!(card.below.modules.contains("mlx5_ib"));
}

#[test]
fn everything_behind_a_switch_is_below_it() {
    let tree = machines::eight_gpus();
    let (_, inventory) = read(&tree);
    let gpus = |bridge| inventory.below(at(bridge)).filter(|function| function.base_class() == 3).count();
    assert_eq!((gpus("0000:00:01.0"), gpus("0000:10:00.0"), gpus("0000:11:00.0")), (4, 4, 1));
}

#[test]
fn block_devices_are_followed_through_volumes() {
    let tree = machines::nvme();
    let (system, inventory) = read(&tree);
    let stack = Stack::read(&system, function(&inventory, "0000:04:00.0")).unwrap();
    assert!(stack.has_number(259, 0) && stack.has_number(252, 2) && stack.has_name("mapper/vg-root"));
    assert!(!stack.has_number(252, 3));
}

#[test]
fn disks_of_multipath_belong_to_their_controllers() {
    let tree = machines::nvme();
    let head = "devices/virtual/nvme-subsystem/nvme-subsys0";
    tree.write(&format!("sys/{head}/nvme0n9/dev"), "259:9\n");
    tree.write(&format!("sys/{head}/nvme0n9/nvme0n9p1/dev"), "259:10\n");
    tree.link_sys("class/nvme-subsystem/nvme-subsys0", head);
    tree.link_sys(&format!("{head}/nvme0"), "devices/pci0000:00/0000:00:1d.0/0000:04:00.0/nvme/nvme0");
    let (system, inventory) = read(&tree);
    let stack = Stack::read(&system, function(&inventory, "0000:04:00.0")).unwrap();
    assert!(stack.has_number(259, 9) && stack.has_number(259, 10));
}

#[test]
fn an_interface_needs_the_functions_below_it() {
    let tree = machines::network();
    let (system, inventory) = read(&tree);
    let functions = network::functions_of(&system, &inventory, "bond0.7").unwrap();
    assert_eq!(functions.into_iter().collect::<Vec<_>>(), [at("0000:05:00.0")]);
    assert!(network::functions_of(&system, &inventory, "nothing").unwrap().is_empty());
}

#[test]
fn a_circle_of_interfaces_ends() {
    let tree = machines::network();
    tree.link_sys("devices/virtual/net/bond0/lower_bond0.7", "class/net/bond0.7");
    let (system, inventory) = read(&tree);
    assert_eq!(network::functions_of(&system, &inventory, "bond0.7").unwrap().len(), 1);
}

#[test]
fn a_switch_that_hides_its_ports_needs_all_ports() {
    let tree = machines::network();
    tree.write("sys/devices/virtual/net/br-ex/flags", "0x1003\n");
    tree.link_sys("class/net/br-ex", "devices/virtual/net/br-ex");
    tree.link("sys/class/net/ens5/master", "../bond0");
    let (system, inventory) = read(&tree);
    assert_eq!(network::functions_of(&system, &inventory, "br-ex").unwrap().len(), 1);
}

#[test]
fn a_machine_without_a_bus_has_no_functions() {
    let tree = Tree::new();
    tree.remove("sys/bus/pci");
    assert_eq!(read(&tree).1.functions().count(), 0);
}

/// Reads this machine, whatever it has: everything that the kernel lists is understood.
#[test]
fn the_machine_that_runs_the_test_is_understood() {
    let system = System::open(Path::new("/")).unwrap();
    let listed = system.sys.list("bus/pci/devices").unwrap_or_default();
    let inventory = Inventory::read(&system).unwrap();
    assert_eq!(inventory.functions().count(), listed.len());
    for function in inventory.functions() {
        assert_eq!(function.unreadable, None);
    }
}
