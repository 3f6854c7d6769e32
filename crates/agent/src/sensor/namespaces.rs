//! Tests in a user, network and mount namespace of their own: whatever they send or mount there reaches nobody else.
//!
//! A thread cannot enter a user namespace of its own in a process of many threads. So a test runs this test program again under
//! `unshare`, for one ignored test.

use std::process::Command;

/// Runs the ignored test `name` of the module `module` in namespaces of its own.
pub(super) fn run(module: &str, name: &str) {
    let unshare = ["--user", "--map-root-user", "--net", "--mount"];
    let usable = Command::new("unshare").args(unshare).arg("true").output();
    if !usable.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: nobody can make a user namespace here, so {name} proves nothing");
        return;
    }
    let (_, module) = module.split_once("::").unwrap();
    let program = std::env::current_exe().unwrap();
    let test = ["--exact", &format!("{module}::{name}"), "--ignored", "--nocapture"];
    let output = Command::new("unshare").args(unshare).arg(program).args(test).output().unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprint!("{errors}");
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
