use std::process::{Child, Command};

use super::*;
use crate::system::Root;

/// Longest wait for something that must come.
const PATIENCE: Duration = Duration::from_mins(1);

fn real() -> System {
    System::open(std::path::Path::new("/")).unwrap()
}

fn holder(pid: u32, start: u64) -> Holder {
    Holder { pid: Some(pid), start, name: "holder".into(), unit: None, places: Vec::new(), spared: None }
}

/// A process that lasts until it is ended, and its holder.
fn sleeper(script: &str) -> (Child, Holder) {
    let child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
    let start = Stat::read(&real(), child.id()).unwrap().unwrap().start;
    let holder = holder(child.id(), start);
    (child, holder)
}

#[test]
fn case_26_a_process_with_the_number_of_a_holder_that_ended_gets_no_signal() {
    let (mut child, other) = sleeper("exec sleep 600");
    let gone = Holder { start: other.start - 1, ..other.clone() };
    for urge in [Urge::Term, Urge::Kill] {
        assert!(signal(&real(), &gone, urge).unwrap().is_none());
    }
    // The signal would have come before this one, which is told apart from it.
    rustix::process::kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::INT.as_raw()));
}

#[test]
fn a_holder_is_asked_first_and_killed_then() {
    // The file tells that the shell ignores SIGTERM by now.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready");
    let script = format!("trap '' TERM; : > {}; while :; do sleep 0.05; done", file.display());
    let (mut child, holder) = sleeper(&script);
    let begin = Instant::now();
    while !file.exists() {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = signal(&real(), &holder, Urge::Term).unwrap().unwrap();
    assert_eq!(wait(&[asked], Duration::from_millis(100)), [holder.pid.unwrap()]);
    let killed = signal(&real(), &holder, Urge::Kill).unwrap().unwrap();
    assert!(wait(std::slice::from_ref(&killed), PATIENCE).is_empty());
    assert!(killed.is_over());
    // A process that has ended and that nobody has waited for is gone, too.
    assert!(signal(&real(), &holder, Urge::Kill).unwrap().is_none());
    child.wait().unwrap();
    assert!(signal(&real(), &holder, Urge::Kill).unwrap().is_none());
}

#[test]
fn case_25_waiting_for_a_holder_that_does_not_end_has_a_bound() {
    let (mut child, holder) = sleeper("trap '' TERM; while :; do sleep 0.05; done");
    let asked = Signalled {
        pid: holder.pid.unwrap(),
        process: pidfd_open(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), PidfdFlags::NONBLOCK).unwrap(),
    };
    assert_eq!(wait(&[asked], Duration::from_millis(50)), [child.id()]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn agent_18_process_1_this_process_and_spared_holders_get_no_signal() {
    // Should the guard fail, the start does not match, and nothing is signalled all the same.
    let spared = Holder { spared: Some(Spared::Policy), ..holder(u32::MAX >> 2, 0) };
    for holder in [holder(1, u64::MAX), holder(0, u64::MAX), holder(std::process::id(), u64::MAX), spared] {
        let refused = signal(&real(), &holder, Urge::Kill);
        assert!(matches!(refused, Err(NotSent::Spared { .. })), "{holder:?}");
    }
    let module = Holder { pid: None, ..holder(1, 0) };
    assert!(matches!(signal(&real(), &module, Urge::Kill), Err(NotSent::NoProcess(_))));
}

#[test]
fn a_holder_whose_start_cannot_be_read_gets_no_signal() {
    let (mut child, holder) = sleeper("exec sleep 600");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(child.id().to_string())).unwrap();
    std::fs::write(folder.path().join(child.id().to_string()).join("stat"), "nonsense").unwrap();
    let system = System { proc: Root::open(folder.path()).unwrap(), ..real() };
    assert!(matches!(signal(&system, &holder, Urge::Kill), Err(NotSent::System { .. })));
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
}
