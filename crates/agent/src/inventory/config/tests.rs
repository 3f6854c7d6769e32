use proptest::prelude::*;

use super::*;
use crate::inventory::bus::Inventory;
use crate::tree::{self, machines};

fn read(bytes: &[u8]) -> Result<Config, Unread> {
    let system = System::open(machines_root().root()).unwrap();
    let inventory = Inventory::read(&system).unwrap();
    let function = inventory.functions().next().unwrap();
    Config::read(&system, function, &|_, _| Ok(bytes.to_vec()))
}

fn machines_root() -> &'static tree::Tree {
    static TREE: std::sync::OnceLock<tree::Tree> = std::sync::OnceLock::new();
    TREE.get_or_init(machines::card)
}

#[test]
fn a_serial_number_is_found_behind_another_capability() {
    assert_eq!(read(&tree::serial(0x1122_3344_5566_7788)).unwrap().serial(), Some(0x1122_3344_5566_7788));
    assert_eq!(read(&tree::config(&[])).unwrap().serial(), None);
}

#[test]
fn agent_19_power_is_cut_only_by_a_slot_with_a_power_controller() {
    assert!(read(&tree::port(true)).unwrap().cuts_power());
    assert!(!read(&tree::port(false)).unwrap().cuts_power());
    // The bits are there, but no slot is.
    let no_slot = tree::config(&[(0x40, 0x0062_0010), (0x54, 0x62)]);
    assert!(!read(&no_slot).unwrap().cuts_power());
}

#[test]
fn all_ones_are_no_answer_and_a_virtual_function_is_no_dead_one() {
    assert!(matches!(read(&[0xff; 4096]), Err(Unread::AllOnes)));
    let mut virtual_function = tree::config(&[]);
    virtual_function[..4].fill(0xff);
    assert!(read(&virtual_function).is_ok());
    assert!(matches!(read(&[0; 63]), Err(Unread::Short(63))));
}

#[test]
fn circles_of_capabilities_end() {
    let circle = tree::config(&[(0x40, 0x4005), (0x100, 0x1000_0001)]);
    let config = read(&circle).unwrap();
    assert_eq!((config.cuts_power(), config.serial()), (false, None));
}

#[test]
fn agent_22_a_sleeping_function_is_not_read() {
    let tree = machines::card();
    let system = System::open(tree.root()).unwrap();
    let inventory = Inventory::read(&system).unwrap();
    let function = inventory.function("0000:03:00.0".parse().unwrap()).unwrap();
    // The function has fallen asleep since the inventory.
    for status in ["suspended", "suspending", "resuming"] {
        tree.write(&format!("sys/{}", function.attribute("power/runtime_status")), format!("{status}\n"));
        let read = |_: &System, _: &Function| -> io::Result<Vec<u8>> { panic!("the function was woken") };
        assert!(matches!(Config::read(&system, function, &read), Err(Unread::Asleep)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4200)) {
        if let Ok(config) = read(&bytes) {
            let _ = (config.serial(), config.cuts_power());
        }
    }
}
