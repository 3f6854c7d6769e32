//! Nodes appear with the device and vanish with it; files that are open outlive it.

use lifeboat_guest::wire::{Condition, Request};
use lifeboat_uapi::{ContextCreate, Info};

use crate::driver::Nodes;
use crate::pace;
use crate::program::file::File;
use crate::program::{Program, refused};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::drm::losing::{ACPI_WAYS, NATIVE_WAYS, Way, case};
use crate::tests::{ACPI_GPU, NATIVE_GPU};

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "drm_open_files_outlive_the_device",
        shows: "open files of a device that is unbound, removed, unplugged or falls off the bus still answer, and wake",
        proves: &["CALL-2", "CALL-3", "CALL-7", "GATE-4", "LIFE-3", "LIFE-5"],
        plan: ACPI_GPU,
        alone: true,
        body: open_files_outlive_the_device,
    },
    Test {
        name: "drm_open_files_outlive_a_pulled_device",
        shows: "the same where the card is pulled out of its slot, or its button is pushed",
        proves: &["CALL-2", "CALL-7", "LIFE-3", "LIFE-5"],
        plan: NATIVE_GPU,
        alone: true,
        body: open_files_outlive_a_pulled_device,
    },
    Test {
        name: "drm_files_hold_the_module",
        shows: "the module is not unloaded while a file is open, and is when it was closed after an unbind",
        proves: &["LIFE-2", "LIFE-4"],
        plan: ACPI_GPU,
        alone: false,
        body: files_hold_the_module,
    },
];

const ENOENT: i32 = 2;
const ENXIO: i32 = 6;
const EAGAIN: i32 = 11;
const ENODEV: i32 = 19;
/// `POLLERR | POLLHUP`.
const LOST: i64 = 8 | 16;
const CAP_PRIME: u64 = 5;

fn open_files_outlive_the_device(bench: &mut Bench<'_>) -> Result<(), Failure> {
    bench.driver().load("health_ms=100")?;
    ACPI_WAYS.into_iter().try_for_each(|way| case(bench, way, a_file_outlives))?;
    opened_while_it_goes(bench)
}

/// Between the announcement of a loss and the end of the nodes an open says what has become of the device. A section that does
/// not end holds the end up there.
fn opened_while_it_goes(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let nodes = driver.nodes()?;
    let program = Program::start(&bench.machine.agent)?;
    let section = driver.start_section()?;
    let unbind = driver.start_unbind()?;
    driver.wait_for_state("gone")?;
    let errnos = [refused(program.open(&nodes.card))?, refused(program.open(&nodes.render))?];
    driver.end_section()?;
    section.wait()?;
    unbind.wait()?;
    expect(errnos == [ENXIO; 2], || format!("opening the nodes of a device that goes ends with errnos {errnos:?}"))?;
    have_vanished(bench, &program, &nodes)?;
    program.kill()?;
    driver.bind()?;
    driver.works(1)
}

fn open_files_outlive_a_pulled_device(bench: &mut Bench<'_>) -> Result<(), Failure> {
    bench.driver().load("health_ms=0")?;
    NATIVE_WAYS.into_iter().try_for_each(|way| case(bench, way, a_file_outlives))
}

/// A file of each node is open across a loss.
fn a_file_outlives(bench: &mut Bench<'_>, way: Way) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.works(1)?;
    let nodes = driver.nodes()?;
    let program = Program::start(&bench.machine.agent)?;
    let files = [program.open(&nodes.card)?, program.open(&nodes.render)?];
    for file in &files {
        answers(file)?;
    }
    let names = [other_name(bench, &nodes.card, way)?, other_name(bench, &nodes.render, way)?];
    let polls = [files[0].start_poll()?, files[1].start_poll()?];
    way.lose(bench)?;
    for poll in polls {
        let reply = poll.wait()?;
        // At its limit a poll looks once more, and would find the loss as well.
        expect(reply.took < bench.limit(pace::DRIVER), || "poll() was not woken".to_owned())?;
        let woken = reply.number()?;
        expect(woken & LOST == LOST, || format!("poll() woke with {woken:#x}"))?;
    }
    have_vanished(bench, &program, &nodes)?;
    for (file, name) in files.iter().zip(&names) {
        for path in [name, &format!("/proc/self/fd/{}", file.descriptor()?)] {
            let errno = refused(program.open(path))?;
            expect(errno == ENODEV, || format!("opening {path}, a vanished node, ends with errno {errno}"))?;
        }
    }
    for file in &files {
        answers(file)?;
        let woken = file.start_poll()?.wait()?.number()?;
        expect(woken & LOST == LOST, || format!("a poll() after the loss found {woken:#x}"))?;
        let errno = refused(file.create_context(ContextCreate::default()))?;
        expect(errno == ENODEV, || format!("new work ends with errno {errno}"))?;
    }
    let [card, render] = files;
    card.close()?;
    render.close()?;
    Ok(program.kill()?)
}

/// Whatever only asks is answered.
fn answers(file: &File<'_>) -> Result<(), Failure> {
    let version = file.version()?;
    expect(version.starts_with("lifeboat "), || format!("the driver is {version:?}"))?;
    file.capability(CAP_PRIME)?;
    let info = file.info(Info::default())?;
    expect(info.rings > 0 && info.contexts > 0 && info.page_bytes.is_power_of_two(), || format!("{info:?}"))?;
    let fdinfo = file.fdinfo()?;
    expect(fdinfo.contains("drm-driver:\tlifeboat"), || format!("/proc says {fdinfo}"))
}

/// Another name for a node, which is not taken away with it.
fn other_name(bench: &Bench<'_>, node: &str, way: Way) -> Result<String, Failure> {
    let path = format!("/tmp/{way:?}{}", node.replace('/', "-"));
    let request = Request::CopyNode { node: node.to_owned(), path: path.clone() };
    bench.machine.agent.call(request, pace::COMMAND)?;
    Ok(path)
}

fn have_vanished(bench: &Bench<'_>, program: &Program<'_>, nodes: &Nodes) -> Result<(), Failure> {
    for node in [&nodes.card, &nodes.render] {
        bench.machine.agent.wait_until(node, Condition::Absent, pace::DRIVER)?;
        let errno = refused(program.open(node))?;
        expect(errno == ENOENT, || format!("opening {node} ends with errno {errno}"))?;
    }
    Ok(())
}

fn files_hold_the_module(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("")?;
    driver.works(1)?;
    let program = Program::start(&bench.machine.agent)?;
    let old = program.open(&driver.nodes()?.render)?;
    let refusal = |when| {
        let errno = refused(driver.unload())?;
        expect(errno == EAGAIN, || format!("unloading {when} ends with errno {errno}"))
    };
    refusal("while a file of the bound device is open")?;
    driver.unbind()?;
    refusal("while a file of the unbound device is open")?;
    // What returns is another device: the old file never reaches it.
    let before = driver.bind().map(drop).and_then(|()| old.fdinfo())?;
    driver.works(1)?;
    let new = program.open(&driver.nodes()?.render)?;
    let (old_info, new_info) = (old.fdinfo()?, new.fdinfo()?);
    expect(old_info == before && client(&old_info) != client(&new_info), || format!("{old_info} is {new_info}"))?;
    let errno = refused(old.create_context(ContextCreate::default()))?;
    expect(errno == ENODEV, || format!("new work on the old file ends with errno {errno}"))?;
    new.create_context(ContextCreate::default())?;
    new.close()?;
    driver.unbind()?;
    refusal("while a file of the first device is open")?;
    old.close()?;
    driver.unload()?;
    driver.load("")?;
    driver.works(1)?;
    // The end of a program closes what it has open.
    let _killed = program.open(&driver.nodes()?.card)?;
    refusal("while a program has a file open")?;
    program.kill()?;
    Ok(driver.unload()?)
}

fn client(fdinfo: &str) -> Option<&str> {
    fdinfo.lines().find_map(|line| line.strip_prefix("drm-client-id:"))
}
