//! The shell of a second driver, which leaves out nearly all that LB1's has (`kernel/second`): what it promises is the same.

use lifeboat_gpu_server::control::Fault;
use lifeboat_second::command::Command;
use lifeboat_uapi::{BUFFER_VRAM, BufferCreate, ContextStatus, Info, MAP_WRITE, Map, RESET_GUILTY, SUBMIT_RESTARTABLE};

use crate::driver::Module;
use crate::program::commands::{fill, fill_and_copy, job, second_job};
use crate::program::memory::Memory;
use crate::program::{Program, refused};
use crate::suite::bench::{Bench, Plan, Removals};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::NATIVE_GPU;
use crate::tests::drm::at_work::{jobs_in_a_row, jobs_in_flight};
use crate::tests::drm::desk::{BYTES, Desk, PATTERN};
use crate::tests::drm::losing::{Way, case};
use crate::tests::recovery::users_are_told;

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "second_driver",
    shows: "a driver without VRAM, display, heartbeat and ring resets, of other pages and commands, keeps what LB1's keeps",
    proves: &["DRV-2"],
    plan: Plan { module: Module::Second, removals: Removals::Untimed, ..NATIVE_GPU },
    alone: false,
    body: second_driver,
}];

const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const ETIME: i32 = 62;
const EOPNOTSUPP: i32 = 95;
const ECANCELED: i32 = 125;

/// `DRM_CAP_DUMB_BUFFER`, and `DRM_CAP_ADDFB2_MODIFIERS`, which the core tells of displays alone.
const DUMB_BUFFERS: u64 = 1;
const MODIFIERS: u64 = 0x10;

/// Page of the driver's, in bytes.
const PAGE: u32 = 16 << 10;

/// The GPU is away for so long, in microseconds: many times what the driver takes to notice.
const MOMENT: u64 = 1_000_000;

fn second_driver(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    // No limit of a job ends what is to be lost.
    driver.load("load=1 health_ms=100 job_timeout_ms=3600000 recoveries=3")?;
    users_are_told(bench, 0, &[ENODEV], || Ok(bench.gpu()?.inject(Fault::LinkDown { micros: MOMENT }, None)?))?;
    has_little(bench)?;
    case(bench, Way::Pull, |bench, way| jobs_in_flight(bench, way, "1"))?;
    case(bench, Way::Unbind, |bench, way| jobs_in_a_row(bench, way, "1"))?;
    let driver = bench.driver();
    driver.unload()?;
    driver.load("health_ms=100 job_timeout_ms=500")?;
    driver.works(1)?;
    a_lost_message_is_no_hang(bench)?;
    a_hang_costs_its_job_alone(bench)?;
    fails_for_good(bench)?;
    Ok(driver.unload()?)
}

/// The nodes tell of what there is, and refuse the rest.
fn has_little(bench: &Bench<'_>) -> Result<(), Failure> {
    let program = Program::start(&bench.machine.agent)?;
    let nodes = bench.driver().nodes()?;
    let desk = Desk::open(&program, &nodes.render)?;
    desk.works()?;
    let info = desk.file.info(Info::default())?;
    let sizes = [info.rings, info.contexts, info.segments, info.page_bytes, info.command_bytes];
    let told = sizes == [1, 8, 8, PAGE, 32] && info.vram_bytes == 0 && info.first_address == u64::from(PAGE);
    expect(told && info.serial != 0, || format!("INFO says {info:?}"))?;
    let version = desk.file.version()?;
    expect(version.starts_with("lifeboat_second "), || format!("the driver is {version:?}"))?;
    let small = desk.file.buffer(1, 0)?;
    expect(small.size == u64::from(PAGE), || format!("the smallest buffer has {} bytes", small.size))?;
    let (context, handle, size) = (desk.context, small.handle, small.size);
    let at = |address| Map { context, handle, address, size, flags: MAP_WRITE, ..Map::default() };
    let mut on_another_ring = desk.job.clone();
    on_another_ring.ring = 1;
    for (what, wanted, errno) in [
        ("a buffer in video memory", ENOSPC, refused(desk.file.buffer(BYTES, BUFFER_VRAM))?),
        ("an address within a page", EINVAL, refused(desk.file.map(at(info.first_address + 4096)))?),
        ("the first address", EINVAL, refused(desk.file.map(at(0)))?),
        ("a command of LB1's", EINVAL, refused(desk.file.submit(&job(context, &[fill(0, 4, 0)]), 1))?),
        ("another ring", EINVAL, refused(desk.file.submit(&on_another_ring, 1))?),
    ] {
        expect(errno == wanted, || format!("{what}: errno {errno} instead of {wanted}"))?;
    }
    scattered_memory_is_refused(&program, &desk, &info)?;
    let card = program.open(&nodes.card)?;
    let (dumb, modifiers) = (card.capability(DUMB_BUFFERS)?, refused(card.capability(MODIFIERS))?);
    expect((dumb, modifiers) == (0, EOPNOTSUPP), || format!("a display: {dumb} dumb buffers, errno {modifiers}"))?;
    Ok(program.kill()?)
}

/// The device reaches a program's own memory where that is contiguous by its pages, or not at all.
fn scattered_memory_is_refused(program: &Program<'_>, desk: &Desk<'_>, info: &Info) -> Result<(), Failure> {
    let (memory, buffer) = scattered(program, desk, PAGE)?;
    let address = info.first_address + (2 << 20);
    match desk.file.map_all(desk.context, &buffer, address) {
        // The kernel gave the pages in another order than they were asked for, and the device must reach these.
        Ok(()) => {
            let places = [address, info.first_address];
            let fill = fill_and_copy(info.command_bytes, desk.context, places, PAGE, PATTERN);
            let (jobs, _) = desk.file.submit(&fill, 1)?;
            let result = desk.file.wait(desk.context, jobs[0])?;
            let wrong = memory.differing(PATTERN)?;
            expect(result == 0 && wrong == 0, || format!("a job ended with {result} and {wrong} wrong words"))
        }
        refusal => {
            let errno = refused(refusal)?;
            expect(errno == EINVAL, || format!("a map of scattered memory ends with errno {errno}"))
        }
    }
}

/// A buffer of a program's own memory, whose neighbouring pages were not allocated one after the other.
fn scattered<'a>(program: &'a Program<'a>, desk: &Desk<'_>, bytes: u32) -> Result<(Memory<'a>, BufferCreate), Failure> {
    const KERNELS: usize = 4096;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let word = |page: usize| page * KERNELS / 4;
    // The kernel places maps one below the other, in its own pages; a buffer begins with a page of the device's.
    let mut errno = 0;
    for _ in 0..usize::try_from(PAGE).unwrap_or(0) / KERNELS {
        let memory = program.allocate(bytes)?;
        for first in [0, 1] {
            for page in (first..bytes / KERNELS).step_by(2) {
                memory.poke(word(page), 0, word(page))?;
            }
        }
        match desk.file.user_buffer(&memory, false) {
            Ok(buffer) => return Ok((memory, buffer)),
            refusal => errno = refused(refusal)?,
        }
        program.allocate(KERNELS)?;
    }
    Err(Failure::Unexpected(format!("no memory of the program's can be a buffer: errno {errno}")))
}

/// The ring has reported in memory, and nobody is told.
fn a_lost_message_is_no_hang(bench: &Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let program = Program::start(&bench.machine.agent)?;
    let desk = Desk::open(&program, &driver.nodes()?.render)?;
    bench.gpu()?.inject(Fault::LoseInterrupt, None)?;
    desk.works()?;
    let resets = driver.counter("ring_resets")?;
    expect(resets == 0, || "the ring was reset for a job that had ended".to_owned())?;
    Ok(program.kill()?)
}

/// A job hangs. No ring can be reset alone: the device is.
fn a_hang_costs_its_job_alone(bench: &Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let node = driver.nodes()?.render;
    let agent = &bench.machine.agent;
    let (bad, good) = (Program::start(agent)?, Program::start(agent)?);
    let (guilty, innocent) = (Desk::open(&bad, &node)?, Desk::open(&good, &node)?);
    let (hung, _) = guilty.file.submit(&second_job(guilty.context, &[Command::Hang]), 1)?;
    let mut restartable = innocent.job.clone();
    restartable.flags = SUBMIT_RESTARTABLE;
    let (behind, _) = innocent.file.submit(&restartable, 2)?;
    let result = guilty.file.wait(guilty.context, hung[0])?;
    expect(result == -i64::from(ETIME), || format!("the job that hung ended with {result}"))?;
    let ended = innocent.file.count_results(innocent.context, &behind, 0)?;
    expect(ended == 2, || format!("{ended} of 2 jobs of somebody else's were done"))?;
    innocent.works()?;
    guilty.works()?;
    let status = guilty.file.context_status(ContextStatus { context: guilty.context, ..Default::default() })?;
    expect(status.status == RESET_GUILTY && status.guilty == 1, || format!("the guilty context says {status:?}"))?;
    let resets = driver.counter("device_resets")?;
    expect(resets == 1, || format!("the device was reset {resets} times"))?;
    bad.kill()?;
    good.kill()?;
    Ok(driver.wait_for_state("ready")?)
}

/// No reset helps: the device is wedged, until somebody helps it.
fn fails_for_good(bench: &Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let agent = &bench.machine.agent;
    let program = Program::start(agent)?;
    let desk = Desk::open(&program, &driver.nodes()?.render)?;
    desk.works()?;
    agent.listen()?;
    // There is one reset to fail: the device's.
    bench.gpu()?.inject(Fault::FailReset, None)?;
    let (hung, _) = desk.file.submit(&second_job(desk.context, &[Command::Hang]), 1)?;
    let event = agent.hear("WEDGED=")?;
    expect(event.lines().any(|line| line == "WEDGED=rebind"), || format!("the event says {event:?}"))?;
    driver.wait_for_slot("wedged")?;
    let errno = refused(desk.file.submit(&desk.job, 1))?;
    expect(errno == ECANCELED, || format!("a job for a wedged device is refused with errno {errno}"))?;
    let result = desk.file.wait(desk.context, hung[0])?;
    expect(result == -i64::from(ENODEV), || format!("the job that hung ended with {result}"))?;
    driver.rebind()?;
    driver.works(1)?;
    Desk::open(&program, &driver.nodes()?.render)?.works()?;
    Ok(program.kill()?)
}
