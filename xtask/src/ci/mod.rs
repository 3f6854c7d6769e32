//! Checks of CI: a list of stages, run in order, with a table of results at the end.

mod stages;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use stages::{LONG, Outcome, STAGES, Stage};

/// Options of `cargo xtask ci`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Treat a skipped stage as a failure
    #[arg(long)]
    strict: bool,
    /// Run also what takes too long for each change: before an issue is closed
    #[arg(long)]
    long: bool,
    /// Run only these stages
    #[arg(value_name = "STAGE", value_parser = STAGES.iter().chain(LONG).map(|stage| stage.name).collect::<Vec<_>>())]
    only: Vec<String>,
}

/// Runs the stages. Goes on after a failure, so that one run shows all that is wrong.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut results = Vec::new();
    for stage in chosen(args) {
        println!("── {}: {}", stage.name, stage.about);
        let began = Instant::now();
        let outcome = (stage.run)();
        results.push((stage, outcome, began.elapsed()));
    }
    println!("── summary: seconds used, minutes budgeted from nothing");
    let mut failed = false;
    for (stage, outcome, took) in &results {
        println!("{}", line(stage, outcome, *took));
        failed |= match outcome {
            Outcome::Passed => false,
            Outcome::Failed(_) => true,
            Outcome::Skipped(_) => args.strict,
        };
    }
    let used: Duration = results.iter().map(|(_, _, took)| *took).sum();
    let budgeted: u32 = results.iter().map(|(stage, ..)| stage.budget).sum();
    println!("{:<12} {:<8} {:>7.1} s of {budgeted:>2} min", "all", "", used.as_secs_f64());
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The stages that the user wants, in their order.
fn chosen(args: &Args) -> impl Iterator<Item = &'static Stage> {
    let of_a_change = STAGES.iter().map(|stage| (stage, true));
    let all = of_a_change.chain(LONG.iter().map(|stage| (stage, args.long)));
    all.filter_map(|(stage, wanted)| {
        let named = args.only.iter().any(|name| name == stage.name);
        (named || wanted && args.only.is_empty()).then_some(stage)
    })
}

fn line(stage: &Stage, outcome: &Outcome, took: Duration) -> String {
    let (word, reason) = match outcome {
        Outcome::Passed => ("passed", ""),
        Outcome::Failed(reason) => ("FAILED", reason.as_str()),
        Outcome::Skipped(reason) => ("skipped", reason.as_str()),
    };
    let budget = stage.budget;
    let over = if took > Duration::from_mins(1) * budget { "over its budget  " } else { "" };
    let (name, seconds) = (stage.name, took.as_secs_f64());
    format!("{name:<12} {word:<8} {seconds:>7.1} s of {budget:>2} min  {over}{reason}").trim_end().to_owned()
}
