//! The daemon that stays, on a fake machine: from a sign to a device that works, with and without an end of the daemon.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

#[allow(dead_code, reason = "tests in other files use more of it")]
#[path = "../actor/fifos.rs"]
mod fifos;
mod machine;
#[allow(dead_code, unreachable_pub, reason = "tests in other files use more of it")]
#[path = "../support/tree/mod.rs"]
mod tree;

use machine::{DEVICE, Machine};

fn rebind() -> Vec<(&'static str, String)> {
    vec![("unbind", DEVICE.to_owned()), ("bind", DEVICE.to_owned())]
}

/// Has the device work from the moment at which its driver is bound again.
fn heal_after_the_step(machine: &Machine, daemon: &mut machine::Daemon) {
    daemon.until(|line| line["plan"].is_object());
    machine.heal();
}

#[test]
fn a_wedged_device_is_bound_again_and_works() {
    let machine = Machine::new("act", true);
    let mut daemon = machine.start();
    machine.wedge();
    heal_after_the_step(&machine, &mut daemon);
    assert_eq!(daemon.end(), json!("recovered"));
    assert_eq!(machine.writes(), rebind());
}

#[test]
fn the_history_tells_the_whole_course() {
    let machine = Machine::new("act", true);
    let mut daemon = machine.start();
    machine.wedge();
    heal_after_the_step(&machine, &mut daemon);
    daemon.end();
    // The daemon still runs.
    let history = |arguments: &[&str]| {
        let state = machine.places.path().join("state");
        let output = Command::new(env!("CARGO_BIN_EXE_lifeboatctl"))
            .arg("history")
            .arg("--state")
            .arg(state)
            .args(arguments)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let course = [
        "incident 1: wedged",
        "evidence is saved",
        "rebind (try 1)",
        "the step has ended",
        "verified: works",
        "end: the device is recovered",
    ];
    let text = history(&[DEVICE]);
    let places: Vec<Option<usize>> = course.iter().map(|words| text.find(words)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{text}");
    assert!(!history(&["0000:99:00.0"]).contains("incident"), "other devices are left out");
    let json: Value = serde_json::from_str(&history(&["--json"])).unwrap();
    assert!(json["lines"].as_array().unwrap().len() > course.len());
}

#[test]
fn what_the_daemon_does_is_what_simulate_has_shown() {
    let machine = Machine::new("act", true);
    let simulated = Command::new(env!("CARGO_BIN_EXE_lifeboatctl"))
        .args(["simulate", DEVICE, "--signal", "wedged=rebind"])
        .args(machine.arguments())
        .output()
        .unwrap();
    let simulated = String::from_utf8(simulated.stdout).unwrap();
    let mut daemon = machine.start();
    machine.wedge();
    let plan = daemon.until(|line| line["plan"].is_object());
    let operations = plan["plan"]["operations"].as_array().unwrap();
    assert!(operations.len() > 2);
    for operation in operations {
        assert!(simulated.contains(operation.as_str().unwrap()), "{operation} is not in:\n{simulated}");
    }
    daemon.end();
}

#[test]
fn agent_23_a_daemon_that_observes_writes_nothing() {
    let machine = Machine::new("observe", true);
    let mut daemon = machine.start();
    machine.wedge();
    assert_eq!(daemon.end(), json!({ "left": { "observing": "rebind" } }));
    assert_eq!(machine.writes(), []);
}

#[test]
fn agent_1_a_device_that_works_is_left_alone_whatever_the_event_says() {
    let machine = Machine::new("act", true);
    machine.heal();
    let mut daemon = machine.start();
    machine.wedge();
    assert_eq!(daemon.end(), json!("healed"));
    assert_eq!(machine.writes(), []);
}

#[test]
fn agent_7_a_daemon_killed_after_any_record_goes_on_and_does_no_step_twice() {
    // The course without a kill says how many lines there are.
    let whole = {
        let machine = Machine::new("act", true);
        let mut daemon = machine.start();
        machine.wedge();
        heal_after_the_step(&machine, &mut daemon);
        daemon.end();
        daemon.kill().len()
    };
    assert!(whole > 6);
    for lines in 2..whole {
        let machine = Machine::new("act", true);
        let mut daemon = machine.start();
        machine.wedge();
        while daemon.seen.len() < lines {
            let line = daemon.until(|_| true);
            if line["plan"].is_object() {
                machine.heal();
            }
        }
        let seen = daemon.kill();
        let mut daemon = machine.start();
        // The first sign may have been lost with the daemon: drivers say it again.
        machine.wedge();
        let closed = |line: &Value| Some(line["record"]["record"]["closed"].clone()).filter(|end| !end.is_null());
        let mut end = daemon.seen.iter().find_map(closed);
        while end.is_none() {
            let line = daemon.until(|_| true);
            if line["plan"].is_object() {
                machine.heal();
            }
            end = closed(&line);
        }
        let end = end.unwrap();
        let good = [json!("recovered"), json!("healed")].contains(&end);
        assert!(good, "killed after {lines} lines: {end}\nbefore {seen:#?}\nafter {:#?}", daemon.seen);
        let writes = machine.writes();
        assert!(writes.is_empty() || writes == rebind(), "killed after {lines} lines: {writes:?}");
    }
}

#[test]
fn agent_7_a_step_that_did_not_help_is_not_repeated_after_a_kill() {
    let whole = {
        let machine = Machine::new("act", true);
        let mut daemon = machine.start();
        machine.wedge();
        assert_eq!(daemon.end(), json!({ "left": "exhausted" }));
        daemon.kill().len()
    };
    for lines in 2..whole {
        let machine = Machine::new("act", true);
        let mut daemon = machine.start();
        machine.wedge();
        while daemon.seen.len() < lines {
            daemon.until(|_| true);
        }
        let seen = daemon.kill();
        let ended = machine.has_ended();
        let mut daemon = machine.start();
        machine.wedge();
        let closed = |line: &Value| !line["record"]["record"]["closed"].is_null();
        if !ended && !daemon.seen.iter().any(closed) {
            daemon.until(closed);
        }
        let writes = machine.writes();
        assert!(writes.len() <= 2, "killed after {lines} lines: {writes:?}\n{seen:#?}\n{:#?}", daemon.seen);
    }
}

#[test]
fn agent_11_a_write_that_blocks_blocks_nothing_else_and_is_found_again() {
    let machine = Machine::new("act", false);
    let mut daemon = machine.start();
    machine.wedge();
    daemon.until(|line| line["plan"].is_object());
    // The daemon hears more signs while the write hangs, and a second daemon finds the process.
    machine.wedge();
    daemon.kill();
    let daemon = machine.start();
    let again = daemon.kill();
    let steps = again.iter().filter(|line| line["plan"].is_object()).count();
    assert_eq!(steps, 0, "{again:#?}");
    // Let the process that hangs go: it is the machine's, and not the test's.
    unblock(&machine.tree.root().join("sys/bus/pci/drivers/xe/unbind"));
    unblock(&machine.tree.root().join("sys/bus/pci/drivers/xe/bind"));
}

/// Reads a FIFO until its writers have gone, as a driver that returns at last.
fn unblock(fifo: &Path) {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;
    let nonblocking = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(fifo);
    let _ = nonblocking.unwrap().read(&mut [0; 64]);
}

#[test]
fn a_second_daemon_is_refused() {
    let machine = Machine::new("observe", true);
    let daemon = machine.start();
    let place = |name: &str| machine.places.path().join(name).into_os_string();
    let output = Command::new(env!("CARGO_BIN_EXE_lifeboatd"))
        .args(machine.arguments())
        .arg("--state")
        .arg(place("state"))
        .arg("--run")
        .arg(place("run"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("journal"), "{complaint}");
    assert_eq!(daemon.kill().last().map(|line| line["started"].is_object()), Some(true));
}
