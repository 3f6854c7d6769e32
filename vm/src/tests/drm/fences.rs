//! Fences of other jobs, files, programs and drivers that jobs wait for, points of timelines among them; and what a loss makes
//! of them.

use lifeboat_guest::wire::Job;
use lifeboat_uapi::{Info, SUBMIT_IGNORE_ERRORS, Sync};

use crate::guest::agent::AgentError;
use crate::program::commands::{NEW_SYNC_FILE, copy, fill, job, sync_file, syncobj};
use crate::program::vgem::{Vgem, VgemFence};
use crate::program::{Program, refused};
use crate::suite::bench::{Bench, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;
use crate::tests::drm::desk::{BYTES, Desk, PATTERN};

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "drm_fences",
    shows: "jobs wait for points of timelines, for other files' jobs and for vgem's fences; a loss or a close ends them all",
    proves: &["FENCE-2", "FENCE-3", "FENCE-4", "LIFE-2"],
    plan: Plan { drivers: &["vgem"], ..ACPI_GPU },
    alone: false,
    body: fences,
}];

const ENOENT: i32 = 2;
const ENODEV: i32 = 19;
const ECANCELED: i32 = 125;
/// The node of vgem, which is loaded first.
const VGEM: &str = "/dev/dri/card0";
/// How often a case is begun, if vgem signals its fence itself before the test is through.
const ATTEMPTS: usize = 5;

fn fences(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("")?;
    driver.works(1)?;
    let agent = &bench.machine.agent;
    let programs = [Program::start(agent)?, Program::start(agent)?];
    let vgem = Vgem::open(&programs[0], VGEM)?;
    let node = driver.nodes()?.render;
    a_point_without_a_fence(&programs[0], &node)?;
    with_a_fence(&vgem, |fence| a_chain_waits_for_vgem(&programs, &node, &vgem, fence))?;
    with_a_fence(&vgem, |fence| a_close_cancels(&programs[0], &node, fence))?;
    let lost = with_a_fence(&vgem, |fence| a_chain_is_lost(bench, &programs, &vgem, fence))?;
    after_a_lost_fence(&programs[0], &driver.nodes()?.render, lost)?;
    // A fence that has signalled holds no module, and says the same when that is gone.
    let keeper = Program::start(agent)?;
    let kept = keeper.take_number(&programs[0], lost)?;
    for program in programs {
        program.kill()?;
    }
    driver.unload()?;
    let status = keeper.status(kept)?;
    expect(status == -i64::from(ENODEV), || format!("without its module the lost job's sync_file has state {status}"))?;
    Ok(keeper.kill()?)
}

/// Carries a case out with a fence of vgem's that is pending; again if vgem has signalled it meanwhile.
fn with_a_fence<T>(vgem: &Vgem<'_>, case: impl Fn(VgemFence) -> Result<T, Failure>) -> Result<T, Failure> {
    for _ in 1..ATTEMPTS {
        let fence = vgem.fence()?;
        let result = case(fence);
        if vgem.was_in_time(fence)? {
            return result;
        }
    }
    case(vgem.fence()?)
}

/// Jobs of three files and two programs. The first one waits for a fence, and the others for it.
struct Chain<'a> {
    desks: [Desk<'a>; 3],
    /// The first one and two that wait for its point, on another ring; then one of each other file.
    jobs: [(usize, u64); 5],
    timeline: u32,
    /// The `sync_file` of the first, by its number in the program, and as a descriptor.
    file: (i32, u32),
}

impl<'a> Chain<'a> {
    fn submit(programs: &'a [Program<'a>; 2], node: &str, fence: VgemFence) -> Result<Self, Failure> {
        let [ours, theirs] = programs;
        let desks = [Desk::open(ours, node)?, Desk::open(ours, node)?, Desk::open(theirs, node)?];
        let [first, second, third] = &desks;
        let timeline = first.file.syncobj()?;
        let submit = |desk: &Desk<'_>, job: Job, waits: Sync, signals: Vec<Sync>| -> Result<_, AgentError> {
            let (jobs, signals) = desk.file.submit(&Job { waits: vec![waits], signals, ..job }, 1)?;
            Ok((jobs[0], signals))
        };
        let from = first.file.info(Info::default())?.first_address;
        let to = from + (1 << 20);
        first.memory.fill(0)?;
        let bytes = u32::try_from(BYTES).unwrap_or(u32::MAX);
        let fills = job(first.context, &[fill(from, BYTES, PATTERN)]);
        let copies = Job { ring: 1, ..job(first.context, &[copy(to, from, bytes)]) };
        let again = Job { ring: 1, ..job(first.context, &[copy(from, to, bytes)]) };
        let promised = vec![syncobj(timeline, 1), NEW_SYNC_FILE];
        let (filled, promised) = submit(first, fills, sync_file(fence.sync_file), promised)?;
        let number = promised[1].handle;
        let (after_point, _) = submit(first, copies, syncobj(timeline, 1), vec![syncobj(timeline, 2)])?;
        let (after_next, _) = submit(first, again, syncobj(timeline, 2), vec![syncobj(timeline, 7)])?;
        let (of_second, _) = submit(second, second.job.clone(), sync_file(number), vec![])?;
        let taken = theirs.take_number(ours, number)?;
        let (of_third, _) = submit(third, third.job.clone(), sync_file(theirs.number_of(taken)?), vec![])?;
        let file = (number, ours.take_number(ours, number)?);
        let jobs = [(0, filled), (0, after_point), (0, after_next), (1, of_second), (2, of_third)];
        Ok(Self { desks, jobs, timeline, file })
    }

    fn is_pending(&self) -> Result<(), Failure> {
        for (desk, job) in self.jobs {
            let Desk { file, context, .. } = &self.desks[desk];
            expect(file.is_pending(*context, job)?, || format!("job {job} of file {desk} has ended too early"))?;
        }
        Ok(())
    }

    fn ended_with(&self, result: i32) -> Result<(), Failure> {
        for (desk, job) in self.jobs {
            let Desk { file, context, .. } = &self.desks[desk];
            let found = file.wait(*context, job)?;
            expect(found == i64::from(result), || format!("job {job} of file {desk} ended with {found}"))?;
        }
        Ok(())
    }
}

fn a_point_without_a_fence(program: &Program<'_>, node: &str) -> Result<(), Failure> {
    let desk = Desk::open(program, node)?;
    let timeline = desk.file.syncobj()?;
    let early = Job { waits: vec![syncobj(timeline, 1)], ..desk.job.clone() };
    let errno = refused(desk.file.submit(&early, 1))?;
    expect(errno == ENOENT, || format!("a wait for a point without a fence ends with errno {errno}"))?;
    Ok(desk.file.close()?)
}

fn a_chain_waits_for_vgem(
    programs: &[Program<'_>; 2],
    node: &str,
    vgem: &Vgem<'_>,
    fence: VgemFence,
) -> Result<(), Failure> {
    let chain = Chain::submit(programs, node, fence)?;
    // Nobody else waits for vgem.
    Desk::open(&programs[1], node)?.works()?;
    chain.is_pending()?;
    let status = programs[0].status(chain.file.1)?;
    expect(status == 0, || format!("the sync_file of a job that has not begun has state {status}"))?;
    let point = chain.desks[0].file.start_wait_for_syncobj(chain.timeline, 7)?;
    vgem.signal(fence)?;
    chain.ended_with(0)?;
    point.wait()?;
    let status = programs[0].status(chain.file.1)?;
    expect(status == 1, || format!("the sync_file of a completed job has state {status}"))?;
    let wrong = chain.desks[0].memory.differing(PATTERN)?;
    expect(wrong == 0, || format!("the copy was made before the fill: {wrong} words are wrong"))
}

/// The close of a file cancels its jobs that wait for another driver, and tells whoever waits for them.
fn a_close_cancels(program: &Program<'_>, node: &str, fence: VgemFence) -> Result<(), Failure> {
    let desk = Desk::open(program, node)?;
    let waits = Job { waits: vec![sync_file(fence.sync_file)], signals: vec![NEW_SYNC_FILE], ..desk.job.clone() };
    let (jobs, signals) = desk.file.submit(&waits, 1)?;
    let file = program.take_number(program, signals[0].handle)?;
    expect(desk.file.is_pending(desk.context, jobs[0])?, || "the job did not wait".to_owned())?;
    let poll = program.start_poll(file)?;
    // A map holds its file.
    desk.memory.unmap()?;
    desk.file.close()?;
    poll.wait()?;
    let status = program.status(file)?;
    expect(status == -i64::from(ECANCELED), || format!("a cancelled job's sync_file has state {status}"))
}

/// The device is lost while the chain waits for vgem. Gives the first job's `sync_file`, by its number.
fn a_chain_is_lost(
    bench: &Bench<'_>,
    programs: &[Program<'_>; 2],
    vgem: &Vgem<'_>,
    fence: VgemFence,
) -> Result<i32, Failure> {
    let driver = bench.driver();
    let chain = Chain::submit(programs, &driver.nodes()?.render, fence)?;
    chain.is_pending()?;
    let point = chain.desks[0].file.start_wait_for_syncobj(chain.timeline, 7)?;
    driver.unbind()?;
    let ended = chain.ended_with(-ENODEV);
    let status = programs[0].status(chain.file.1)?;
    // Nobody listens to the lost device any more.
    vgem.signal(fence)?;
    driver.bind()?;
    driver.works(1)?;
    ended?;
    expect(status == -i64::from(ENODEV), || format!("the lost job's sync_file has state {status}"))?;
    point.wait()?;
    Ok(chain.file.0)
}

/// A fence of a lost device, given to a job of the one that has returned.
fn after_a_lost_fence(program: &Program<'_>, node: &str, lost: i32) -> Result<(), Failure> {
    let desk = Desk::open(program, node)?;
    let waits = Job { waits: vec![sync_file(lost)], ..desk.job.clone() };
    for (flags, wanted) in [(0, -i64::from(ECANCELED)), (SUBMIT_IGNORE_ERRORS, 0)] {
        let (jobs, _) = desk.file.submit(&Job { flags, ..waits.clone() }, 1)?;
        let result = desk.file.wait(desk.context, jobs[0])?;
        expect(result == wanted, || format!("after a lost fence, with flags {flags}, a job ended with {result}"))?;
    }
    desk.works()?;
    Ok(desk.file.close()?)
}
