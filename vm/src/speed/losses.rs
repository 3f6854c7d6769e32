//! Losses of an idle device and of a busy one, beside the end of the peer.

use std::time::Duration;

use lifeboat_gpu_server::control::Fault;
use lifeboat_guest::wire::Request;

use crate::driver::removal::Removal;
use crate::guest::initramfs::module_path;
use crate::pace;
use crate::program::Program;
use crate::program::commands::syncobj;
use crate::speed::report::{Group, Samples};
use crate::speed::{NOTHING, PEER, Progress};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::tests::drm::desk::Desk;

/// Jobs in flight when a busy device is lost, each with a point of a timeline.
const JOBS: u32 = 1000;

/// By how much commands are held up, in microseconds: no job ends before the loss.
const SLOW: u64 = 60_000_000;

/// Measures so many losses of each kind.
///
/// The peer's device cannot be unbound (`faux_driver` suppresses the attribute), so its end is the unloading of its module: one
/// `drm_dev_unregister` and the release of a device without hardware. What unloading itself costs is measured beside it.
pub(super) fn measure(bench: &Bench<'_>, rounds: u32, progress: &Progress) -> Result<Group, Failure> {
    progress.phase("losses");
    let mut samples = [
        Samples::of("vgem: its module unloaded"),
        Samples::of("a module without a device unloaded"),
        Samples::of("idle: announce to zap"),
        Samples::of("idle: the nodes (drm_dev_unregister)"),
        Samples::of("idle: remove() as a whole"),
        Samples::of("1,000 jobs: announce to zap"),
        Samples::of("1,000 jobs: the nodes (drm_dev_unregister)"),
        Samples::of("1,000 jobs: remove() as a whole"),
    ];
    let mut count = 0;
    for round in 0..=rounds {
        let mut times = vec![unload(bench, PEER)?, unload(bench, NOTHING)?];
        for is_busy in [false, true] {
            count += 1;
            let removal = lose(bench, is_busy, count)?;
            times.extend([removal.jobs, removal.nodes, removal.took]);
        }
        if round > 0 {
            samples.iter_mut().zip(times).for_each(|(samples, took)| samples.add(took));
        }
        progress.step();
    }
    Ok(Group::new("The end of a device", &samples))
}

/// Unloads a module and loads it again; gives how long the first took.
fn unload(bench: &Bench<'_>, name: &str) -> Result<Duration, Failure> {
    let agent = &bench.machine.agent;
    let took = agent.call(Request::UnloadModule { name: name.to_owned() }, pace::DRIVER)?.took;
    agent.call(Request::LoadModule { path: module_path(name), parameters: String::new() }, pace::DRIVER)?;
    Ok(took)
}

/// Unbinds the device, the `count`-th time since the module was loaded, and binds it again.
fn lose(bench: &Bench<'_>, is_busy: bool, count: usize) -> Result<Removal, Failure> {
    let driver = bench.driver();
    driver.works(1)?;
    let program = Program::start(&bench.machine.agent)?;
    let jobs = if is_busy { JOBS } else { 0 };
    if is_busy {
        let desk = Desk::open(&program, &driver.nodes()?.render)?;
        desk.works()?;
        bench.gpu()?.inject(Fault::Slow { micros: SLOW }, None)?;
        let mut job = desk.job.clone();
        job.signals = vec![syncobj(desk.file.syncobj()?, 1)];
        desk.file.submit(&job, jobs)?;
    }
    driver.unbind()?;
    let removals = driver.removals(count)?;
    let removal = removals.last().cloned().ok_or_else(|| Failure::Unexpected("no removal is told of".to_owned()))?;
    expect(removal.retired >= u64::from(jobs), || format!("jobs were not in flight any more: {removal:?}"))?;
    program.kill()?;
    driver.bind()?;
    driver.works(1)?;
    Ok(removal)
}
