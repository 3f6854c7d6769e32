//! `cargo xtask bench growth`: what one item costs among few and among many (SCHED-13).
//!
//! A program of its own measures and shows (`drivers/lb1/hosted/benches/growth`): there are no peers
//! to be compared with, and criterion is not needed, since only the ratio of two runs of the same
//! case counts.

use std::process::Command;

use crate::CARGO;

/// Runs it. Progress is on standard error, the result on standard output.
pub(super) fn run(json: bool) -> Result<(), String> {
    let mut command = Command::new(CARGO);
    command.args(["bench", "--locked", "--package", "lifeboat-lb1-hosted", "--bench", "growth", "--"]);
    if json {
        command.arg("--json");
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the benchmark failed: {status}")),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}
