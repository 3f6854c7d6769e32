use std::fs::File;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use super::*;
use crate::inventory::bus::Inventory;
use crate::tree::{Tree, machines};

fn scan(tree: &Tree) -> Scan {
    let system = System::open(tree.root()).unwrap();
    let inventory = Inventory::read(&system).unwrap();
    Scan::read(&system, &Targets::read(&system, &inventory).unwrap())
}

fn places(scan: &Scan, address: &str) -> Vec<(u32, Vec<String>)> {
    let uses = scan.uses(address.parse().unwrap()).iter();
    uses.map(|used| (used.process.pid, used.places.iter().cloned().collect())).collect()
}

#[test]
fn agent_18_a_thread_with_a_table_of_its_own_is_found() {
    let tree = machines::card();
    tree.process(200, "worker").fd(3, "/dev/dri/card0").thread_fd(201, 3, "/dev/dri/card0").thread_fd(201, 4, "/tmp/x");
    tree.process(300, "leaderless").stat("leaderless", 'Z', 0, 5).thread_fd(301, 8, "/dev/dri/renderD128");
    let scan = scan(&tree);
    let expected = [(200, vec!["fd 3".to_owned()]), (300, vec!["thread 301 fd 8".to_owned()])];
    assert_eq!(places(&scan, "0000:03:00.0"), expected);
    assert_eq!(scan.unreadable, None);
}

#[test]
fn agent_18_maps_are_found_also_of_a_process_without_its_first_thread() {
    let tree = machines::card();
    let map = "7f00-7f01 rw-s 00100000 00:05 129 /dev/dri/renderD128\n7f01-7f02 r--p 0 fd:00 7 /usr/lib/x y.so\n";
    tree.process(200, "mapper").maps(200, map);
    tree.process(300, "leaderless").stat("leaderless", 'Z', 0, 5).thread(301).maps(301, map);
    let registers = "7f00-7f01 rw-s 0 00:15 9 /sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0/resource0\n";
    tree.process(400, "peeker").maps(400, registers);
    let found = places(&scan(&tree), "0000:03:00.0");
    assert_eq!(found.iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), [200, 300, 400]);
    assert_eq!(found[0].1, ["map /dev/dri/renderD128"]);
}

#[test]
fn case_28_a_node_with_another_name_is_found_by_the_kernels_notes() {
    let tree = machines::card();
    tree.process(200, "contained").fd(5, "/run/gpu (deleted)").notes(5, "pos:\t0\ndrm-pdev:\t0000:03:00.0\n");
    tree.process(201, "other").fd(5, "/run/gpu").notes(5, "pos:\t0\ndrm-pdev:\t0000:09:00.0\n");
    assert_eq!(places(&scan(&tree), "0000:03:00.0"), [(200, vec!["fd 5".to_owned()])]);
}

#[test]
fn descriptors_of_vfio_devices_are_found_by_the_kernels_notes() {
    let tree = machines::vfio();
    let path = "vfio-device-syspath: /sys/devices/pci0000:00/0000:00:01.0/0000:02:00.1\n";
    tree.process(5001, "vmm").fd(9, "anon_inode:[vfio-device]").notes(9, path);
    assert_eq!(places(&scan(&tree), "0000:02:00.1"), [(5000, vec!["fd 30".into()]), (5001, vec!["fd 9".into()])]);
    assert_eq!(places(&scan(&tree), "0000:02:00.0"), [(5000, vec!["fd 30".into()])]);
}

#[test]
fn case_28_a_number_is_certain_and_a_path_is_not() {
    let tree = machines::card();
    let system = System::open(tree.root()).unwrap();
    let targets = Targets::read(&system, &Inventory::read(&system).unwrap()).unwrap();
    let device = |minor| Number::Device(crate::system::DeviceNumber { block: false, major: 226, minor });
    let found = |number, path: &str| match targets.of_file(number, path) {
        Answer::Functions(found) => Some(found.len()),
        Answer::AskKernel => None,
    };
    assert_eq!(found(device(128), "/any/name"), Some(1));
    // The container's node has the name of ours and is that of a device that is gone.
    assert_eq!(found(device(131), "/dev/dri/card0"), None);
    assert_eq!(found(Number::None, "/dev/dri/card0"), Some(0));
    assert_eq!(found(Number::Untold, "/dev/dri/card0"), Some(1));
}

#[test]
fn process_files_that_cannot_be_understood_are_named() {
    let tree = machines::card();
    tree.write("proc/200/stat", "garbage");
    assert!(scan(&tree).unreadable.unwrap().contains("the first is 200"));
}

#[test]
fn agent_18_a_namespace_that_hides_processes_is_named() {
    let tree = machines::card();
    tree.link("proc/self/ns/pid", "pid:[4026531836]");
    assert_eq!(scan(&tree).unreadable, None);
    tree.link("proc/self/ns/pid", "pid:[4026532999]");
    assert!(scan(&tree).unreadable.is_some());
}

/// Scans this machine for a node that a thread of this test alone has open, in a table of its own.
#[test]
fn agent_18_a_thread_of_this_process_with_a_table_of_its_own_is_found() {
    // The test's own tree has the card's node under the number of a node that nothing else keeps open.
    let tree = machines::card();
    tree.write("sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0/drm/card0/dev", "1:7\n");
    let fake = System::open(tree.root()).unwrap();
    let targets = Targets::read(&fake, &Inventory::read(&fake).unwrap()).unwrap();
    let (opened, is_open) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let worker = thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).unwrap();
        let full = File::open("/dev/full").unwrap();
        opened.send(nix::unistd::gettid().as_raw()).unwrap();
        let _ = finished.recv();
        drop(full);
    });
    let tid = is_open.recv().unwrap();
    let machine = System::open(Path::new("/")).unwrap();
    let mut look =
        Look { system: &machine, targets: &targets, pid: std::process::id(), places: BTreeMap::new(), stale: false };
    let stat = Stat::read(&machine, std::process::id()).unwrap().unwrap();
    let result = look.threads(&stat);
    drop(finish);
    worker.join().unwrap();
    result.unwrap();
    let (places, kinds) = &look.places["0000:03:00.0".parse::<Address>().as_ref().unwrap()];
    assert!(places.iter().all(|place| place.starts_with(&format!("thread {tid} fd "))), "{places:?}");
    assert!(kinds.contains(&Kind::Primary));
}
