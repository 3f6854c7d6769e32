use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use lifeboat_recovery_policy::policy::{Signals, Threshold};
use lifeboat_recovery_policy::time::Timestamp;
use proptest::prelude::*;

use super::super::namespaces;
use super::super::tree::Tree;
use super::*;

const GPU: &str = "0000:03:00.0";
/// Moment at which the sensor is opened: ten seconds after boot, at noon.
const OPENED: Moment = Moment { wall: Timestamp::from_millis(1_000_000), uptime: Duration::from_secs(10) };
const LATER: Moment = Moment { wall: Timestamp::from_millis(1_005_000), uptime: Duration::from_secs(15) };

/// Result of one read.
enum Step {
    Record(String),
    Error(Errno),
}

/// Log that gives what a test has written: one record or one error a read.
struct Script {
    reads: VecDeque<Step>,
    descriptor: File,
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let record = match self.reads.pop_front() {
            Some(Step::Record(record)) => record,
            Some(Step::Error(error)) => return Err(error.into()),
            None => return Err(Errno::AGAIN.into()),
        };
        buffer[..record.len()].copy_from_slice(record.as_bytes());
        Ok(record.len())
    }
}

impl AsFd for Script {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn log(tree: &Tree) -> KernelLog<Script> {
    let script = Script { reads: VecDeque::new(), descriptor: File::open("/dev/null").unwrap() };
    KernelLog::of(script, Arc::new(tree.system()), OPENED)
}

fn read(log: &mut KernelLog<Script>, reads: impl IntoIterator<Item = Step>, now: Moment) -> Vec<Report> {
    log.file.reads.extend(reads);
    let mut reports = Vec::new();
    log.read(now, &mut reports).unwrap();
    assert!(log.file.reads.is_empty());
    reports
}

/// Writes a record of the kernel about a PCI function.
fn about(sequence: u64, seconds: u64, device: &str, text: &str) -> Step {
    Step::Record(format!("3,{sequence},{},-;{text}\n SUBSYSTEM=pci\n DEVICE=+pci:{device}\n", seconds * 1_000_000))
}

/// Writes a record of the kernel about nothing.
fn plain(sequence: u64, seconds: u64, text: &str) -> Step {
    Step::Record(format!("6,{sequence},{},-;{text}\n", seconds * 1_000_000))
}

fn signs(reports: &[Report]) -> Vec<(String, SignKind)> {
    let sign = |report: &Report| match &report.observed {
        Observed::Sign { address, sign } => {
            assert_eq!(sign.witness, Witness::KernelLog);
            Some((address.to_string(), sign.kind.clone()))
        }
        _ => None,
    };
    reports.iter().filter_map(sign).collect()
}

fn fault(family: &str, code: &str) -> SignKind {
    SignKind::Log(LogFault { family: family.into(), code: code.into() })
}

fn lost(reports: &[Report]) -> usize {
    reports.iter().filter(|report| report.observed == Observed::Lost { sensor: NAME }).count()
}

/// Returns the one fault of a record of the kernel.
fn fault_of(device: &str, text: &str) -> Option<SignKind> {
    let tree = Tree::new();
    let found = signs(&read(&mut log(&tree), [about(1, 11, device, text)], LATER));
    assert!(found.len() <= 1 && found.iter().all(|(address, _)| address == device), "{found:?}");
    found.into_iter().next().map(|(_, kind)| kind)
}

#[test]
fn the_messages_of_every_driver_are_known() {
    for (text, family, code, class_of_fault) in [
        ("amdgpu 0000:03:00.0: GPU reset end with ret = -110", "amdgpu", "reset-failed", Class::Device),
        ("amdgpu 0000:03:00.0: amdgpu: GPU reset(3) failed with error -22", "amdgpu", "reset-failed", Class::Device),
        ("amdgpu 0000:03:00.0: amdgpu: GPU reset(3) succeeded!", "amdgpu", "reset-succeeded", Class::Notice),
        (
            "amdgpu 0000:03:00.0: amdgpu: ring gfx_0.0.0 timeout, signaled seq=12, emitted seq=14",
            "amdgpu",
            "ring-timeout",
            Class::Application,
        ),
        (
            "amdgpu 0000:03:00.0: [drm] *ERROR* ring sdma0 timeout, but soft recovered",
            "amdgpu",
            "ring-soft-recovered",
            Class::Application,
        ),
        ("xe 0000:03:00.0: [drm] device wedged, needs recovery", "drm", "wedged", Class::Device),
        ("xe 0000:03:00.0: [drm] device wedged, but no recovery needed", "drm", "wedged-none", Class::Notice),
        (
            "xe 0000:03:00.0: [drm] *ERROR* CRITICAL: Xe has declared device 0000:03:00.0 as wedged.\\x0aIOCTLs and executions are blocked.",
            "xe",
            "wedged",
            Class::Device,
        ),
        ("i915 0000:03:00.0: [drm] *ERROR* GT0: Failed to reset chip", "i915", "reset-failed", Class::Device),
        ("i915 0000:03:00.0: [drm] GPU HANG: ecode 12:1:85dffffb, in game [77]", "i915", "hang", Class::Application),
        (
            "intel_vpu 0000:03:00.0: [drm] *ERROR* ivpu_pm_recovery_work(): Recovering the NPU (reset #1)",
            "ivpu",
            "recovering",
            Class::Notice,
        ),
        ("mlx5_core 0000:03:00.0: poll_health:803:(pid 0): Fatal error 3 detected", "mlx5", "fatal", Class::Device),
        (
            "mlx5_core 0000:03:00.0: poll_health:819:(pid 0): device's health compromised - reached miss count",
            "mlx5",
            "heartbeat-lost",
            Class::Device,
        ),
        (
            "mlx5_core 0000:03:00.0: mlx5_health_try_recover:348:(pid 12): health recovery failed",
            "mlx5",
            "recovery-failed",
            Class::Device,
        ),
        (
            "mlx5_core 0000:03:00.0: print_health_info:438:(pid 0): Health issue observed, firmware internal error, severity(3) ERROR:",
            "mlx5",
            "health-issue",
            Class::Notice,
        ),
        ("nvme 0000:03:00.0: PCIe Bus Error: severity=Uncorrectable (Fatal), type=X", "aer", "fatal", Class::Notice),
        ("pcieport 0000:03:00.0: AER: device recovery failed", "aer", "recovery-failed", Class::Notice),
        (
            "pcieport 0000:03:00.0: DPC: containment event, status:0x1f01: unmasked uncorrectable error detected",
            "dpc",
            "contained",
            Class::Notice,
        ),
        ("pcieport 0000:03:00.0: pciehp: Slot(4-1): Link Down", "pciehp", "link-down", Class::Notice),
    ] {
        assert_eq!(fault_of(GPU, text), Some(fault(family, code)), "{text}");
        let fault = LogFault { family: family.into(), code: code.into() };
        assert_eq!(class(&fault), class_of_fault, "{text}");
    }
}

#[test]
fn a_code_has_one_class() {
    for family in table::FAMILIES.iter().chain([&table::NVME_FAMILY]) {
        for message in family.messages {
            let fault = LogFault { family: family.name.into(), code: message.code.into() };
            assert_eq!(class(&fault), message.class, "{} {}", family.name, message.code);
            assert!(message.source.starts_with("drivers/"));
        }
    }
}

#[test]
fn agent_20_case_13_no_line_is_a_sign_unless_the_operator_names_it() {
    let tree = Tree::new();
    let mut log = log(&tree);
    let xids = [13, 31, 43, 45, 69, 79, 154];
    let lines =
        xids.iter().zip(1..).map(|(xid, number)| plain(number, 11, &format!("NVRM: Xid (PCI:0000:03:00): {xid}, x")));
    let found = read(&mut log, lines, LATER);
    assert_eq!(found.len(), xids.len());
    let counting = |signals: &Signals| {
        let counts = |report: &&Report| match &report.observed {
            Observed::Sign { sign, .. } => signals.threshold(sign) != Threshold::NEVER,
            _ => false,
        };
        found.iter().filter(counts).count()
    };
    assert_eq!(counting(&Signals::default()), 0);
    let named = Signals { log: vec![("xid".into(), "79".into())], ..Signals::default() };
    assert_eq!(counting(&named), 1);
}

#[test]
fn case_12_a_link_that_trains_is_a_notice() {
    for text in [
        "pcieport 0000:00:1c.0: pciehp: Slot(0): Link Down",
        "pcieport 0000:00:1c.0: pciehp: Slot(0): No link",
        "pcieport 0000:00:1c.0: pciehp: Slot(0): Cannot train link: status 0x1001",
        "pcieport 0000:00:1c.0: PCIe Bus Error: severity=Correctable, type=Physical Layer",
    ] {
        let Some(SignKind::Log(fault)) = fault_of("0000:00:1c.0", text) else { panic!("{text} is not read") };
        assert_eq!(class(&fault), Class::Notice, "{text}");
    }
}

#[test]
fn case_16_a_line_echoed_into_kmsg_is_no_sign() {
    let tree = Tree::new();
    let text = "NVRM: Xid (PCI:0000:03:00): 79, GPU has fallen off the bus.";
    for priority in (8..=191).chain([2047]) {
        let echoed = Step::Record(format!("{priority},1,11000000,-;{text}\n"));
        assert_eq!(read(&mut log(&tree), [echoed], LATER), [], "{priority}");
    }
    assert_eq!(signs(&read(&mut log(&tree), [plain(1, 11, text)], LATER)).len(), 1, "the kernel's line counts");
}

#[test]
fn case_16_the_kernel_marks_what_a_process_writes() {
    let kmsg =
        File::options().read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open("/dev/kmsg");
    let Ok(mut kmsg) = kmsg else {
        return namespaces::skip("this user may not write to /dev/kmsg, so the kernel's mark is not looked at");
    };
    // The text says nothing of a device, so it deceives nobody who reads this machine's log.
    let text = format!("lifeboat-agent: a line of a test, by process {}", std::process::id());
    rustix::fs::seek(&kmsg, rustix::fs::SeekFrom::End(0)).unwrap();
    kmsg.write_all(format!("<0>{text}\n").as_bytes()).unwrap();
    let mut buffer = vec![0; LARGEST];
    let record = loop {
        let length = kmsg.read(&mut buffer).unwrap();
        let record = Record::parse(&buffer[..length]).unwrap();
        if record.text.contains(&text) {
            break record;
        }
    };
    assert!(!record.is_kernels());
}

#[test]
fn the_kernel_must_name_the_device_apart_from_the_text() {
    let tree = Tree::new();
    let text = "amdgpu 0000:03:00.0: GPU reset end with ret = -110";
    for record in [plain(1, 11, text), about(1, 11, "0000:04:00.0", text)] {
        assert_eq!(read(&mut log(&tree), [record], LATER), []);
    }
    assert_eq!(fault_of(GPU, "nouveau 0000:03:00.0: GPU reset end with ret = -110"), None, "another driver");
    assert_eq!(fault_of(GPU, "amdgpu 0000:03:00.0: the GPU reset end with ret = -110"), None);
}

#[test]
fn case_40_a_fault_of_a_network_card_is_reported_of_the_card_alone() {
    let tree = Tree::new();
    let card = "0000:ab:00.0";
    let text = "mlx5_core 0000:ab:00.0: poll_health:803:(pid 0): Fatal error 3 detected near 0000:03:00.0";
    let found = signs(&read(&mut log(&tree), [about(1, 11, card, text)], LATER));
    assert_eq!(found, [(card.into(), fault("mlx5", "fatal"))]);
}

#[test]
fn a_line_tells_when_it_was_said() {
    let tree = Tree::new();
    let lines = [
        about(40, 3, GPU, "amdgpu 0000:03:00.0: GPU reset(1) failed"),
        about(41, 14, GPU, "amdgpu 0000:03:00.0: GPU reset(2) failed"),
    ];
    let found = read(&mut log(&tree), lines, LATER);
    let times: Vec<_> = found.iter().map(|report| (report.said.as_millis(), report.line)).collect();
    assert_eq!(times, [(993_000, Some(40)), (1_004_000, Some(41))]);
}

#[test]
fn agent_1_case_15_a_device_that_was_wedged_while_the_daemon_was_down() {
    let tree = Tree::new();
    let mut log = log(&tree);
    let wedged = "xe 0000:03:00.0: [drm] device wedged, needs recovery";
    let none = "amdgpu 0000:04:00.0: [drm] device wedged, but no recovery needed";
    let other = "xe 0000:05:00.0: [drm] device wedged, needs recovery";
    let lines = [
        about(1, 2, GPU, wedged),
        about(2, 3, "0000:04:00.0", none),
        about(3, 4, "0000:05:00.0", other),
        // The third device was bound again.
        plain(4, 5, "[drm] Initialized xe 1.1.0 for 0000:05:00.0 on minor 2"),
    ];
    let found = signs(&read(&mut log, lines, OPENED));
    let missed = |methods: Vec<Method>| SignKind::Wedged { methods, task: None };
    let expected = [
        (GPU.into(), fault("drm", "wedged")),
        ("0000:04:00.0".into(), fault("drm", "wedged-none")),
        ("0000:05:00.0".into(), fault("drm", "wedged")),
        (GPU.into(), missed(vec![])),
        ("0000:04:00.0".into(), missed(vec![Method::None])),
    ];
    assert_eq!(found, expected);

    // The event itself tells of a device that is wedged from now on.
    assert_eq!(signs(&read(&mut log, [about(5, 14, GPU, wedged)], LATER)), [(GPU.into(), fault("drm", "wedged"))]);
}

#[test]
fn case_15_a_line_that_is_newer_than_the_sensor_was_not_missed() {
    let tree = Tree::new();
    let wedged = "xe 0000:03:00.0: [drm] device wedged, needs recovery";
    let reads = [about(1, 2, GPU, wedged), about(2, 11, GPU, wedged)];
    let found = read(&mut log(&tree), reads, LATER);
    let kinds = signs(&found);
    assert_eq!(kinds.len(), 3);
    assert!(matches!(kinds[1].1, SignKind::Wedged { .. }), "between the old and the new line");
    assert_eq!(found[1].line, Some(1));
}

#[test]
fn agent_16_records_that_were_lost_are_a_resync() {
    let tree = Tree::new();
    let mut log = log(&tree);
    // The log has not begun with record 0 for a long time, and that is no loss.
    assert_eq!(read(&mut log, [plain(70, 1, "x"), plain(71, 1, "x")], LATER), []);
    let found = read(&mut log, [plain(73, 1, "x"), plain(74, 1, "x")], LATER);
    assert_eq!((found.len(), lost(&found)), (1, 1), "a gap in the numbers");
    let found = read(&mut log, [Step::Error(Errno::PIPE), plain(90, 1, "x")], LATER);
    assert_eq!((found.len(), lost(&found)), (1, 1), "overwritten records, told once");
    let found = read(&mut log, [Step::Error(Errno::INVAL), plain(92, 1, "x")], LATER);
    assert_eq!((found.len(), lost(&found)), (1, 1), "a record without room");
    let found = read(&mut log, [Step::Record("nonsense".into()), plain(94, 1, "x")], LATER);
    assert_eq!((found.len(), lost(&found)), (1, 1), "a record of another form");
    let user = Step::Record("14,95,1,-;x\n".into());
    assert_eq!(
        read(&mut log, [user, Step::Error(Errno::INTR), plain(96, 1, "x")], LATER),
        [],
        "records of users count"
    );
    log.file.reads.push_back(Step::Error(Errno::IO));
    assert!(log.read(LATER, &mut Vec::new()).is_err());
}

#[test]
fn a_controller_is_found_by_the_line_of_its_probe_or_in_sysfs() {
    let tree = Tree::new().function("0000:04:00.0", None);
    tree.controller("nvme1", "0000:04:00.0", "live");
    let nvme = |sequence, text: &str| {
        Step::Record(format!("4,{sequence},11000000,-;{text}\n SUBSYSTEM=nvme\n DEVICE=c239:0\n"))
    };
    let reads = [
        nvme(1, "nvme nvme0: pci function 0000:09:00.0"),
        nvme(2, "nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0xffff"),
        nvme(3, "nvme nvme1: Disabling device after reset failure: -19"),
        nvme(4, "nvme nvme0: I/O tag 128 (1080) opcode 0x2 (Read) QID 4 timeout, aborting req_op:READ(0) size:4096"),
        nvme(5, "nvme nvme0: I/O 12 QID 4 timeout, reset controller"),
        nvme(6, "nvme nvme7: Device not ready; aborting reset, CSTS=0x1"),
    ];
    let expected = [
        ("0000:09:00.0".into(), fault("nvme", "down")),
        ("0000:04:00.0".into(), fault("nvme", "disabled")),
        ("0000:09:00.0".into(), fault("nvme", "timeout")),
        ("0000:09:00.0".into(), fault("nvme", "timeout")),
    ];
    assert_eq!(signs(&read(&mut log(&tree), reads, LATER)), expected);
}

#[test]
fn a_flood_is_read_in_pieces() {
    let tree = Tree::new();
    let mut log = log(&tree);
    log.file.reads.extend((0..2 * AT_ONCE).map(|number| plain(number as u64, 1, "x")));
    log.read(LATER, &mut Vec::new()).unwrap();
    assert_eq!(log.file.reads.len(), AT_ONCE);
}

proptest! {
    #[test]
    fn no_record_panics(
        text in "\\PC{0,60}",
        begin in prop::sample::select(vec!["", "amdgpu 0000:03:00.0: ", "nvme nvme0: ", "xe 0000:03:00.0: [drm] ", "[drm] Initialized "]),
        subsystem in prop::sample::select(vec!["pci", "nvme", "net"]),
    ) {
        let tree = Tree::new();
        let record = format!("3,1,1,-;{begin}{text}\n SUBSYSTEM={subsystem}\n DEVICE=+pci:{GPU}\n");
        read(&mut log(&tree), [Step::Record(record)], LATER);
    }
}
