//! The device has failed for good: it is cut off, everybody is told, and it stays so until somebody helps it.

use lifeboat_gpu_server::control::{Fault, Lasts, Trigger};
use lifeboat_uapi::{BUFFER_VRAM, CONTEXT_LOST, ContextStatus, Info};

use crate::card::hotplug::SLOT;
use crate::pace;
use crate::program::memory::Memory;
use crate::program::vgem::create_dumb;
use crate::program::{Program, refused};
use crate::suite::bench::{Bench, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::UNTIMED_GPU;
use crate::tests::drm::desk::{BYTES, Desk, PATTERN};

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "wedged_in_good_order",
    shows: "a GPU that fails for good is cut off, then the event is sent; its nodes answer until somebody helps it",
    proves: &["WEDGE-1", "WEDGE-2", "WEDGE-3", "CALL-5", "MAP-4", "LIFE-5"],
    plan: Plan { drivers: &["vgem"], ..UNTIMED_GPU },
    alone: false,
    body: wedged_in_good_order,
}];

const ENODEV: i32 = 19;
const ETIME: i32 = 62;
const EPROTO: i32 = 71;
const ECANCELED: i32 = 125;

/// The node of vgem, which is loaded first.
const VGEM: &str = "/dev/dri/card0";

/// Bus mastering in the command register of configuration space.
const BUS_MASTER: u8 = 1 << 2;

/// A way to fail for good.
struct Failing {
    /// The faults that lead to the failure.
    faults: &'static [(Fault, Option<Trigger>)],
    /// Whether it takes a job of the program's to fail.
    by_job: bool,
    /// The errno of calls that need the device then.
    errno: i32,
    /// The flag of `CONTEXT_STATUS` for this failure.
    flag: u32,
    help: Help,
}

/// Remedy for a wedged device.
#[derive(Clone, Copy)]
enum Help {
    Rebind,
    Reset,
    ByHand,
}

const WAYS: [Failing; 3] = [
    Failing {
        faults: &[(Fault::StickHeartbeat, None)],
        by_job: false,
        errno: ETIME,
        flag: lifeboat_uapi::CONTEXT_HUNG,
        help: Help::Rebind,
    },
    Failing {
        faults: &[(Fault::Garbage(Lasts { micros: None }), None)],
        by_job: false,
        errno: EPROTO,
        flag: lifeboat_uapi::CONTEXT_NONSENSE,
        help: Help::Reset,
    },
    Failing {
        faults: &[
            (Fault::FailReset, Some(Trigger::Reset(1))),
            (Fault::FailReset, Some(Trigger::Reset(2))),
            (Fault::Hang, Some(Trigger::Job(1))),
        ],
        by_job: true,
        errno: ECANCELED,
        flag: lifeboat_uapi::CONTEXT_RESET_FAILED,
        help: Help::ByHand,
    },
];

fn wedged_in_good_order(bench: &mut Bench<'_>) -> Result<(), Failure> {
    bench.driver().load("health_ms=100 job_timeout_ms=500")?;
    bench.machine.agent.listen()?;
    WAYS.iter().try_for_each(|way| fails(bench, way))
}

fn fails(bench: &Bench<'_>, way: &Failing) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.works(1)?;
    let nodes = driver.nodes()?;
    let agent = &bench.machine.agent;
    let program = Program::start(agent)?;
    let desk = Desk::open(&program, &nodes.render)?;
    desk.works()?;
    desk.memory.touch()?;
    let vram = desk.file.map_memory(&desk.file.buffer(BYTES, BUFFER_VRAM)?)?;
    vram.fill(PATTERN)?;
    let vgem = program.open(VGEM)?;
    desk.file.import(vgem.export(create_dumb(&vgem)?)?)?;
    expect(is_attached(bench)?, || "the imported buffer has no attachment of the device".to_owned())?;
    let poll = desk.file.start_poll()?;
    for (fault, at) in way.faults {
        bench.gpu()?.inject(*fault, *at)?;
    }
    let job = if way.by_job { Some(desk.file.submit(&desk.job, 1)?.0[0]) } else { None };

    let event = agent.hear("WEDGED=")?;
    // The event comes last: all of this is so by now.
    let command = agent.read_bytes(&format!("/sys/bus/pci/devices/{SLOT}/config"), 4, 1)?;
    expect(command[0] & BUS_MASTER == 0, || "the event was sent before DMA was off".to_owned())?;
    expect(!is_attached(bench)?, || "the event was sent while the device was attached to another's buffer".to_owned())?;
    driver.wait_for_state("wedged")?;
    is_understood(&event, way, &program, &nodes.card)?;
    if let Some(job) = job {
        let result = desk.file.wait(desk.context, job)?;
        let ended = [-i64::from(ETIME), -i64::from(ENODEV)].contains(&result);
        expect(ended, || format!("the job ended with {result}"))?;
    }
    let woken = poll.wait()?.number()?;
    expect(woken & (8 | 16) == 8 | 16, || format!("poll() of the node woke with {woken:#x}"))?;
    answers_by_class(&desk, &program, &nodes.render, way)?;
    shows_the_dummy_page(&desk, &vram)?;
    driver.wait_for_slot("wedged")?;
    expect(driver.is_bound()?, || "the bus's binding has ended".to_owned())?;

    match way.help {
        Help::Rebind => {
            driver.unbind()?;
            driver.bind()?;
        }
        Help::Reset => drop(agent.write(&format!("/sys/bus/pci/devices/{SLOT}/reset"), "1", pace::DRIVER)?),
        Help::ByHand => driver.rebind()?,
    }
    driver.works(1)?;
    let fresh = Desk::open(&program, &driver.nodes()?.render)?;
    fresh.works()?;
    // Files of the failed device answer as before.
    let errno = refused(desk.file.submit(&desk.job, 1))?;
    expect(errno == way.errno, || format!("an old file's job was refused with errno {errno} after the recovery"))?;
    vram.fill(3)?;
    vram.unmap()?;
    desk.memory.unmap()?;
    Ok(program.kill()?)
}

/// The event is as the kernel's document has it, and of this device.
fn is_understood(event: &str, way: &Failing, program: &Program<'_>, card: &str) -> Result<(), Failure> {
    let has = |variable: &str| event.lines().any(|line| line == variable);
    let methods = has("WEDGED=rebind,bus-reset");
    let ours = has("SUBSYSTEM=drm") && has(&format!("DEVNAME={}", card.trim_start_matches("/dev/")));
    expect(methods && ours, || format!("the event says {event:?}"))?;
    let name = program.read("/proc/self/comm")?;
    let task = if way.by_job {
        has(&format!("PID={}", program.process())) && has(&format!("TASK={}", name.trim()))
    } else {
        !event.contains("PID=") && !event.contains("TASK=")
    };
    expect(task, || format!("the event names another task than the guilty one: {event:?}"))
}

/// Files of before and of now answer by the class of the call, and work is refused with what has failed.
fn answers_by_class(desk: &Desk<'_>, program: &Program<'_>, node: &str, way: &Failing) -> Result<(), Failure> {
    let refuses = |what: &str, errno: i32| {
        expect(errno == way.errno, || format!("{what} was refused with errno {errno} instead of {}", way.errno))
    };
    refuses("a job", refused(desk.file.submit(&desk.job, 1))?)?;
    refuses("a context", refused(desk.file.context())?)?;
    refuses("a map", refused(desk.file.map_all(desk.context, &desk.buffers[0], 1 << 30))?)?;
    refuses("a buffer", refused(desk.file.buffer(4096, 0))?)?;
    let status = desk.file.context_status(ContextStatus { context: desk.context, ..Default::default() })?;
    let flags = CONTEXT_LOST | way.flag;
    expect(status.flags == flags, || format!("the context says {status:?}, and not flags {flags:#x}"))?;

    let opened = program.open(node)?;
    opened.info(Info::default())?;
    opened.version()?;
    refuses("a new file's context", refused(opened.context())?)?;
    Ok(opened.close()?)
}

/// Maps of before are touched as before, and so are those that are made now. What was video memory is the dummy page, until the
/// owner of the map unmaps it.
fn shows_the_dummy_page(desk: &Desk<'_>, vram: &Memory<'_>) -> Result<(), Failure> {
    let wrong = vram.differing(PATTERN)?;
    let words = i64::try_from(BYTES / 4).unwrap_or(i64::MAX);
    expect(wrong == words, || format!("{} words of video memory are seen", words - wrong))?;
    vram.fill(5)?;
    let late = desk.file.map_memory(&desk.buffers[1])?;
    late.fill(7)?;
    late.unmap()?;
    let before = desk.memory.touches()?;
    desk.memory.fill(9)?;
    expect(desk.memory.touches()? >= before, || "the map is not touched any more".to_owned())
}

/// Whether our device is attached to a buffer of another's.
fn is_attached(bench: &Bench<'_>) -> Result<bool, Failure> {
    Ok(bench.machine.agent.read("/sys/kernel/debug/dma_buf/bufinfo")?.contains(SLOT))
}
