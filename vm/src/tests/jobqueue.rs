//! The module's scheduler alone, over a model of hardware that can what our GPU cannot (`kernel/jobqueue/test`).

use lifeboat_guest::wire::Request;

use crate::guest::tools::Tool;
use crate::pace;
use crate::suite::bench::{Bench, PLAIN, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;

/// The name of the module.
const MODULE: &str = "lifeboat_jobqueue_test";

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "scheduler_of_other_hardware",
    shows: "jobs complete out of order, within credits and limits of their own; firmware lets go first; all that, lost at each point",
    proves: &["SCHED-11", "SCHED-12"],
    plan: Plan { tools: &[Tool::SchedulerTest], ..PLAIN },
    alone: false,
    body: scheduler_of_other_hardware,
}];

/// The module plays its scenarios when it is loaded, and is not loaded if one of them fails.
fn scheduler_of_other_hardware(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let agent = &bench.machine.agent;
    let console = &bench.machine.console;
    let loaded = agent.call(
        Request::LoadModule { path: Tool::SchedulerTest.path().to_owned(), parameters: String::new() },
        pace::DRIVER,
    );
    let verdicts =
        || console.since(0).into_iter().filter(|line| line.contains(&format!("{MODULE}: "))).collect::<Vec<_>>();
    if let Err(error) = loaded {
        // The log is written by the time of the serial port, not by ours.
        console.wait_for(0, "in the scenario", bench.limit(pace::COMMAND));
        return Err(Failure::Unexpected(format!("{error}; the module says:\n{}", verdicts().join("\n"))));
    }
    let last = "firmware cannot be asked: played to the end";
    expect(console.wait_for(0, last, bench.limit(pace::COMMAND)), || format!("not all was played: {:?}", verdicts()))?;
    agent.call(Request::UnloadModule { name: MODULE.to_owned() }, pace::DRIVER)?;
    Ok(())
}
