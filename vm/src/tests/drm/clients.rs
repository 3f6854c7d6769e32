//! Several programs share a device: none is harmed by the end, the faults or the rights of another.

use lifeboat_gpu_server::control::Fault;
use lifeboat_guest::wire::{Condition, Request};
use lifeboat_lb1::command::Work;

use crate::driver::DEBUGFS;
use crate::pace;
use crate::program::Program;
use crate::program::commands::{copy, fill, job};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;
use crate::tests::drm::desk::Desk;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "drm_kill_a_client",
        shows: "a program is killed with 100 long jobs in flight: the next program's job completes, and nothing is reset",
        proves: &["SCHED-1", "SCHED-2", "LIFE-3"],
        plan: ACPI_GPU,
        alone: false,
        body: kill_a_client,
    },
    Test {
        name: "drm_two_users",
        shows: "programs of two users share the render node; neither reaches what the other has made",
        proves: &["SCHED-9"],
        plan: ACPI_GPU,
        alone: false,
        body: two_users,
    },
    Test {
        name: "drm_blame",
        shows: "a program's job hangs: its fence says ETIME, its context takes the blame, and another program goes on",
        proves: &["FENCE-4", "SCHED-6", "SCHED-7"],
        plan: ACPI_GPU,
        alone: false,
        body: blame,
    },
];

const ETIME: i64 = 62;
const ENOENT: i32 = 2;

fn kill_a_client(bench: &mut Bench<'_>) -> Result<(), Failure> {
    /// Bytes of a copy, within the buffers of a desk.
    const COPIED: u32 = 16 << 10;
    /// By how much each command is held up, in microseconds: all jobs together would take half a minute.
    const SLOW: u64 = 10_000;
    const JOBS: u32 = 100;
    let driver = bench.driver();
    // If a job of the dead program was waited for until its time is up, a reset would show.
    driver.load("health_ms=100 job_timeout_ms=10000")?;
    driver.works(1)?;
    let node = driver.nodes()?.render;
    let agent = &bench.machine.agent;
    let (first, second) = (Program::start(agent)?, Program::start(agent)?);
    let (doomed, survivor) = (Desk::open(&first, &node)?, Desk::open(&second, &node)?);
    doomed.works()?;
    let from = doomed.file.info(lifeboat_uapi::Info::default())?.first_address;
    let long = [fill(from, u64::from(COPIED), 1), copy(from + (1 << 20), from, COPIED)].repeat(16);
    bench.gpu()?.inject(Fault::Slow { micros: SLOW }, None)?;
    let completed = driver.counter("jobs_completed")?;
    let (jobs, _) = doomed.file.submit(&job(doomed.context, &long), JOBS)?;
    expect(doomed.file.is_pending(doomed.context, jobs[jobs.len() - 1])?, || "the jobs were not long".to_owned())?;
    first.kill()?;
    survivor.works()?;
    // The jobs that the device had been given ran to their end, and no others; then it holds nothing of the dead program any more.
    let holders = format!("{DEBUGFS}/holders");
    agent.wait_until(&holders, Condition::Contains("files=1 maps=1 exports=0 fences=0".to_owned()), pace::DRIVER)?;
    let completed = driver.counter("jobs_completed")? - completed;
    expect(completed < u64::from(JOBS) / 4, || format!("{completed} jobs ran to their end, most of a dead program"))?;
    for counter in ["ring_resets", "device_resets"] {
        let count = driver.counter(counter)?;
        expect(count == 0, || format!("{counter}: {count}"))?;
    }
    Ok(second.kill()?)
}

fn two_users(bench: &mut Bench<'_>) -> Result<(), Failure> {
    const USERS: [u32; 2] = [1000, 1001];
    let driver = bench.driver();
    driver.load("")?;
    driver.works(1)?;
    let node = driver.nodes()?.render;
    let agent = &bench.machine.agent;
    // udev would do that.
    agent.call(Request::Permit { path: node.clone() }, pace::COMMAND)?;
    let programs = [Program::start_as(agent, Some(USERS[0]))?, Program::start_as(agent, Some(USERS[1]))?];
    let desks = [Desk::open(&programs[0], &node)?, Desk::open(&programs[1], &node)?];
    for round in 0..3 {
        for desk in &desks {
            desk.works().map_err(|failure| Failure::Unexpected(format!("round {round}: {failure}")))?;
        }
    }
    let works = [0, 1].map(|number: usize| {
        let desk = &desks[number];
        desk.file.start_work(&desk.job, &desk.memory, super::desk::PATTERN)
    });
    let [first, second] = works;
    let (first, second) = (first?, second?);
    let before = (first.progress()?, second.progress()?);
    let started = std::time::Instant::now();
    while first.progress()? < before.0 + 5 || second.progress()? < before.1 + 5 {
        expect(started.elapsed() < bench.limit(pace::DRIVER), || "one locks the other out".to_owned())?;
    }
    let ended = (first.stop()?, second.stop()?);
    expect(ended == (0, 0), || format!("the works ended with {ended:?}"))?;
    // A handle of the one means nothing to the other.
    let foreign = desks[0].file.buffer(4096, 0)?.handle;
    let errno = crate::program::refused(
        desks[1].file.buffer_offset(lifeboat_uapi::BufferMmap { handle: foreign, ..Default::default() }),
    )?;
    expect(errno == ENOENT, || format!("a foreign handle ends with errno {errno}"))?;
    let [first, second] = programs;
    first.kill()?;
    Ok(second.kill()?)
}

fn blame(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("health_ms=0 job_timeout_ms=500")?;
    driver.works(1)?;
    let node = driver.nodes()?.render;
    let agent = &bench.machine.agent;
    let (bad, good) = (Program::start(agent)?, Program::start(agent)?);
    let (guilty, innocent) = (Desk::open(&bad, &node)?, Desk::open(&good, &node)?);
    innocent.works()?;
    let (jobs, _) = guilty.file.submit(&job(guilty.context, &[Work::Hang]), 1)?;
    let result = guilty.file.wait(guilty.context, jobs[0])?;
    expect(result == -ETIME, || format!("the job that hung ended with {result}"))?;
    let status = |desk: &Desk<'_>| {
        let context = lifeboat_uapi::ContextStatus { context: desk.context, ..Default::default() };
        desk.file.context_status(context)
    };
    let (of_guilty, of_innocent) = (status(&guilty)?, status(&innocent)?);
    expect(of_guilty.guilty == 1 && of_guilty.status == lifeboat_uapi::RESET_GUILTY, || format!("{of_guilty:?}"))?;
    expect(of_innocent.guilty == 0 && of_innocent.flags == 0, || format!("{of_innocent:?}"))?;
    innocent.works()?;
    guilty.works()?;
    bad.kill()?;
    Ok(good.kill()?)
}
