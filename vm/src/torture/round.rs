//! A round: clients work, something happens to their device, and everything is as it must be.

use std::time::{Duration, Instant};

use fastrand::Rng;
use lifeboat_guest::fuzz::report::Commands;
use lifeboat_guest::torture::report::{Options, Report, Work};
use lifeboat_guest::torture::{OVER, TORTURE, WORKING};
use lifeboat_guest::wire::{Condition, Request};
use lifeboat_lb1::command::Work as DeviceWork;
use lifeboat_uapi::Info;

use crate::driver::DEBUGFS;
use crate::faults::Kind;
use crate::faults::kind::{Effect, Helped};
use crate::guest::agent::{AgentError, Pending};
use crate::pace;
use crate::program::commands::{copy, fill, job};
use crate::program::{Program, milliseconds};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::judge;

/// How long a job or a call may take.
const LIMIT: Duration = Duration::from_secs(20);
/// What the clients say goes into files of this name.
const SAID: &str = "/tmp/torture";
/// Bytes of a buffer: a few pages, so that a job is quick on an emulated processor.
const BYTES: u64 = 16 << 10;
/// The second buffer's distance from the first, in bytes.
const APART: u64 = 1 << 20;
/// What jobs fill memory with.
const WORDS: [u32; 3] = [0x11fe_b0a7, 0x0000_0001, 0xdead_beef];
const ETIME: i32 = 62;
const ECANCELED: i32 = 125;
/// Jobs that complete after a fault that the device survives.
const GOES_ON: u64 = 6;

/// What came of a round.
#[derive(Debug, Clone)]
pub(super) struct Round {
    /// What the clients have done.
    pub(super) report: Report,
    /// Whether the device was lost.
    pub(super) lost: bool,
    /// Whether the device came back by itself, if it was lost.
    pub(super) helped: Helped,
    /// How long it took from the fault until the clients had ended and the device worked.
    pub(super) recovery: Duration,
}

/// Plays one. Afterwards the device works again.
pub(super) fn play(bench: &Bench<'_>, kind: Kind, random: &mut Rng) -> Result<Round, Failure> {
    let before = bench.machine.console.len();
    bench.machine.agent.mark(&format!("lifeboat-vm: {kind}"))?;
    let seed = random.u64(..);
    let clients = start(bench, kind, seed)?;
    // The file may be that of the last round.
    let working = Condition::Contains(format!("{WORKING} {seed}"));
    bench.machine.agent.wait_until(&format!("{SAID}.err"), working, pace::DRIVER)?;
    std::thread::sleep(Duration::from_millis(random.u64(..30)));
    let struck = Instant::now();
    kind.strike(bench, random)?;
    match kind.effect() {
        // The clients see it.
        Effect::Ends => {}
        Effect::Stays => goes_on(bench)?,
        Effect::Either => drop(bench.driver().recovers()?),
    }
    if kind.effect() != Effect::Ends {
        bench.machine.agent.write(OVER, "over", pace::COMMAND)?;
    }
    let report = ended(bench, clients)?;
    judged(&report, kind.effect())?;
    let helped = kind.recover(bench)?;
    let recovery = struck.elapsed();
    nobody_holds_it(bench)?;
    let violations = bench.gpu()?.status()?.violations;
    expect(violations == 0, || format!("the GPU witnessed {violations} mistakes of its driver"))?;
    bench.machine.agent.ping()?;
    judge::of_this_kernel(bench.flavour(), bench.machine.console.since(before), &[])?;
    Ok(Round { lost: report.lost > 0, report, helped, recovery })
}

/// Starts the clients.
fn start(bench: &Bench<'_>, kind: Kind, seed: u64) -> Result<Pending, Failure> {
    let agent = &bench.machine.agent;
    let node = bench.driver().nodes()?.render;
    let program = Program::start(agent)?;
    let info = program.open(&node)?.info(Info::default())?;
    program.kill()?;
    let encoded = |work: &[DeviceWork]| job(0, work).commands;
    let addresses = [info.first_address, info.first_address + APART];
    let bytes = u32::try_from(BYTES).unwrap_or(u32::MAX);
    let work = WORDS.map(|word| Work {
        commands: encoded(&[fill(addresses[0], BYTES, word), copy(addresses[1], addresses[0], bytes)]),
        addresses,
        bytes: BYTES,
        word,
    });
    let options = Options {
        seed,
        limit_ms: milliseconds(bench.limit(LIMIT)),
        node,
        info,
        work: work.into(),
        results: if kind.ends_jobs() { vec![ETIME, ECANCELED] } else { Vec::new() },
        loses_writes: kind.loses_writes(),
        commands: Commands {
            idle: vec![encoded(&[DeviceWork::Nop])],
            writes: Vec::new(),
            hangs: Vec::new(),
            slot_bytes: APART,
        },
    };
    let options = serde_json::to_string(&options).map_err(std::io::Error::from).map_err(AgentError::from)?;
    let limit = 4 * LIMIT;
    let request = Request::Run {
        program: "/init".to_owned(),
        arguments: vec![TORTURE.to_owned(), options],
        said: SAID.to_owned(),
        limit_ms: milliseconds(bench.limit(limit)),
    };
    Ok(agent.start(request, limit + pace::COMMAND)?)
}

/// Waits until the clients have ended.
fn ended(bench: &Bench<'_>, clients: Pending) -> Result<Report, Failure> {
    let code = clients.wait()?.number()?;
    let read = |end: &str| bench.machine.agent.read(&format!("{SAID}.{end}"));
    let complained = read("err")?;
    expect(code == 0, || format!("the clients ended with {code}: {complained}"))?;
    Ok(serde_json::from_str(&read("out")?).map_err(std::io::Error::from).map_err(AgentError::from)?)
}

/// What the clients have seen is right, and so is whether they have seen a loss. One that comes when they are told to end is seen
/// by some of them.
fn judged(report: &Report, effect: Effect) -> Result<(), Failure> {
    if let Some(first) = report.findings.first() {
        return Err(Failure::Unexpected(format!("{} findings, the first: {first}", report.findings.len())));
    }
    let expected = match effect {
        Effect::Ends => report.clients..=report.clients,
        Effect::Stays => 0..=0,
        Effect::Either => 0..=report.clients,
    };
    expect(expected.contains(&report.lost), || format!("{} of {} clients saw a loss", report.lost, report.clients))
}

/// The device completes jobs after what has happened to it.
fn goes_on(bench: &Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let done = driver.counter("jobs_completed")?;
    Ok(driver.wait_for_counter("jobs_completed", done + GOES_ON)?)
}

/// Waits until nothing of the clients' holds a device any more.
fn nobody_holds_it(bench: &Bench<'_>) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let holders = bench.machine.agent.read(&format!("{DEBUGFS}/holders"))?;
        let counts = holders.split_whitespace().filter_map(|word| word.split_once('='));
        if counts.map(|(_, count)| count).all(|count| count == "0") {
            return Ok(());
        }
        expect(began.elapsed() < bench.limit(pace::DRIVER), || format!("a device is held still: {holders}"))?;
    }
}
