//! The device fails, and the driver brings it back by itself; and who else may have it reset.

use std::time::Duration;

use lifeboat_gpu_server::control::{Fault, Lasts, Trigger};

use crate::card::hotplug::SLOT;
use crate::pace;
use crate::program::{Program, refused};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::UNTIMED_GPU;
use crate::tests::drm::desk::{Desk, PATTERN};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "recovers_by_itself",
        shows: "a GPU hangs, answers nonsense, cannot be reset, or is away for a moment: the driver binds it again by itself",
        proves: &["RECOV-1", "RECOV-4", "RECOV-5", "LIFE-5"],
        plan: UNTIMED_GPU,
        alone: false,
        body: recovers_by_itself,
    },
    Test {
        name: "recoveries_end",
        shows: "a GPU that fails again and again is wedged, and one that stays away is left alone, until somebody helps",
        proves: &["RECOV-2", "RECOV-4", "WEDGE-2"],
        plan: UNTIMED_GPU,
        alone: false,
        body: recoveries_end,
    },
    Test {
        name: "recovery_is_cut_short",
        shows: "a GPU is unbound or removed while the driver recovers it: nothing of that is waited for, and it stays unbound",
        proves: &["RECOV-3", "GATE-9"],
        plan: UNTIMED_GPU,
        alone: false,
        body: recovery_is_cut_short,
    },
    Test {
        name: "resets_by_others",
        shows: "a GPU at work is reset by hand, and by the bus for an error: its users are told, and it works again",
        proves: &["RECOV-1", "RECOV-4", "LIFE-5"],
        plan: UNTIMED_GPU,
        alone: false,
        body: resets_by_others,
    },
];

const ENODEV: i32 = 19;
const ETIME: i32 = 62;

/// The GPU is away for so long, in microseconds: many times what the driver takes to notice.
const MOMENT: u64 = 1_000_000;

/// The GPU answers nonsense for so long, in microseconds: many times three looks. Recoveries fail meanwhile.
const NONSENSE: u64 = 3_000_000;

/// The pause before the fourth recovery in a row, at least: four times the first of `Spacing::DEFAULT`.
const SPACING: Duration = Duration::from_millis(400);

/// Ways to fail that recoveries help against, and that the driver's looks find.
const FAILURES: [Fault; 4] = [
    Fault::StickHeartbeat,
    Fault::Garbage(Lasts { micros: Some(NONSENSE) }),
    Fault::LinkDown { micros: MOMENT },
    Fault::SilentBars(Lasts { micros: Some(MOMENT) }),
];

/// A job hangs, and neither its ring nor the device can be reset. With the driver's own load there is a job to hang.
const CRASH: [(Fault, Trigger); 3] =
    [(Fault::FailReset, Trigger::Reset(1)), (Fault::FailReset, Trigger::Reset(2)), (Fault::Hang, Trigger::Job(1))];

fn recovers_by_itself(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    // No limit of a job has a ring or the device reset meanwhile, which would help against some of the failures.
    driver.load("load=1 health_ms=100 job_timeout_ms=3600000 recoveries=20")?;
    for (before, fault) in (0..).zip(FAILURES) {
        users_are_told(bench, before, &[ENODEV], || Ok(bench.gpu()?.inject(fault, None)?))
            .map_err(|failure| Failure::Unexpected(format!("{fault:?}: {failure}")))?;
    }
    driver.unload()?;
    driver.load("load=1 health_ms=100 job_timeout_ms=500 recoveries=20")?;
    // The job that hangs may be the program's own.
    users_are_told(bench, 0, &[ENODEV, ETIME], || {
        CRASH.iter().try_for_each(|(fault, at)| Ok(bench.gpu()?.inject(*fault, Some(*at))?))
    })
}

/// Loses the device, which was lost `before` times, under a program that computes and listens: the program is told, its
/// file stays with the device that it was opened of, and a new device works. `errnos` are those that its job may end with.
pub(super) fn users_are_told(
    bench: &Bench<'_>,
    before: usize,
    errnos: &[i32],
    lose: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.is_busy()?;
    let program = Program::start(&bench.machine.agent)?;
    let desk = Desk::open(&program, &driver.nodes()?.render)?;
    desk.works()?;
    let poll = desk.file.start_poll()?;
    let work = desk.file.start_work(&desk.job, &desk.memory, PATTERN)?;
    lose()?;
    let errno = work.ended()?;
    expect(errnos.contains(&errno), || format!("the work ended with errno {errno}"))?;
    let woken = poll.wait()?.number()?;
    expect(woken & (8 | 16) == 8 | 16, || format!("poll() of the node woke with {woken:#x}"))?;
    let errno = refused(desk.file.submit(&desk.job, 1))?;
    expect(errno == ENODEV, || format!("a late job was refused with errno {errno}"))?;
    let removals = driver.removals(before + 1)?;
    expect(removals.len() == before + 1, || format!("the device ended more often than once: {removals:?}"))?;
    driver.wait_for_slot("bound")?;
    driver.is_busy()?;
    Desk::open(&program, &driver.nodes()?.render)?.works()?;
    Ok(program.kill()?)
}

fn recoveries_end(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let agent = &bench.machine.agent;
    // A device that hangs is found to within a fraction of the fourth pause.
    driver.load("health_ms=20 recoveries=4")?;
    driver.works(1)?;
    agent.listen()?;
    for lost in 1..=4 {
        bench.gpu()?.inject(Fault::StickHeartbeat, None)?;
        driver.removals(lost)?;
        driver.wait_for_slot("bound")?;
        driver.works(1)?;
    }
    let pause = pause_before_the_last(bench)?;
    expect(pause >= SPACING, || format!("the fourth recovery in a row began {pause:?} after the third"))?;
    bench.gpu()?.inject(Fault::StickHeartbeat, None)?;
    agent.hear("WEDGED=")?;
    driver.wait_for_slot("wedged")?;
    // A request by hand gives the whole budget back.
    driver.rebind()?;
    driver.works(1)?;
    bench.gpu()?.inject(Fault::StickHeartbeat, None)?;
    // The removals of the wedged device, and of this one.
    driver.removals(6)?;
    driver.wait_for_slot("bound")?;
    driver.works(1)?;
    is_left_alone(bench)
}

/// From the end of the last recovery but one to the beginning of the last one, by the log.
fn pause_before_the_last(bench: &Bench<'_>) -> Result<Duration, Failure> {
    let log = bench.machine.console.since(0);
    let last = |text, nth| log.iter().rev().filter(|line| line.contains(text)).nth(nth).and_then(|line| said_at(line));
    let missing = || Failure::Unexpected("the log does not tell of two recoveries".to_owned());
    let (ended, began) = (last(": ready: ", 1).ok_or_else(missing)?, last("is bound again", 0).ok_or_else(missing)?);
    Ok(began.saturating_sub(ended))
}

/// The time of a line of the kernel's log: `[   12.345678] ...`.
fn said_at(line: &str) -> Option<Duration> {
    let seconds = line.trim_start().strip_prefix('[')?.split_once(']')?.0;
    Duration::try_from_secs_f64(seconds.trim().parse().ok()?).ok()
}

/// A device that stays silent has nothing that could be kept: the driver gives up, and says what may help.
fn is_left_alone(bench: &Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    bench.gpu()?.inject(Fault::SilentBars(Lasts { micros: None }), None)?;
    let event = bench.machine.agent.hear("LEFT_ALONE=")?;
    let has = |variable: &str| event.lines().any(|line| line == variable);
    let said =
        ["SUBSYSTEM=pci", "ERROR_EVENT=FAILED_RECOVERY", "LEFT_ALONE=rebind,bus-reset,replace", "REASON=recoveries"];
    let said = said.into_iter().all(has) && has(&format!("PCI_SLOT_NAME={SLOT}"));
    expect(said, || format!("the event says {event:?}"))?;
    driver.wait_for_slot("idle")?;
    expect(driver.nodes().is_err(), || "a device that is left alone has nodes".to_owned())?;
    let errno = refused(driver.rebind())?;
    expect(errno == ENODEV, || format!("a silent device cannot be bound, which ends with errno {errno}"))?;
    bench.gpu()?.replace()?;
    driver.rebind()?;
    driver.works(1)
}

fn recovery_is_cut_short(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let device = format!("/sys/bus/pci/devices/{SLOT}");
    driver.load("health_ms=100 job_timeout_ms=60000 recoveries=3")?;
    for by_bus in [false, true] {
        driver.works(1)?;
        let before = bench.machine.console.len();
        // The self-test of the recovery takes for ever.
        bench.gpu()?.inject(Fault::Slow { micros: 3_600_000_000 }, Some(Trigger::Job(1)))?;
        bench.gpu()?.inject(Fault::StickHeartbeat, None)?;
        driver.wait_for_counter("jobs_submitted", 1)?;
        driver.wait_for_slot("recovering")?;
        if by_bus {
            bench.machine.agent.write(&format!("{device}/remove"), "1", pace::DRIVER)?;
            bench.gpu()?.replace()?;
            bench.machine.agent.write("/sys/bus/pci/rescan", "1", pace::DRIVER)?;
        } else {
            driver.unbind()?;
            expect(!driver.is_bound()?, || "the device is still bound".to_owned())?;
            bench.gpu()?.replace()?;
            driver.bind()?;
        }
        driver.works(1)?;
        let log = bench.machine.console.since(before);
        let ready = log.iter().filter(|line| line.contains(": ready: ")).count();
        expect(ready == 1, || format!("the device was ready {ready} times: its recovery was waited for"))?;
    }
    // While the next recovery waits for its turn, or for a device that is not ready.
    bench.gpu()?.inject(Fault::SilentBars(Lasts { micros: None }), None)?;
    driver.is_lost()?;
    driver.unbind()?;
    bench.gpu()?.replace()?;
    driver.bind()?;
    driver.works(1)
}

fn resets_by_others(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let agent = &bench.machine.agent;
    // Without recoveries, since these losses spend none.
    bench.driver().load("load=1 health_ms=100 recoveries=0")?;
    let reset = format!("/sys/bus/pci/devices/{SLOT}/reset");
    for lost in 0..2 {
        users_are_told(bench, lost, &[ENODEV], || Ok(agent.write(&reset, "1", pace::DRIVER).map(drop)?))?;
    }
    // An error that the port above the GPU cannot correct, for which the kernel resets the link below it.
    users_are_told(bench, 2, &[ENODEV], || {
        Ok(bench.machine.monitor.human("pcie_aer_inject_error rp1 DLP").map(drop)?)
    })?;
    let said = bench.machine.console.since(0).iter().any(|line| line.contains("the bus reports an error"));
    expect(said, || "the driver was not told of the bus's error".to_owned())
}
