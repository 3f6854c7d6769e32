use proptest::prelude::*;

use super::read::slot_capabilities;

/// Space of a port: a power-management capability at 0x50, and PCI Express at 0x70.
fn port() -> Vec<u8> {
    let mut space = vec![0; 256];
    space[..2].copy_from_slice(&[0x86, 0x80]);
    space[0x34] = 0x50;
    space[0x50..0x52].copy_from_slice(&[0x01, 0x70]);
    space[0x70..0x74].copy_from_slice(&[0x10, 0x00, 0x42, 0x01]);
    space[0x84..0x88].copy_from_slice(&[0x7b, 0x00, 0x08, 0x00]);
    space
}

#[test]
fn slot_capabilities_are_found_behind_other_capabilities() {
    assert_eq!(slot_capabilities(&port()), Some(0x0008_007b));
}

#[test]
fn a_port_without_a_slot_states_none() {
    let mut space = port();
    space[0x73] = 0;
    assert_eq!(slot_capabilities(&space), None);
}

#[test]
fn a_list_that_runs_in_a_circle_ends() {
    let mut space = port();
    space[0x51] = 0x50;
    assert_eq!(slot_capabilities(&space), None);
    assert_eq!(slot_capabilities(&[0xff; 256]), None);
    assert_eq!(slot_capabilities(&port()[..64]), None);
}

proptest! {
    #[test]
    fn any_space_is_survived(space: Vec<u8>) {
        let _ = slot_capabilities(&space);
    }
}
