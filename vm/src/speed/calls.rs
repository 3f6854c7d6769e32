//! Calls that do nothing, and jobs that do next to nothing.

use lifeboat_guest::wire::TimedCall;
use lifeboat_lb1::command::Work;

use crate::guest::agent::AgentError;
use crate::program::Program;
use crate::program::commands::job;
use crate::program::file::File;
use crate::speed::report::{Group, Samples};
use crate::speed::{PEER, Progress};
use crate::suite::bench::Bench;
use crate::suite::failure::Failure;

/// Calls of each kind in a round.
const CALLS: u32 = 500;

/// Jobs, and round trips of threads, in a round.
const JOBS: u32 = 40;

/// Measures calls and jobs, in so many rounds each.
pub(super) fn measure(bench: &Bench<'_>, rounds: u32, progress: &Progress) -> Result<Vec<Group>, Failure> {
    let agent = &bench.machine.agent;
    let program = Program::start(agent)?;
    let ours = program.open(&bench.driver().nodes()?.render)?;
    let peer = program.open(&peer_node(bench)?)?;
    progress.phase("calls");
    let calls = calls(&ours, &peer, rounds, progress)?;
    progress.phase("jobs");
    let jobs = jobs(&program, &ours, rounds, progress)?;
    program.kill()?;
    Ok(vec![calls, jobs])
}

/// The render node of the peer.
fn peer_node(bench: &Bench<'_>) -> Result<String, Failure> {
    let names = bench.machine.agent.list(&format!("/sys/devices/faux/{PEER}/drm"))?;
    let render = names.iter().find(|name| name.starts_with("renderD"));
    render
        .map(|name| format!("/dev/dri/{name}"))
        .ok_or_else(|| Failure::Unexpected(format!("{PEER} has no render node: {names:?}")))
}

fn calls(ours: &File<'_>, peer: &File<'_>, rounds: u32, progress: &Progress) -> Result<Group, Failure> {
    let subjects = [
        ("VERSION of vgem", peer, TimedCall::Version),
        ("VERSION of ours, which the core answers", ours, TimedCall::Version),
        ("INFO (class Always)", ours, TimedCall::Info),
        ("CONTEXT_CREATE, refused in a section (class Device)", ours, TimedCall::RefusedInSection),
    ];
    let mut samples = subjects.map(|(name, ..)| Samples::of(name));
    // A round that is not counted warms everything up.
    for round in 0..=rounds {
        for (samples, (_, file, call)) in samples.iter_mut().zip(subjects) {
            let took = file.time_calls(call, CALLS)?;
            if round > 0 {
                samples.add(took / CALLS);
            }
        }
        progress.step();
    }
    Ok(Group::new("An empty call", &samples))
}

fn jobs(program: &Program<'_>, ours: &File<'_>, rounds: u32, progress: &Progress) -> Result<Group, Failure> {
    let context = ours.context()?;
    let nothing = job(context, &[Work::Nop]);
    let mut samples =
        [Samples::of("two threads wake each other (eventfd)"), Samples::of("one job: SUBMIT to the end of WAIT")];
    for round in 0..=rounds {
        let taken: [Result<Vec<u64>, AgentError>; 2] = [program.time_ping_pong(JOBS), ours.time_jobs(&nothing, JOBS)];
        for (samples, nanoseconds) in samples.iter_mut().zip(taken) {
            let nanoseconds = nanoseconds?;
            if round > 0 {
                samples.add_all(&nanoseconds);
            }
        }
        progress.step();
    }
    Ok(Group::new("Submit to signal", &samples))
}
