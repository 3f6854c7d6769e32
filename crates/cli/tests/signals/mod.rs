//! Signals to a command that runs.

use std::time::{Duration, Instant};

/// Waits until the process listens to SIGINT.
///
/// # Panics
///
/// If it does not within a minute.
pub(crate) fn wait_until_it_listens(child: &std::process::Child) {
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & 2 != 0
    };
    let end = Instant::now() + Duration::from_mins(1);
    while !caught() {
        assert!(Instant::now() < end, "the process does not listen to SIGINT");
        std::thread::sleep(Duration::from_millis(1));
    }
}
