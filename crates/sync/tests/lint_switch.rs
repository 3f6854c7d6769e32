//! Test of `LIFEBOAT_LINT`, which runs this binary again as a child process.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)] // a test may fail so

use std::process::{Command, Output};

use lifeboat_sync::lint;

/// Makes one mistake twice, in the child process.
#[test]
#[ignore = "the child of the other tests"]
fn child() {
    println!("enabled: {}", lint::enabled());
    for _ in 0..2 {
        lint::interrupt(|| lint::might_block("reading"));
    }
    println!("kept: {}", lint::take_reports().len());
}

fn run(value: Option<&str>) -> (bool, String, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env_remove("LIFEBOAT_LINT");
    if let Some(value) = value {
        command.env("LIFEBOAT_LINT", value);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

const REPORT: &str = "lifeboat lint: blocking where nothing may block";
const HELP: &str = "LIFEBOAT_LINT may be 0, off, 1, on, warn or panic; taken as 1";

#[test]
fn off_is_silent() {
    for value in ["0", "off"] {
        let (ok, stdout, stderr) = run(Some(value));
        assert!(ok && stdout.contains("enabled: false") && stdout.contains("kept: 0"), "{stdout}");
        assert!(!stderr.contains("lifeboat lint"), "{stderr}");
    }
}

#[test]
fn on_prints_each_finding_once_to_standard_error() {
    for value in ["1", "on", "warn"] {
        let (ok, stdout, stderr) = run(Some(value));
        assert!(ok && stdout.contains("enabled: true") && stdout.contains("kept: 1"), "{stdout}");
        assert_eq!((stderr.matches(REPORT).count(), stderr.contains(HELP)), (1, false), "{stderr}");
        assert!(stderr.contains("on thread `child`") && stderr.contains("lint_switch.rs"), "{stderr}");
    }
}

#[test]
fn panic_panics_at_the_place() {
    let (ok, stdout, stderr) = run(Some("panic"));
    assert!(!ok && stdout.contains("enabled: true") && !stdout.contains("kept"), "{stdout}");
    assert!(stderr.contains("panicked at") && stderr.contains(REPORT), "{stderr}");
}

#[test]
fn anything_else_is_taken_as_on_and_says_what_is_allowed() {
    for value in ["yes", ""] {
        let (ok, stdout, stderr) = run(Some(value));
        assert!(ok && stdout.contains("kept: 1"), "{stdout}");
        assert_eq!((stderr.matches(REPORT).count(), stderr.matches(HELP).count()), (1, 1), "{stderr}");
    }
}

#[test]
fn not_set_it_is_on_in_debug_builds_only() {
    let (ok, stdout, stderr) = run(None);
    assert!(ok && stdout.contains(&format!("enabled: {}", cfg!(debug_assertions))), "{stdout}");
    assert_eq!((stderr.contains(REPORT), stderr.contains(HELP)), (cfg!(debug_assertions), false), "{stderr}");
}
