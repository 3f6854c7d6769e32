//! What CI checks: a list of stages, run in order, with a table of results at the end.

mod stages;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use stages::{Outcome, STAGES, Stage};

/// Options of `cargo xtask ci`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Treat a skipped stage as a failure.
    #[arg(long)]
    strict: bool,
    /// Run only these stages.
    #[arg(value_name = "STAGE", value_parser = STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>())]
    only: Vec<String>,
}

/// Runs the stages. Goes on after a failure, so that one run shows all that is wrong.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut results = Vec::new();
    for stage in STAGES.iter().filter(|stage| args.only.is_empty() || args.only.iter().any(|name| name == stage.name)) {
        println!("── {}: {}", stage.name, stage.about);
        let began = Instant::now();
        let outcome = (stage.run)();
        results.push((stage, outcome, began.elapsed()));
    }
    println!("── summary");
    let mut failed = false;
    for (stage, outcome, took) in &results {
        println!("{}", line(stage, outcome, *took));
        failed |= match outcome {
            Outcome::Passed => false,
            Outcome::Failed(_) => true,
            Outcome::Skipped(_) => args.strict,
        };
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn line(stage: &Stage, outcome: &Outcome, took: Duration) -> String {
    let (word, reason) = match outcome {
        Outcome::Passed => ("passed", ""),
        Outcome::Failed(reason) => ("FAILED", reason.as_str()),
        Outcome::Skipped(reason) => ("skipped", reason.as_str()),
    };
    format!("{:<12} {word:<8} {:>6.1} s  {reason}", stage.name, took.as_secs_f64()).trim_end().to_owned()
}
