//! Tests in a user, network and mount namespace of their own: whatever they send or mount there reaches nobody else.
//!
//! A thread cannot enter a user namespace of its own in a process of many threads. So a test runs this test program again under
//! `unshare`, for one ignored test.

use std::io::Write;
use std::process::Command;

/// Runs the ignored test `name` of the module `module` in namespaces of its own.
pub(super) fn run(module: &str, name: &str) {
    let unshare = ["--user", "--map-root-user", "--net", "--mount"];
    let usable = Command::new("unshare").args(unshare).arg("true").output();
    if !usable.is_ok_and(|output| output.status.success()) {
        return skip(&format!("nobody can make a user namespace here, so {name} proves nothing"));
    }
    let (_, module) = module.split_once("::").unwrap();
    let program = std::env::current_exe().unwrap();
    let test = ["--exact", &format!("{module}::{name}"), "--ignored", "--nocapture"];
    let output = Command::new("unshare").args(unshare).arg(program).args(test).output().unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in errors.lines().filter_map(|line| line.strip_prefix(SKIPPED)) {
        skip(line);
    }
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}{errors}");
}

/// Begin of the line about a test that cannot run here.
const SKIPPED: &str = "SKIPPED: ";

/// Says that a test cannot run here, also if the test harness keeps the output of tests that pass.
pub(super) fn skip(why: &str) {
    std::io::stderr().write_all(format!("{SKIPPED}{why}\n").as_bytes()).unwrap();
}
