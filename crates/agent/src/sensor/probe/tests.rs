//! Tests with real processes. Time is an argument, so no verdict depends on how fast the processes are: the tests wait for their
//! descriptors.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::Duration;

use lifeboat_recovery_policy::time::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::namespaces;
use super::super::tree::Tree;
use super::*;
use crate::system::System;

const FUNCTION: &str = "0000:03:00.0";
const TIMING: Timing = Timing { period: Duration::from_secs(30), deadline: Duration::from_secs(10) };

fn at(seconds: u64) -> Moment {
    Moment { wall: Timestamp::from_millis(seconds * 1000), uptime: Duration::from_secs(seconds) }
}

fn address() -> Address {
    FUNCTION.parse().unwrap()
}

fn tree() -> Tree {
    Tree::new().function(FUNCTION, None)
}

/// Creates a sensor whose process is this test program, for the one ignored test [`child`], with the tree's path as an argument.
/// The test harness takes the arguments behind for names of tests that do not exist.
fn prober(tree: &Tree) -> Prober {
    let program = std::env::current_exe().unwrap();
    let test = format!("{}::child", module_path!().split_once("::").unwrap().1);
    let mut command = vec![program.into_os_string()];
    command.extend(["--exact", &test, "--ignored", "--nocapture"].map(OsString::from));
    command.push(tree.path().into_os_string());
    let mut prober = Prober::new(command, TIMING);
    prober.watch(&[(address(), Look::Config)], at(0));
    prober
}

#[test]
#[ignore = "is the process that the other tests start"]
fn child() {
    let arguments: Vec<String> = std::env::args().collect();
    let [root, kind, address] = &arguments[arguments.len() - 3..] else { panic!("no arguments") };
    let system = System::open(std::path::Path::new(root)).unwrap();
    println!("\n{}", look(&system, kind.parse().unwrap(), address.parse().unwrap()).line());
}

/// Waits until a process has ended. A test that hangs here for a minute fails.
fn wait(prober: &Prober) {
    let descriptors = prober.descriptors();
    let mut polled: Vec<PollFd<'_>> =
        descriptors.iter().map(|descriptor| PollFd::new(descriptor, PollFlags::IN)).collect();
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_ne!(poll(&mut polled, Some(&limit)).unwrap(), 0, "no process has ended");
}

fn read(prober: &mut Prober, seconds: u64) -> Vec<Observed> {
    let mut reports = Vec::new();
    prober.read(at(seconds), &mut reports).unwrap();
    reports.into_iter().map(|report| report.observed).collect()
}

fn signs(kind: SignKind) -> Vec<Observed> {
    vec![Observed::sign(address(), kind, Witness::Probe)]
}

fn no_answer() -> Vec<Observed> {
    signs(SignKind::State { source: "config".into(), state: NO_ANSWER.into() })
}

#[test]
fn a_process_looks_every_period() {
    let tree = tree();
    tree.write("0000:03:00.0/config", &[0xff; 64]);
    let mut prober = prober(&tree);
    assert_eq!(prober.next_deadline(), Some(at(0).uptime));
    assert_eq!(read(&mut prober, 0), []);
    wait(&prober);
    assert_eq!(read(&mut prober, 1), signs(SignKind::AllOnes));
    assert!(prober.descriptors().is_empty());
    assert_eq!(prober.next_deadline(), Some(at(31).uptime));

    tree.write("0000:03:00.0/config", &[0x86; 64]);
    assert_eq!(read(&mut prober, 30), [], "not before the period is over");
    assert!(prober.descriptors().is_empty());
    assert_eq!(read(&mut prober, 31), []);
    wait(&prober);
    assert_eq!(read(&mut prober, 32), [], "the device answers");
}

#[test]
fn agent_11_a_look_that_does_not_return_is_reported_and_not_repeated() {
    let tree = tree();
    // The open of a FIFO waits for a writer.
    let config = tree.file("0000:03:00.0/config");
    rustix::fs::mknodat(rustix::fs::CWD, config, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut prober = prober(&tree);
    assert_eq!(read(&mut prober, 0), []);
    assert_eq!(prober.next_deadline(), Some(at(10).uptime));
    assert_eq!(read(&mut prober, 9), []);
    assert_eq!(prober.stuck().count(), 0);
    assert_eq!(read(&mut prober, 10), no_answer());

    wait(&prober);
    assert_eq!(read(&mut prober, 11), [], "the killed process gives no answer");
    assert_eq!(prober.stuck().count(), 0);
    assert_eq!(read(&mut prober, 41), []);
    assert_eq!(prober.descriptors().len(), 1, "a killed process is followed by another look");
    assert_eq!(read(&mut prober, 51), no_answer());
}

#[test]
fn agent_11_a_process_that_cannot_be_killed_is_reported_each_period_and_stays_the_only_one() {
    namespaces::run(module_path!(), "stuck_in_the_kernel");
}

#[test]
#[ignore = "runs in namespaces of its own, started by the test above"]
fn stuck_in_the_kernel() {
    let tree = tree();
    let Some(mut fuse) = Fuse::mount(&tree) else {
        return namespaces::skip("FUSE cannot be mounted here, so nothing is proven about a read that no signal ends");
    };
    std::os::unix::fs::symlink("/fuse/config", tree.file("0000:03:00.0/config")).unwrap();
    let mut prober = prober(&tree);
    assert_eq!(read(&mut prober, 0), []);
    fuse.take_request();
    let key = (address(), Look::Config);
    for seconds in [10, 40, 70] {
        assert_eq!(read(&mut prober, seconds), no_answer());
        assert_eq!(read(&mut prober, seconds + 29), [], "once a period");
        assert_eq!(prober.stuck().collect::<Vec<_>>(), [key]);
        assert_eq!(prober.descriptors().len(), 1, "no second process for the device");
    }
    prober.watch(&[], at(100));
    assert_eq!(read(&mut prober, 100), no_answer());
    assert_eq!(prober.stuck().count(), 1, "a stuck process is not forgotten");

    drop(fuse);
    wait(&prober);
    assert_eq!(read(&mut prober, 101), []);
    assert_eq!((prober.stuck().count(), prober.next_deadline()), (0, None));
}

/// File system whose server takes a request and never answers: a process waits for the answer, and no signal ends the wait. The
/// wait ends when the server is gone.
struct Fuse {
    device: std::fs::File,
}

impl Fuse {
    /// Mounts the file system at `sys/fuse`, and agrees with the kernel on a version (`struct fuse_init_in` and
    /// `struct fuse_init_out` in `include/uapi/linux/fuse.h`).
    fn mount(tree: &Tree) -> Option<Self> {
        let place = tree.path().join("sys/fuse");
        std::fs::create_dir(&place).unwrap();
        let device = std::fs::File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        rustix::mount::mount("fuse", &place, "fuse", rustix::mount::MountFlags::empty(), options.as_c_str()).ok()?;
        let mut fuse = Self { device };
        let number = fuse.take_request();
        let (header, version, rest) = (16_u32, [7_u32, 31], [0_u8; 56]);
        let length = header + 8 + 56;
        let mut answer = Vec::new();
        answer.extend(length.to_ne_bytes());
        answer.extend(0_i32.to_ne_bytes());
        answer.extend(number.to_ne_bytes());
        answer.extend(version.iter().flat_map(|part| part.to_ne_bytes()));
        answer.extend(rest);
        fuse.device.write_all(&answer).unwrap();
        Some(fuse)
    }

    /// Takes the next request, and returns its number.
    fn take_request(&mut self) -> u64 {
        let mut request = vec![0; 1 << 20];
        let length = self.device.read(&mut request).unwrap();
        assert!(length >= 16);
        u64::from_ne_bytes(request[8..16].try_into().unwrap())
    }
}

#[test]
fn few_processes_run_at_once() {
    let mut tree = Tree::new();
    let names: Vec<String> = (0..8).map(|device| format!("0000:03:{device:02x}.0")).collect();
    for name in &names {
        tree = tree.function(name, None);
        tree.write(&format!("{name}/config"), &[0xff; 64]);
    }
    let mut prober = prober(&tree);
    let wanted: Vec<(Address, Look)> = names.iter().map(|name| (name.parse().unwrap(), Look::Config)).collect();
    prober.watch(&wanted, at(0));
    let spread: Vec<Duration> = prober.targets.values().map(|target| target.due).collect();
    assert!(spread.is_sorted() && spread[7] > spread[1] && spread[7] < TIMING.period, "{spread:?}");
    let mut found = read(&mut prober, 30);
    assert_eq!(prober.descriptors().len(), AT_ONCE);
    assert_eq!(prober.next_deadline(), Some(at(40).uptime), "nobody is polled for while all places are taken");
    while found.len() < names.len() {
        wait(&prober);
        found.extend(read(&mut prober, 30));
        assert!(prober.descriptors().len() <= AT_ONCE);
    }
    let mut addresses: Vec<Address> = found.iter().map(address_of).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, wanted.iter().map(|(address, _)| *address).collect::<Vec<_>>());
}

fn address_of(observed: &Observed) -> Address {
    match observed {
        Observed::Sign { address, .. } => *address,
        other => panic!("{other:?}"),
    }
}
