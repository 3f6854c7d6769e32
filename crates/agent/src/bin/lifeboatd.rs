//! `lifeboatd`: brings dead devices back.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: the process must have one thread.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "act") {
        return lifeboat_agent::actor::child::act::main();
    }
    ExitCode::SUCCESS
}
