//! The device is lost while programs work with it: jobs, waits, polls and maps.

use lifeboat_gpu_server::control::Fault;
use lifeboat_uapi::{CONTEXT_LOST, ContextStatus, Unmap};
use qapi::qmp;

use crate::card::hotplug;
use crate::driver::Driver;
use crate::pace;
use crate::program::commands::syncobj;
use crate::program::{Program, refused};
use crate::suite::bench::{Bench, CARD};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::drm::desk::Desk;
use crate::tests::drm::losing::{ACPI_WAYS, NATIVE_WAYS, Way, case};
use crate::tests::{ACPI_GPU, NATIVE_GPU};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "drm_lost_at_work",
        shows: "programs compute, wait, poll and touch maps while their device is unbound, removed, unplugged, or falls off",
        proves: &["FENCE-2", "FENCE-4", "MAP-1", "MAP-2", "CALL-1", "LIFE-5"],
        plan: ACPI_GPU,
        alone: true,
        body: lost_at_work,
    },
    Test {
        name: "drm_pulled_at_work",
        shows: "the same where the card is pulled out of its slot, or its button is pushed",
        proves: &["FENCE-2", "FENCE-4", "MAP-1", "MAP-2", "CALL-1", "LIFE-5"],
        plan: NATIVE_GPU,
        alone: true,
        body: pulled_at_work,
    },
    Test {
        name: "drm_server_killed_at_work",
        shows: "a GPU that dies for good under a program's job: the job, the program and the module end in order",
        proves: &["FENCE-2", "MAP-1", "LIFE-3"],
        plan: ACPI_GPU,
        alone: true,
        body: server_killed_at_work,
    },
];

const ENODEV: i32 = 19;
/// By how much jobs are held up, in microseconds: they are in flight until the device is lost.
const SLOW: u64 = 3_600_000_000;
/// Jobs that wait for one that runs.
const QUEUED: u32 = 1000;
/// No limit of the driver's ends them before: longer than any test.
const PARAMETERS: &str = "health_ms=100 job_timeout_ms=3600000";

fn lost_at_work(bench: &mut Bench<'_>) -> Result<(), Failure> {
    at_work(bench, &ACPI_WAYS)
}

fn pulled_at_work(bench: &mut Bench<'_>) -> Result<(), Failure> {
    at_work(bench, &NATIVE_WAYS)
}

/// Each way without the driver's own load and with it.
fn at_work(bench: &mut Bench<'_>, ways: &[Way]) -> Result<(), Failure> {
    bench.driver().load(PARAMETERS)?;
    for load in ["0", "1"] {
        for way in ways {
            case(bench, *way, |bench, way| jobs_in_a_row(bench, way, load))?;
            case(bench, *way, |bench, way| jobs_in_flight(bench, way, load))?;
        }
    }
    Ok(())
}

fn set_load(driver: Driver<'_>, load: &str) -> Result<(), Failure> {
    driver.works(1)?;
    driver.set_load(load)?;
    if load == "1" { driver.is_busy() } else { Ok(()) }
}

/// A program computes and checks, and another one touches its map, until the device is lost.
pub(in crate::tests) fn jobs_in_a_row(bench: &mut Bench<'_>, way: Way, load: &str) -> Result<(), Failure> {
    let driver = bench.driver();
    set_load(driver, load)?;
    let node = driver.nodes()?.render;
    let agent = &bench.machine.agent;
    let (first, second) = (Program::start(agent)?, Program::start(agent)?);
    let (work_desk, touched) = (Desk::open(&first, &node)?, Desk::open(&second, &node)?);
    work_desk.works()?;
    touched.works()?;
    touched.memory.touch()?;
    let work = work_desk.file.start_work(&work_desk.job, &work_desk.memory, super::desk::PATTERN)?;
    until(bench, || Ok(work.progress()? >= 3 && touched.memory.touches()? >= 3))?;
    way.lose(bench)?;
    let errno = work.ended()?;
    expect(errno == ENODEV, || format!("the work ended with errno {errno}"))?;
    // The map is touched as before, and so is one that is made now.
    let before = touched.memory.touches()?;
    until(bench, || Ok(touched.memory.touches()? >= before + 3))?;
    let late = touched.file.map_memory(&touched.buffers[0])?;
    late.fill(7)?;
    late.unmap()?;
    let errno = refused(touched.file.submit(&touched.job, 1))?;
    expect(errno == ENODEV, || format!("a late job was refused with errno {errno}"))?;
    let status = touched.file.context_status(ContextStatus { context: touched.context, ..Default::default() })?;
    expect(status.flags & CONTEXT_LOST != 0, || format!("the context says {status:?}"))?;
    let address = touched.file.info(lifeboat_uapi::Info::default())?.first_address;
    touched.file.unmap(Unmap { context: touched.context, address, ..Default::default() })?;
    touched.file.close()?;
    // Maps outlive their file.
    let before = touched.memory.touches()?;
    until(bench, || Ok(touched.memory.touches()? >= before + 3))?;
    first.kill()?;
    Ok(second.kill()?)
}

/// Jobs run and are queued, and everything that can wait for them waits, until the device is lost.
pub(in crate::tests) fn jobs_in_flight(bench: &mut Bench<'_>, way: Way, load: &str) -> Result<(), Failure> {
    let driver = bench.driver();
    set_load(driver, load)?;
    let program = Program::start(&bench.machine.agent)?;
    let desk = Desk::open(&program, &driver.nodes()?.render)?;
    desk.works()?;
    bench.gpu()?.inject(Fault::Slow { micros: SLOW }, None)?;
    let (binary, timeline, points) = (desk.file.syncobj()?, desk.file.syncobj()?, desk.file.syncobj()?);
    let mut job = desk.job.clone();
    job.signals = vec![syncobj(binary, 0), syncobj(timeline, 1)];
    let (first, _) = desk.file.submit(&job, 1)?;
    let mut job = desk.job.clone();
    job.signals = vec![syncobj(points, 1)];
    let (queued, _) = desk.file.submit(&job, QUEUED)?;
    let sync_file = desk.file.sync_file(binary)?;
    let pending = program.status(sync_file)?;
    expect(pending == 0, || format!("a job in flight has state {pending}"))?;
    let waits = [first[0], queued[0], queued[queued.len() - 1]].map(|job| desk.file.start_wait(desk.context, job));
    let poll = desk.file.start_poll()?;
    let poll_sync_file = program.start_poll(sync_file)?;
    let buffer = desk.file.start_wait_for_buffer(desk.buffers[1].handle)?;
    let syncobjs = [(binary, 0), (timeline, 1), (points, u64::from(QUEUED))];
    let syncobjs = syncobjs.map(|(handle, point)| desk.file.start_wait_for_syncobj(handle, point));
    way.lose(bench)?;
    for wait in waits {
        let result = wait?.wait()?.number()?;
        expect(result == -i64::from(ENODEV), || format!("a wait for a job ended with {result}"))?;
    }
    let reply = poll.wait()?;
    expect(reply.took < bench.limit(pace::DRIVER), || "poll() was not woken".to_owned())?;
    let woken = reply.number()?;
    expect(woken & (8 | 16) == 8 | 16, || format!("poll() of the node woke with {woken:#x}"))?;
    let woken = poll_sync_file.wait()?.number()?;
    expect(woken == 1, || format!("poll() of a sync_file woke with {woken:#x}"))?;
    let status = program.status(sync_file)?;
    expect(status == -i64::from(ENODEV), || format!("the sync_file has state {status}"))?;
    buffer.wait()?;
    for wait in syncobjs {
        wait?.wait()?;
    }
    let lost = desk.file.count_results(desk.context, &queued, -ENODEV)?;
    expect(lost == i64::from(QUEUED), || format!("only {lost} of {QUEUED} jobs in flight ended with ENODEV"))?;
    Ok(program.kill()?)
}

fn server_killed_at_work(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let gpu = bench.take_gpu()?;
    let driver = bench.driver();
    driver.load("load=1 health_ms=0")?;
    driver.is_busy()?;
    let program = Program::start(&bench.machine.agent)?;
    let desk = Desk::open(&program, &driver.nodes()?.render)?;
    // No buffer of the job's, whose result would be touched.
    let touched = desk.file.map_memory(&desk.file.buffer(desk.buffers[0].size, 0)?)?;
    touched.touch()?;
    let work = desk.file.start_work(&desk.job, &desk.memory, super::desk::PATTERN)?;
    until(bench, || Ok(work.progress()? >= 3 && touched.touches()? >= 3))?;
    bench.machine.monitor.execute(&qmp::stop {})?;
    gpu.kill();
    bench.machine.monitor.execute(&qmp::cont {})?;
    let since = hotplug::unplug(&bench.machine.monitor, CARD)?;
    bench.unplugged(since)?;
    let errno = work.ended()?;
    expect(errno == ENODEV, || format!("the work ended with errno {errno}"))?;
    let before = touched.touches()?;
    until(bench, || Ok(touched.touches()? >= before + 3))?;
    desk.file.close()?;
    program.kill()?;
    Ok(driver.unload()?)
}

/// Asks again until something is so.
fn until(bench: &Bench<'_>, mut holds: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let started = std::time::Instant::now();
    while !holds()? {
        expect(started.elapsed() < bench.limit(pace::DRIVER), || "it stands still".to_owned())?;
    }
    Ok(())
}
