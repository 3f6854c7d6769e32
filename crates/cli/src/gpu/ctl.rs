//! `lifeboat gpu ctl`: one request to a running server.

use std::fmt::Write;

use lifeboat_gpu_server::control::{CallError, Client, Reply, Status, WitnessReport};

use super::args::{CtlArgs, CtlCommand};
use crate::exit::Exit;

/// What the user gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// For standard output; may be empty.
    pub text: String,
    /// The code to exit with.
    pub exit: Exit,
}

/// Asks the server.
///
/// # Errors
/// [`CallError`]: it cannot be reached, or refused.
pub fn ask(args: &CtlArgs) -> Result<Answer, CallError> {
    let reply = Client::connect(&args.control, args.timeout)?.call(&args.command.request())?;
    let text = if args.json {
        serde_json::to_string(&reply).map_err(CallError::Malformed)? + "\n"
    } else {
        match &reply {
            Reply::Status(status) => status_text(status),
            Reply::Witness(witness) => witness_text(witness),
            // Errors came as such, and what is done needs no words.
            Reply::Done | Reply::Error { .. } => String::new(),
        }
    };
    let check = args.command == CtlCommand::Witness { check: true };
    let found = matches!(&reply, Reply::Witness(witness) if witness.count > 0);
    Ok(Answer { text, exit: if check && found { Exit::Failed } else { Exit::Success } })
}

fn status_text(status: &Status) -> String {
    let mut text = String::new();
    let presence = if status.present { "present" } else { "gone" };
    let client = if status.attached { "attached" } else { "none" };
    let heartbeat = status.heartbeat.map_or_else(|| "none".to_owned(), |value| format!("{value} ms"));
    let counters = &status.counters;
    for (name, value) in [
        ("card", format!("{presence}, number {}", status.card)),
        ("client", format!("{client}, {} so far", status.clients)),
        ("heartbeat", heartbeat),
        ("violations", status.violations.to_string()),
        ("mappings", status.mappings.to_string()),
        ("vectors", status.vectors.to_string()),
        ("accesses", counters.accesses.to_string()),
        ("jobs", counters.jobs.to_string()),
        ("commands", counters.commands.to_string()),
        ("DMA bytes", counters.dma_bytes.to_string()),
        ("interrupts", counters.interrupts_sent.to_string()),
        ("resets", counters.resets.to_string()),
    ] {
        // A string takes any text.
        let _ = writeln!(text, "{name:<11} {value}");
    }
    text
}

fn witness_text(witness: &WitnessReport) -> String {
    let mut text = String::new();
    for violation in &witness.violations {
        let _ = writeln!(text, "{violation}");
    }
    let more = witness.count.saturating_sub(witness.violations.len() as u64);
    let _ = match (witness.count, more) {
        (0, _) => writeln!(text, "no violations"),
        (_, 0) => Ok(()),
        (_, more) => writeln!(text, "and {more} more"),
    };
    text
}
