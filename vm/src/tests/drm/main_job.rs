//! Programs that know nothing of this test suite: `lifeboat run` does its job on the node, and `drm_info` prints it.

use std::process;

use lifeboat_gpu_server::control::Fault;
use serde_json::Value;

use crate::card::hotplug::SLOT;
use crate::guest::agent::Agent;
use crate::guest::tools::{PICTURE, Tool};
use crate::pace;
use crate::program::Program;
use crate::program::command::{Command, Ended};
use crate::suite::bench::{Bench, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::NATIVE_GPU;
use crate::tests::loss::{plug_again, pull};

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "drm_main_job",
    shows: "`lifeboat run` filters a picture through the node, the card is pulled out and plugged in, and each pixel is right",
    proves: &["LIFE-4", "LIFE-5", "FENCE-2", "MAP-1"],
    plan: Plan { tools: &[Tool::Lifeboat, Tool::DrmInfo], ..NATIVE_GPU },
    alone: true,
    body: main_job,
}];

/// By how much jobs are held up, in microseconds: they are in flight until the card is pulled.
const SLOW: u64 = 60_000_000;
/// No limit of the driver's ends them before.
const PARAMETERS: &str = "health_ms=100 job_timeout_ms=120000";
/// What the guest saves.
const RESULT: &str = "/tmp/result.png";
/// Small tiles: many jobs for little emulated work.
const TILES: &str = "64";

fn main_job(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let expected = on_the_host(bench)?;
    let driver = bench.driver();
    driver.load(PARAMETERS)?;
    driver.works(1)?;
    let agent = &bench.machine.agent;
    let nodes = driver.nodes()?;
    describes(agent, [&nodes.card, &nodes.render])?;

    // While this file is open its number is taken: the device that returns has a node of another name.
    let holder = Program::start(agent)?;
    let old = holder.open(&nodes.render)?;
    let arguments = ["run", "--device", &nodes.render, "--image", PICTURE, "--tiles", TILES, "--out", RESULT];
    // No more clients than processors: those that the loss wakes compete with the removal, which has a limit.
    let options = ["--progress", "lines", "--report", "json", "--wait", "2m", "--clients", "2"];
    let run = Command::start(agent, Tool::Lifeboat, &[&arguments[..], &options].concat(), 2 * pace::WORK)?;
    run.wait_for("tiles are done")?;
    bench.gpu()?.inject(Fault::Slow { micros: SLOW }, None)?;
    pull(bench)?;
    run.wait_for("GPU GONE")?;
    plug_again(bench)?;
    run.wait_for("running on /dev/dri/renderD")?;
    let renewed = driver.nodes()?.render;
    let ended = run.ended()?;
    expect(renewed != nodes.render, || format!("the node is {renewed} as before"))?;
    let told = format!("running on {renewed}, back after");
    expect(ended.errors.contains(&told), || format!("it does not say {told:?}: {ended:?}"))?;
    judge(&ended)?;
    let result = agent.read_to_end(RESULT)?;
    expect(result == expected, || "the picture is another than on the host".to_owned())?;
    old.close()?;
    Ok(holder.kill()?)
}

/// What the command makes of the picture on its built-in GPU.
fn on_the_host(bench: &Bench<'_>) -> Result<Vec<u8>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::Unexpected(error.to_string()))?;
    let path = folder.path().join("expected.png");
    let mut command = process::Command::new(&bench.environment.lifeboat);
    command.args(["run", "--no-faults", "--tiles", TILES, "--image"]).arg(&bench.environment.picture);
    let output = command.arg("--out").arg(&path).output().map_err(|error| Failure::Unexpected(error.to_string()))?;
    expect(output.status.success(), || format!("on the host: {}", String::from_utf8_lossy(&output.stderr)))?;
    std::fs::read(&path).map_err(|error| Failure::Unexpected(error.to_string()))
}

/// Debian's own tool knows our device.
fn describes(agent: &Agent, nodes: [&str; 2]) -> Result<(), Failure> {
    let ended = Command::start(agent, Tool::DrmInfo, &[], pace::WORK)?.ended()?;
    let says = |words: &str| ended.output.contains(words);
    let known = ended.code == 0 && says("Driver: lifeboat") && says("Available nodes: primary, render");
    expect(known && says(nodes[0]), || format!("of {nodes:?} drm_info says {ended:?}"))
}

/// The command lost its device in the middle of its work, and nothing else.
fn judge(ended: &Ended) -> Result<(), Failure> {
    let unexpected = || format!("the command ended so: {ended:?}");
    let report: Value = serde_json::from_str(&ended.output).map_err(|_| Failure::Unexpected(unexpected()))?;
    let number = |path: &str| report.pointer(path).and_then(Value::as_u64);
    expect(ended.code == 0 && report["output_matches_reference"] == true && report["device"] == SLOT, unexpected)?;
    expect((number("/unplugs"), number("/replugs")) == (Some(1), Some(1)), unexpected)?;
    let in_flight = number("/fences/by_error/ENODEV").is_some_and(|lost| lost > 0);
    let again = number("/jobs/resubmitted").is_some_and(|again| again > 0);
    expect(in_flight && again && number("/jobs/lost") == Some(0), unexpected)
}
