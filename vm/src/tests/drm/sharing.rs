//! Buffers that programs and devices share, across a loss.

use crate::program::vgem::create_dumb;
use crate::program::{Program, refused};
use crate::suite::bench::{Bench, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;
use crate::tests::drm::desk::{Desk, PATTERN};

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "drm_shared_buffers",
    shows: "a buffer is shared with another program and with vgem, and one of vgem with the GPU, which is lost then",
    proves: &["CALL-6", "MAP-1", "MAP-3", "LIFE-2", "LIFE-3"],
    plan: Plan { drivers: &["vgem"], ..ACPI_GPU },
    alone: false,
    body: shared_buffers,
}];

const EAGAIN: i32 = 11;
const ENODEV: i32 = 19;
/// The node of vgem, which is loaded first.
const VGEM: &str = "/dev/dri/card0";

fn shared_buffers(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("")?;
    driver.works(1)?;
    let node = driver.nodes()?.render;
    let agent = &bench.machine.agent;
    let (owner, guest) = (Program::start(agent)?, Program::start(agent)?);
    let desk = Desk::open(&owner, &node)?;
    desk.works()?;
    let exported = desk.file.export(desk.buffers[1].handle)?;

    // Another program sees the same memory.
    let received = guest.take(&owner, exported)?;
    let theirs = guest.open(&node)?;
    let mut shared = desk.buffers[1];
    shared.handle = handle(theirs.import(received)?)?;
    let seen = theirs.map_memory(&shared)?;
    let wrong = seen.differing(PATTERN)?;
    expect(wrong == 0, || format!("the other program sees {wrong} wrong words"))?;
    seen.touch()?;

    // Another driver takes it, and the GPU takes a buffer of that driver.
    let vgem = owner.open(VGEM)?;
    vgem.import(exported)?;
    let of_vgem = vgem.export(create_dumb(&vgem)?)?;
    desk.file.import(of_vgem)?;

    driver.unbind()?;
    let before = seen.touches()?;
    let started = std::time::Instant::now();
    while seen.touches()? < before + 3 {
        expect(started.elapsed() < bench.limit(crate::pace::DRIVER), || {
            "the shared map is not touched any more".to_owned()
        })?;
    }
    // What the device had already is there; what is another's is not imported any more.
    let again = handle(desk.file.import(exported)?)?;
    expect(again == desk.buffers[1].handle, || format!("the own buffer has handle {again}"))?;
    let late = vgem.export(handle(vgem.import(of_vgem)?)?)?;
    let taken = guest.take(&owner, late)?;
    let errno = refused(theirs.import(taken))?;
    expect(errno == ENODEV, || format!("importing a foreign buffer after the loss ends with errno {errno}"))?;
    desk.file.export(desk.buffers[0].handle)?;

    // An exported buffer holds the module after its programs' files are gone.
    theirs.close()?;
    desk.file.close()?;
    let errno = refused(driver.unload())?;
    expect(errno == EAGAIN, || format!("unloading with exported buffers ends with errno {errno}"))?;
    guest.kill()?;
    owner.kill()?;
    Ok(driver.unload()?)
}

fn handle(number: i64) -> Result<u32, Failure> {
    u32::try_from(number).map_err(|_| Failure::Unexpected(format!("{number} is no handle")))
}
