//! Tests of the runner itself, without our driver: if these pass, a failure elsewhere is the driver's.

use std::time::Duration;

use lifeboat_guest::wire::Condition;

use crate::card::hotplug::{self, SLOT};
use crate::pace;
use crate::program::Program;
use crate::suite::bench::{Bench, CARD, Card, PLAIN, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::NATIVE;

/// They prove no promise: they prove the tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "boot",
        shows: "the guest comes up and down with a clean log",
        proves: &[],
        plan: PLAIN,
        alone: false,
        body: boot,
    },
    Test {
        name: "programs",
        shows: "programs in the guest open a node of another driver, wait, share a buffer, and are killed",
        proves: &[],
        plan: Plan { drivers: &["vgem"], ..PLAIN },
        alone: false,
        body: programs,
    },
    Test {
        name: "log_judge",
        shows: "a complaint in the kernel's log is seen",
        proves: &[],
        plan: Plan { provokes: &["^.*WARNING: provoked by the test$"], ..PLAIN },
        alone: false,
        body: log_judge,
    },
    Test {
        name: "edu_surprise",
        shows: "a card can be plugged in, and pulled out without the guest's consent",
        proves: &[],
        plan: NATIVE,
        alone: false,
        body: edu_surprise,
    },
    Test {
        name: "edu_silent",
        shows: "a card can fall silent without an event",
        proves: &[],
        plan: Plan { card: Card::Edu, ..NATIVE },
        alone: false,
        body: edu_silent,
    },
];

/// Identity of QEMU's `edu` device, as configuration space has it.
const EDU: [u8; 4] = [0x34, 0x12, 0xe8, 0x11];

fn boot(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let agent = &bench.machine.agent;
    let modules = bench.environment.modules_dir.file_name().unwrap_or_default().to_string_lossy();
    expect(agent.kernel() == modules, || format!("kernel {} does not fit modules {modules}", agent.kernel()))?;
    let version = agent.read("/proc/version")?;
    expect(bench.machine.console.wait_for(0, version.trim(), pace::COMMAND), || {
        format!("the log does not begin with the version: {version}")
    })
}

fn programs(bench: &mut Bench<'_>) -> Result<(), Failure> {
    /// `struct drm_mode_create_dumb`: height, width, bits per pixel, flags, handle, pitch, size.
    const CREATE_DUMB: u32 = 0xc020_64b2;
    let first = Program::start(&bench.machine.agent)?;
    let second = Program::start_as(&bench.machine.agent, None)?;
    let file = first.open("/dev/dri/card0")?;
    let version = file.version()?;
    expect(version.starts_with("vgem "), || format!("card 0 is of {version}"))?;
    let dumb = [16_u32, 16, 32, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
    let created = file.raw(CREATE_DUMB, &dumb)?;
    expect(created[16..20] == 1_u32.to_le_bytes(), || format!("a buffer was created as {created:?}"))?;
    let shared = second.take(&first, file.export(1)?)?;
    let other = second.open("/dev/dri/card0")?;
    let same = other.import(shared)?;
    expect(same == 1, || format!("the shared buffer has handle {same}"))?;
    // Nothing of vgem's own wakes a poll.
    let poll = file.start_poll_for(Duration::from_millis(50))?.wait()?.number()?;
    expect(poll == 0, || format!("a poll found {poll}"))?;
    let gone = format!("/proc/{}", first.process());
    first.kill()?;
    bench.machine.agent.wait_until(&gone, Condition::Absent, pace::COMMAND)?;
    Ok(second.kill()?)
}

fn log_judge(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let machine = &bench.machine;
    let before = machine.console.len();
    machine.agent.mark("WARNING: provoked by the test")?;
    expect(machine.console.wait_for(before, "provoked by the test", bench.limit(pace::COMMAND)), || {
        "what is written into the log does not come out".to_owned()
    })
}

fn edu_surprise(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let machine = &bench.machine;
    bench.plug(Card::Edu)?;
    let device = format!("/sys/bus/pci/devices/{SLOT}");
    machine.agent.wait_until(&format!("{device}/vendor"), Condition::Is("0x1234".into()), pace::HOTPLUG)?;
    machine.agent.wait_until("/sys/bus/pci/slots/1/adapter", Condition::Is("1".into()), pace::HOTPLUG)?;

    let before = machine.console.len();
    let pulled = hotplug::pull(&machine.monitor)?;
    bench.unplugged(pulled)?;
    machine.agent.wait_until(&device, Condition::Absent, pace::HOTPLUG)?;
    machine.agent.wait_until("/sys/bus/pci/slots/1/adapter", Condition::Is("0".into()), pace::HOTPLUG)?;
    // The kernel says so of surprises alone; see `loss::pull`.
    expect(machine.console.wait_for(before, "Card not present", bench.limit(pace::COMMAND)), || {
        "the slot did not report that its card has gone".to_owned()
    })
}

fn edu_silent(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let machine = &bench.machine;
    let config = format!("/sys/bus/pci/devices/{SLOT}/config");
    let before = machine.agent.read_bytes(&config, 0, 4)?;
    expect(before == EDU, || format!("the slot holds {before:02x?}"))?;
    hotplug::silence(&machine.monitor, CARD)?;
    let after = machine.agent.read_bytes(&config, 0, 4)?;
    expect(after == [0xff; 4], || format!("a silent device still says {after:02x?}"))?;
    let present = machine.agent.read("/sys/bus/pci/slots/1/adapter")?;
    expect(present.trim() == "1", || "the slot noticed, so that was not silent".to_owned())?;
    machine.agent.write(&format!("/sys/bus/pci/devices/{SLOT}/remove"), "1", pace::HOTPLUG)?;
    machine.agent.wait_until(&format!("/sys/bus/pci/devices/{SLOT}"), Condition::Absent, pace::HOTPLUG)?;
    Ok(())
}
