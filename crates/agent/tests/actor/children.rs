//! Processes that carry plans out: real ones, on a fake machine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_agent::actor::child::confine::{Files, Wish};
use lifeboat_agent::actor::child::outstanding::{Adopted, News, Outstanding};
use lifeboat_agent::actor::child::report::Reported;
use lifeboat_agent::actor::child::start::Launcher;
use lifeboat_agent::actor::child::{ChildMark, Found, find};
use lifeboat_agent::actor::condition::Condition;
use lifeboat_agent::actor::outcome::{Ending, Outcome};
use lifeboat_agent::actor::plan::{Operation, Plan};
use lifeboat_agent::actor::steps::plan;
use lifeboat_agent::system::{Root, System};
use lifeboat_recovery_policy::policy::{Step, StepKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use crate::fifos::{Driver, fifo};
use crate::steps::{planned, step};
use crate::tree::{AUDIO, Card, GPU, PORT, Tree, address};

/// Longest wait for something that must come. A busy machine makes a test slow, and not fail.
const PATIENCE: Duration = Duration::from_mins(2);
const HOUR: Duration = Duration::from_hours(1);

fn launcher(run: &Path) -> Launcher {
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_lifeboatd"));
    Launcher { executable, arguments: vec!["act".into()], folder: run.to_owned() }
}

/// A launcher whose shell stands for a daemon that was started with a descriptor of others.
fn shell(run: &Path) -> Launcher {
    let text = "exec 9</dev/null; exec \"$0\" act";
    let arguments = vec!["-c".into(), text.into(), env!("CARGO_BIN_EXE_lifeboatd").into()];
    Launcher { executable: "/bin/sh".into(), arguments, folder: run.to_owned() }
}

/// A workstation whose GPU's driver is a FIFO, so far without a reader.
fn blocking() -> Tree {
    let tree = Tree::workstation();
    for name in ["bind", "unbind"] {
        fifo(&tree.sys("bus/pci/drivers/xe").join(name));
    }
    tree
}

fn start(outstanding: &mut Outstanding, system: &System, plan: &Plan) -> ChildMark {
    let ready = outstanding.vacancy(plan).unwrap().start(system, Wish::Preferred, Duration::ZERO).unwrap();
    ready.give().unwrap()
}

fn until(mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < PATIENCE, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the first write of the device's plan has begun.
fn begun(outstanding: &Outstanding, device: &str) {
    until(|| outstanding.progress(address(device)).is_some_and(|reported| reported.last == Some(0)));
}

/// Waits for the end of the only outstanding process, as the daemon does: by its descriptor.
fn ended(outstanding: &mut Outstanding) -> (Ending, bool) {
    let begin = Instant::now();
    loop {
        let descriptors: Vec<_> = outstanding.descriptors().collect();
        let mut polled: Vec<_> = descriptors.iter().map(|one| PollFd::from_borrowed_fd(*one, PollFlags::IN)).collect();
        assert_eq!(polled.len(), 1);
        poll(&mut polled, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })).unwrap();
        drop(polled);
        drop(descriptors);
        match outstanding.collect(begin).pop() {
            Some((_, News::Ended { ending, late })) => return (ending, late),
            Some(other) => panic!("{other:?}"),
            None => assert!(begin.elapsed() < PATIENCE, "it never ended"),
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

fn good() -> Ending {
    Ending { outcome: Outcome::Succeeded, unrestored: Vec::new() }
}

fn rebind_log() -> Vec<(&'static str, String)> {
    vec![("unbind", GPU.to_owned()), ("bind", GPU.to_owned())]
}

#[test]
fn a_process_makes_the_writes_of_the_plan_and_confines_itself_first() {
    let (tree, run) = (blocking(), tempfile::tempdir().unwrap());
    let driver = Driver::serve(tree.sys(""), "xe");
    let mut outstanding = Outstanding::new(launcher(run.path()));
    let mark = start(&mut outstanding, &tree.system(), &planned(&tree, StepKind::Rebind));
    assert_eq!(ended(&mut outstanding), (good(), false));
    assert_eq!(driver.log(), rebind_log());
    let text = std::fs::read(run.path().join(&mark.reports)).unwrap();
    let confined = Reported::parse(&text).confined.unwrap();
    assert!(confined.privileges);
    // This kernel is asked by other means than the process's own.
    let landlock = std::fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|list| list.contains("landlock"));
    assert!(!landlock || confined.files != Files::Not, "{confined:?}");
}

#[test]
fn agent_11_and_case_33_a_write_that_does_not_return_is_reported_and_blocks_its_device_only() {
    let (tree, run) = (blocking(), tempfile::tempdir().unwrap());
    let system = tree.system();
    let rebind = planned(&tree, StepKind::Rebind);
    let mut outstanding = Outstanding::new(launcher(run.path()));
    let mark = start(&mut outstanding, &system, &rebind);
    begun(&outstanding, GPU);

    // Nothing is new before the deadline, and then the news comes once.
    assert_eq!(outstanding.collect(Instant::now()), []);
    assert!(outstanding.next_deadline().is_some());
    let news = outstanding.collect(Instant::now() + HOUR);
    let [(device, News::Stuck(ending))] = &news[..] else { panic!("{news:?}") };
    assert_eq!(*device, address(GPU));
    assert!(matches!(&ending.outcome, Outcome::Ambiguous(text) if text.contains("operation 1")), "{ending:?}");
    assert_eq!(outstanding.collect(Instant::now() + HOUR), []);
    assert_eq!(outstanding.stuck().collect::<Vec<_>>(), [&mark]);
    assert_eq!(outstanding.next_deadline(), None);

    // No second write to the device, nor to another one by a step that touches the device as well.
    assert_eq!(outstanding.vacancy(&rebind).unwrap_err().pid, mark.pid);
    let bus = planned(&tree, StepKind::BusReset);
    let bus = Plan { device: address(AUDIO), ..bus };
    assert_eq!(outstanding.vacancy(&bus).unwrap_err().function, address(GPU));
    let other = Plan { device: address("0000:09:00.0"), functions: vec![address("0000:09:00.0")], ..bus };
    assert!(outstanding.vacancy(&other).is_ok());

    // The driver returns at last: the plan goes on, to its end.
    let driver = Driver::serve(tree.sys(""), "xe");
    assert_eq!(ended(&mut outstanding), (good(), true));
    assert_eq!(driver.log(), rebind_log());
    assert!(outstanding.vacancy(&rebind).is_ok());
}

#[test]
fn case_6_a_process_that_its_own_step_ends_has_an_ambiguous_outcome() {
    let (tree, run) = (blocking(), tempfile::tempdir().unwrap());
    let mut outstanding = Outstanding::new(launcher(run.path()));
    let mark = start(&mut outstanding, &tree.system(), &planned(&tree, StepKind::Rebind));
    begun(&outstanding, GPU);
    signal(mark.pid, Signal::KILL);
    let (ending, late) = ended(&mut outstanding);
    assert!(!late);
    assert!(
        matches!(&ending.outcome, Outcome::Ambiguous(text) if text.contains("in operation 1: signal: 9")),
        "{ending:?}"
    );
}

#[test]
fn agent_7_a_process_whose_daemon_dies_before_the_order_does_nothing() {
    let (tree, run) = (blocking(), tempfile::tempdir().unwrap());
    let driver = Driver::serve(tree.sys(""), "xe");
    let mut outstanding = Outstanding::new(launcher(run.path()));
    let plan = planned(&tree, StepKind::Rebind);
    let ready = outstanding.vacancy(&plan).unwrap().start(&tree.system(), Wish::Preferred, HOUR).unwrap();
    drop(ready);
    let (ending, _) = ended(&mut outstanding);
    assert_eq!(ending, Ending::refused("no order was given"));
    assert_eq!(driver.log(), []);
}

/// The daemon of the next test: starts a step and waits to be killed.
#[test]
#[ignore = "a process of the test agent_7_and_agent_11_a_restarted_daemon_recognises_a_process"]
fn daemon() {
    let folder = PathBuf::from(std::env::var_os("LIFEBOAT_TEST_FOLDER").unwrap());
    let root = |path: PathBuf| Root::open(&path).unwrap();
    let system =
        System { sys: root(folder.join("sys")), proc: root("/proc".into()), dev: root(folder.join("dev")), run: None };
    let plan: Plan = serde_json::from_slice(&std::fs::read(folder.join("plan")).unwrap()).unwrap();
    let mut outstanding = Outstanding::new(launcher(&folder));
    let mark = start(&mut outstanding, &system, &plan);
    begun(&outstanding, GPU);
    std::fs::write(folder.join("part"), serde_json::to_vec(&mark).unwrap()).unwrap();
    std::fs::rename(folder.join("part"), folder.join("mark")).unwrap();
    std::thread::sleep(PATIENCE);
}

#[test]
fn agent_7_and_agent_11_a_restarted_daemon_recognises_a_process() {
    let tree = blocking();
    let (system, folder) = (tree.system(), tree.folder.path());
    std::fs::write(folder.join("plan"), serde_json::to_vec(&planned(&tree, StepKind::Rebind)).unwrap()).unwrap();
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "children::daemon", "--ignored"])
        .env("LIFEBOAT_TEST_FOLDER", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until(|| folder.join("mark").exists());
    daemon.kill().unwrap();
    daemon.wait().unwrap();

    let mark: ChildMark = serde_json::from_slice(&std::fs::read(folder.join("mark")).unwrap()).unwrap();
    assert_eq!(find(&system, &mark).unwrap(), Found::Running);
    // The number alone is not the process, and no process outlives the boot.
    let later = ChildMark { start: mark.start + 1, ..mark.clone() };
    assert_eq!(find(&system, &later).unwrap(), Found::Gone);
    let earlier_boot = ChildMark { boot: "0".into(), ..mark.clone() };
    assert_eq!(find(&system, &earlier_boot).unwrap(), Found::Gone);
    let mut outstanding = Outstanding::new(launcher(folder));
    let adopted = outstanding.adopt(&system, &earlier_boot, HOUR).unwrap();
    assert!(matches!(adopted, Adopted::Ended(Ending { outcome: Outcome::Ambiguous(_), .. })), "{adopted:?}");

    assert_eq!(outstanding.adopt(&system, &mark, HOUR).unwrap(), Adopted::Running);
    assert_eq!(outstanding.vacancy(&planned(&tree, StepKind::Rebind)).unwrap_err().pid, mark.pid);
    let driver = Driver::serve(tree.sys(""), "xe");
    assert_eq!(ended(&mut outstanding), (good(), false));
    assert_eq!(driver.log(), rebind_log());
    // A daemon that comes even later learns the end from the report.
    assert_eq!(find(&system, &mark).unwrap(), Found::Gone);
    assert_eq!(outstanding.adopt(&system, &mark, HOUR).unwrap(), Adopted::Ended(good()));
}

#[test]
fn a_process_inherits_nothing_and_leads_a_session() {
    let (tree, run) = (blocking(), tempfile::tempdir().unwrap());
    let mut outstanding = Outstanding::new(shell(run.path()));
    let mark = start(&mut outstanding, &tree.system(), &planned(&tree, StepKind::Rebind));
    begun(&outstanding, GPU);
    let folder = PathBuf::from(format!("/proc/{}", mark.pid));
    assert!(!folder.join("fd/9").exists());
    let stat = std::fs::read_to_string(folder.join("stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap();
    assert_eq!(session, mark.pid.to_string());
    let status = std::fs::read_to_string(folder.join("status")).unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(line("NoNewPrivs:"), "1");
    // CAP_DAC_OVERRIDE is 1, CAP_SYS_ADMIN is 21.
    let rest = u64::from_str_radix(&line("CapPrm:"), 16).unwrap() & !(1 << 1 | 1 << 21);
    assert_eq!(rest, 0);
    signal(mark.pid, Signal::KILL);
    ended(&mut outstanding);
}

#[test]
fn a_program_of_the_vendor_inherits_nothing_and_its_answer_is_the_outcome() {
    let (tree, run) = (Tree::workstation(), tempfile::tempdir().unwrap());
    let (script, list) = (run.path().join("flash"), run.path().join("list"));
    let text = format!(
        "#!/bin/sh\nls /proc/self/fd > {}\necho '{{\"outcome\": \"failed\", \"message\": \"no\"}}'\n",
        list.display()
    );
    // Another process writes the script: a file that a test beside this one inherits open could not be executed.
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\"; chmod 755 \"$0\""])
        .arg(&script)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    let vendor = Step { run: script.display().to_string(), ..step(StepKind::Vendor) };
    let target = tree.target(GPU);
    let plan = plan(&vendor, &target, &target).unwrap();
    let mut outstanding = Outstanding::new(shell(run.path()));
    let mark = start(&mut outstanding, &tree.system(), &plan);
    let (ending, _) = ended(&mut outstanding);
    assert_eq!(ending, Ending { outcome: Outcome::Failed("no".into()), unrestored: Vec::new() });
    // The fourth is that of the listing itself.
    assert_eq!(std::fs::read_to_string(list).unwrap(), "0\n1\n2\n3\n");
    let confined = Reported::parse(&std::fs::read(run.path().join(mark.reports)).unwrap()).confined.unwrap();
    assert_eq!((confined.files, confined.privileges), (Files::Program, false));
}

#[test]
fn a_process_writes_to_no_file_that_is_not_of_its_plan() {
    let (tree, run) = (Tree::workstation(), tempfile::tempdir().unwrap());
    let late = "0000:09:00.0";
    let below = format!("bus/pci/devices/{late}");
    let write = |path: String| Operation::Write { path, text: "1".into(), unless: Vec::new() };
    let plan = Plan {
        operations: vec![
            Operation::Wait { until: Condition::Present(address(late)), limit: PATIENCE },
            write(format!("{below}/reset")),
        ],
        restores: Vec::new(),
        settings: Vec::new(),
        realm: Some(address(PORT)),
        ..planned(&tree, StepKind::RemoveRescan)
    };
    for (parent, may) in [("pci0000:00", false), ("pci0000:00/0000:00:01.0", true)] {
        let mut outstanding = Outstanding::new(launcher(run.path()));
        start(&mut outstanding, &tree.system(), &plan);
        // The function appears after the process has confined itself: beside the bridge, and then below it.
        begun(&outstanding, GPU);
        if outstanding.progress(address(GPU)).unwrap().confined.unwrap().files == Files::Not {
            signal(outstanding.vacancy(&plan).unwrap_err().pid, Signal::KILL);
            return;
        }
        let card = Card::new(late, parent, "xe");
        tree.add(&card);
        let (ending, _) = ended(&mut outstanding);
        match ending.outcome {
            Outcome::Succeeded => assert!(may, "{parent}"),
            Outcome::Failed(text) => assert!(!may && text.contains("Permission denied"), "{parent}: {text}"),
            other => panic!("{other:?}"),
        }
        tree.remove(&card);
    }
}
