use std::path::Path;

use lifeboat_recovery_policy::policy::StepKind;
use lifeboat_recovery_policy::survey::{Health, Holder, Protection, Spared, Survey};

use super::mounts::Mount;
use super::question::{Eyes, Question};
use super::take;
use crate::address::Address;
use crate::inventory::block::Stack;
use crate::inventory::bus::Inventory;
use crate::inventory::config::read_here;
use crate::inventory::function::Function;
use crate::system::System;
use crate::tree::{Tree, machines};

fn question<'a>(device: Address, step: StepKind) -> Question<'a> {
    Question {
        device,
        step,
        program: Path::new(""),
        driver: None,
        bridge: None,
        never_end: &[],
        control: &[],
        kernel_recovers: false,
    }
}

fn survey(tree: &Tree, device: &str, step: StepKind) -> Survey {
    survey_with(tree, device, step, |_| {})
}

fn survey_with<'a>(tree: &Tree, device: &str, step: StepKind, change: impl FnOnce(&mut Question<'a>)) -> Survey {
    let mut question = question(device.parse().unwrap(), step);
    change(&mut question);
    let eyes = Eyes { config: &read_here, probe: &|_| Health::Works };
    take::take(&System::open(tree.root()).unwrap(), &question, &eyes)
}

fn holder<'a>(survey: &'a Survey, name: &str) -> &'a Holder {
    survey.holders.found.iter().find(|holder| holder.name == name).unwrap()
}

const CARD: &str = "0000:03:00.0";
const CARD_PATH: &str = "sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0";

#[test]
fn an_idle_card_is_free() {
    let expected = Survey {
        health: Health::Works,
        kernel_recovers: false,
        unavailable: None,
        protections: Vec::new(),
        domain_in_use: Vec::new(),
        domain_unreadable: None,
        holders: lifeboat_recovery_policy::survey::Holders {
            found: Vec::new(),
            unknowable: survey(&machines::card(), CARD, StepKind::Rebind).holders.unknowable,
            unreadable: None,
        },
    };
    assert_eq!(survey(&machines::card(), CARD, StepKind::BusReset), expected);
}

#[test]
fn case_21_a_persistence_daemon_is_named_with_its_unit() {
    let tree = machines::eight_gpus();
    let daemon = tree.process(1500, "nvidia-persiste");
    daemon.cgroup("0::/system.slice/nvidia-persistenced.service\n").fd(4, "/dev/nvidia0").fd(5, "/dev/nvidiactl");
    let survey = survey(&tree, "0000:12:00.0", StepKind::FunctionReset);
    let holder = holder(&survey, "nvidia-persiste");
    assert_eq!((holder.pid, holder.unit.as_deref()), (Some(1500), Some("nvidia-persistenced.service")));
    assert_eq!((holder.places.as_slice(), holder.spared), (["fd 4".to_owned()].as_slice(), None));
}

#[test]
fn case_22_a_holder_that_nobody_listed_is_found() {
    let tree = machines::card();
    tree.process(600, "exporter (v2)").cgroup("0::/system.slice/telemetry.service\n").fd(11, "/dev/dri/renderD128");
    let survey = survey(&tree, CARD, StepKind::Rebind);
    let holder = holder(&survey, "exporter (v2)");
    assert_eq!((holder.pid, holder.start), (Some(600), 60_000));
    assert_eq!(survey.holders.found.len(), 1);
}

#[test]
fn case_23_a_kernel_module_holds_the_driver() {
    let tree = machines::eight_gpus();
    tree.create("sys/module/nvidia_peermem");
    tree.link_sys("module/nvidia/holders/nvidia_peermem", "module/nvidia_peermem");
    tree.write("sys/module/nvidia/refcnt", "9\n");
    let survey = survey(&tree, "0000:12:00.0", StepKind::Rebind);
    let holder = holder(&survey, "nvidia_peermem");
    assert_eq!((holder.pid, holder.spared), (None, Some(Spared::Kernel)));
    assert!(survey.holders.unknowable.iter().any(|text| text.contains("in use 9 times, 1 of them")));
}

#[test]
fn a_module_that_drives_a_part_of_the_device_is_no_holder() {
    let survey = survey(&machines::network(), "0000:05:00.0", StepKind::Rebind);
    assert!(survey.holders.found.is_empty(), "{:?}", survey.holders.found);
}

#[test]
fn agent_10_the_only_gpu_of_a_laptop_is_protected() {
    let survey = survey(&machines::laptop(), "0000:00:02.0", StepKind::Rebind);
    assert_eq!(survey.protections, [Protection::Console, Protection::Session]);
    assert_eq!(holder(&survey, "gnome-shell").spared, Some(Spared::Essential));
    assert_eq!(holder(&survey, "systemd-logind").spared, Some(Spared::Essential));
    assert!(survey.holders.unknowable.iter().any(|text| text.starts_with("fbcon")));
}

#[test]
fn agent_10_each_sign_of_a_console_is_enough() {
    let gpu = "sys/devices/pci0000:00/0000:00:02.0";
    let (vga, display, bind) =
        (format!("{gpu}/boot_vga"), format!("{gpu}/drm/card0/boot_display"), "sys/class/vtconsole/vtcon1/bind");
    for kept in [None, Some(vga.as_str()), Some(display.as_str()), Some(bind)] {
        let tree = machines::laptop();
        for file in [vga.as_str(), &display, bind].into_iter().filter(|file| Some(*file) != kept) {
            tree.write(file, "0\n");
        }
        let survey = survey(&tree, "0000:00:02.0", StepKind::Rebind);
        assert_eq!(survey.protections.contains(&Protection::Console), kept.is_some(), "{kept:?}");
    }
    let tree = machines::card();
    tree.write("sys/class/tty/console/active", "tty0 ttyS4\n");
    tree.write(&format!("{CARD_PATH}/tty/ttyS4/dev"), "4:68\n");
    tree.link_sys("class/tty/ttyS4", &format!("{}/tty/ttyS4", &CARD_PATH[4..]));
    assert_eq!(survey(&tree, CARD, StepKind::Rebind).protections, [Protection::Console]);
}

#[test]
fn agent_10_a_session_is_one_on_a_seat_that_shows_pictures() {
    let tree = machines::laptop();
    let session =
        |tree: &Tree| survey(tree, "0000:00:02.0", StepKind::Rebind).protections.contains(&Protection::Session);
    tree.write("run/systemd/sessions/2", "UID=1000\nACTIVE=0\nSEAT=seat0\n");
    assert!(!session(&tree));
    // A machine without logind: the terminal of the server is a virtual console.
    tree.process(900, "Xorg").stat("Xorg", 'S', 1025, 1).fd(9, "/dev/dri/card0");
    assert!(session(&tree));
    tree.process(900, "compute").stat("compute", 'S', 1025, 1).fd(9, "/dev/dri/renderD128");
    assert!(!session(&tree));
}

#[test]
fn agent_18_process_1_and_those_that_the_policy_names_are_spared() {
    let tree = machines::card();
    tree.process(1, "init").fd(50, "/dev/dri/card0");
    tree.process(40, "database").cgroup("0::/system.slice/ledger.service\n").fd(3, "/dev/dri/card0");
    tree.process(41, "a-name-that-is-c").stat("a-name-that-is-", 'S', 0, 1).fd(3, "/dev/dri/card0");
    tree.process(42, "batch").fd(3, "/dev/dri/card0");
    let never = ["ledger".to_owned(), "a-name-that-is-cut".to_owned()];
    let survey = survey_with(&tree, CARD, StepKind::Rebind, |question| question.never_end = &never);
    let spared: Vec<_> = survey.holders.found.iter().map(|holder| (holder.pid.unwrap(), holder.spared)).collect();
    let policy = Some(Spared::Policy);
    assert_eq!(spared, [(1, Some(Spared::Essential)), (40, policy), (41, policy), (42, None)]);
}

#[test]
fn case_32_a_gpu_of_a_virtual_machine_is_protected_with_its_whole_group() {
    let tree = machines::vfio();
    let gpu = survey(&tree, "0000:02:00.0", StepKind::Rebind);
    assert_eq!(gpu.protections, [Protection::Vfio]);
    assert_eq!(holder(&gpu, "qemu-system-x86").spared, Some(Spared::Vfio));
    // The audio function has a driver of the kernel, and shares the group.
    let audio = survey(&tree, "0000:02:00.1", StepKind::Rebind);
    assert_eq!(audio.protections, [Protection::Vfio]);
    assert!(audio.domain_in_use[0].starts_with("0000:02:00.0 (same IOMMU group): bound to VFIO"));
    // Nobody has the machine open, and the driver alone protects.
    tree.remove("proc/5000");
    assert_eq!(survey(&tree, "0000:02:00.0", StepKind::Rebind).protections, [Protection::Vfio]);
}

#[test]
fn agent_9_audio_that_plays_is_in_the_way_of_a_bus_reset_only() {
    let tree = machines::with_audio();
    let reset = survey(&tree, "0000:01:00.0", StepKind::BusReset);
    assert_eq!(reset.domain_in_use, ["0000:01:00.1 (same bus): process 700 (wireplumber) of wireplumber.service"]);
    assert!(survey(&tree, "0000:01:00.0", StepKind::Rebind).domain_in_use.is_empty());
    tree.remove("proc/700");
    assert!(survey(&tree, "0000:01:00.0", StepKind::BusReset).domain_in_use.is_empty());
}

#[test]
fn case_30_jobs_on_the_other_gpus_behind_the_switch_are_in_the_way() {
    let tree = machines::eight_gpus();
    let survey = survey(&tree, "0000:12:00.0", StepKind::PowerCycle);
    assert_eq!(survey.domain_in_use.len(), 3);
    assert!(survey.domain_in_use[0].contains("process 3001 (python3) of container 000000000000"));
    assert_eq!(survey.holders.found.len(), 1);
}

#[test]
fn agent_10_mounts_in_any_namespace_and_swap_protect_a_disk() {
    let tree = machines::nvme();
    let disk = survey(&tree, "0000:04:00.0", StepKind::FunctionReset);
    assert_eq!(disk.protections, [Protection::Mounted, Protection::Swap]);
    tree.remove("proc/4000");
    assert_eq!(survey(&tree, "0000:04:00.0", StepKind::FunctionReset).protections, [Protection::Swap]);
    tree.write("proc/swaps", "Filename Type Size Used Priority\n");
    assert!(survey(&tree, "0000:04:00.0", StepKind::FunctionReset).protections.is_empty());
    // btrfs: the number is of the file system's own, and the mount names another device.
    tree.write("sys/fs/btrfs/features/x", "");
    tree.create("sys/fs/btrfs/11111111/devices/nvme0n1p2");
    assert_eq!(survey(&tree, "0000:04:00.0", StepKind::FunctionReset).protections, [Protection::Mounted]);
}

#[test]
fn agent_10_a_disk_beside_the_device_protects_it_from_a_bus_reset() {
    let tree = machines::nvme();
    let gpu = tree.function("pci0000:00/0000:00:1d.0", "0000:04:01.0");
    gpu.driver("xe").gpu(0, 128);
    let reset = survey(&tree, "0000:04:01.0", StepKind::BusReset);
    assert_eq!(reset.protections, [Protection::Mounted, Protection::Swap]);
    assert!(reset.domain_in_use[0].contains("mounted at /var/lib/data, swap"));
    assert!(survey(&tree, "0000:04:01.0", StepKind::Rebind).protections.is_empty());
}

#[test]
fn case_40_the_card_with_the_default_route_is_protected() {
    let tree = machines::network();
    let route =
        |tree: &Tree| survey(tree, "0000:05:00.0", StepKind::Rebind).protections.contains(&Protection::DefaultRoute);
    assert!(route(&tree));
    tree.remove("proc/1/net/route");
    assert!(!route(&tree));
    let zero = "0".repeat(32);
    let line = format!("{zero} 00 {zero} 00 fe8{} 00000400 00000002 00000000 00000003 ens5\n", "0".repeat(29));
    tree.write("proc/1/net/ipv6_route", line);
    assert!(route(&tree));
}

#[test]
fn case_40_the_control_path_is_protected() {
    let control = [CARD.parse().unwrap()];
    let survey = survey_with(&machines::card(), CARD, StepKind::Rebind, |question| question.control = &control);
    assert_eq!(survey.protections, [Protection::ControlPath]);
}

#[test]
fn case_40_routes_of_another_namespace_are_no_answer() {
    let tree = machines::network();
    tree.link("proc/self/ns/net", "net:[4026531999]");
    tree.link("proc/1/ns/net", "net:[4026531840]");
    assert!(survey(&tree, "0000:05:00.0", StepKind::Rebind).domain_unreadable.unwrap().contains("namespace"));
}

#[test]
fn case_38_virtual_functions_in_use_forbid_steps_on_their_physical_one() {
    let tree = machines::network();
    let survey = survey(&tree, "0000:05:00.0", StepKind::Rebind);
    assert!(survey.protections.contains(&Protection::Vfio));
    assert_eq!(survey.domain_in_use, ["0000:05:00.2 (virtual function): bound to VFIO"]);
}

#[test]
fn an_interface_in_another_namespace_is_in_use() {
    let tree = machines::network();
    let beside = tree.function("pci0000:00/0000:00:03.0", "0000:05:00.1");
    beside.ids("0x15b3:0x101d", "0x15b3:0x0016", "0x020000").driver("mlx5_core");
    let survey = survey(&tree, "0000:05:00.0", StepKind::BusReset);
    assert!(
        survey.domain_in_use.contains(&"0000:05:00.1 (same bus): an interface in another network namespace".into())
    );
}

#[test]
fn agent_22_a_sleeping_device_is_left_asleep() {
    let tree = machines::card();
    tree.write(&format!("{CARD_PATH}/power/runtime_status"), "suspended\n");
    assert_eq!(survey(&tree, CARD, StepKind::Rebind).health, Health::Unreadable("asleep".into()));
}

#[test]
fn agent_13_a_device_that_does_not_answer_is_sick() {
    let tree = machines::card();
    tree.write(&format!("{CARD_PATH}/config"), vec![0xff; 4096]);
    assert!(matches!(survey(&tree, CARD, StepKind::Rebind).health, Health::Sick(_)));
    tree.remove(&format!("{CARD_PATH}/config"));
    assert!(matches!(survey(&tree, CARD, StepKind::Rebind).health, Health::Unreadable(_)));
    tree.remove("sys/bus/pci/devices/0000:03:00.0");
    assert_eq!(survey(&tree, CARD, StepKind::Rebind).health, Health::Sick("not on the bus".into()));
}

#[test]
fn agent_14_state_that_cannot_be_read_is_named() {
    let tree = machines::card();
    tree.write("proc/200/stat", "garbage");
    let survey_of = |tree: &Tree| survey(tree, CARD, StepKind::Rebind);
    assert!(survey_of(&tree).holders.unreadable.is_some() && survey_of(&tree).domain_unreadable.is_some());
    let tree = machines::card();
    tree.write(&format!("{CARD_PATH}/drm/card0/dev"), "garbage");
    assert!(survey_of(&tree).domain_unreadable.is_some());
    let tree = machines::with_audio();
    tree.write("sys/devices/pci0000:00/0000:00:01.0/0000:01:00.1/class", "garbage");
    assert!(survey(&tree, "0000:01:00.0", StepKind::BusReset).domain_unreadable.unwrap().contains("01:00.1"));
}

/// Surveys this machine, read-only and without configuration space: the device with the root file system is found to be
/// mounted, if it is on the bus.
#[test]
fn the_machine_that_runs_the_test_is_surveyed() {
    let system = System::open(Path::new("/")).unwrap();
    let root = system.proc.text("self/mountinfo").unwrap();
    let root = root.lines().filter_map(Mount::parse).find(|mount| mount.point == "/").unwrap();
    let inventory = Inventory::read(&system).unwrap();
    let config = |_: &System, _: &Function| Ok(crate::tree::config(&[]));
    let eyes = Eyes { config: &config, probe: &|_| Health::Works };
    for function in inventory.functions() {
        let stack = Stack::read(&system, function).unwrap();
        let survey = take::take(&system, &question(function.address, StepKind::BusReset), &eyes);
        eprintln!("{}: {:?} {:?}", function.address, survey.protections, survey.domain_unreadable);
        if stack.has_number(root.device.0, root.device.1) {
            assert!(survey.protections.contains(&Protection::Mounted));
        }
    }
}
