//! Rules that every call keeps: reserved fields, sizes of structures, unknown numbers; before a loss and after it.

use lifeboat_uapi::{
    BufferMmap, COMMAND_BASE, ContextCreate, ContextDestroy, ContextStatus, Direction, Info, Map, Request, Unmap,
    ioctl_number,
};

use crate::program::file::File;
use crate::program::{Program, refused};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "drm_rules_of_calls",
    shows: "unknown flags, reserved fields and longer structures are refused, shorter ones are taken, also after a loss",
    proves: &["CALL-1", "CALL-2"],
    plan: ACPI_GPU,
    alone: false,
    body: rules_of_calls,
}];

const ENOENT: i32 = 2;
const E2BIG: i32 = 7;
const ENOMEM: i32 = 12;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const EDQUOT: i32 = 122;

fn rules_of_calls(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("")?;
    driver.works(1)?;
    let program = Program::start(&bench.machine.agent)?;
    let file = program.open(&driver.nodes()?.render)?;
    let context = file.context()?;
    let info = file.info(Info::default())?;
    always(&file, context)?;
    let errno = refused(file.create_context(ContextCreate { flags: 1, ..Default::default() }))?;
    expect(errno == EINVAL, || format!("an unknown flag of a new context ends with errno {errno}"))?;
    let errno = refused(file.map(Map { context, handle: 99, ..Default::default() }))?;
    expect(errno == ENOENT || errno == EINVAL, || format!("a map of nothing ends with errno {errno}"))?;
    let errno = refused(file.buffer(4096, 1 << 31))?;
    expect(errno == EINVAL, || format!("an unknown flag of a buffer ends with errno {errno}"))?;
    let errno = refused(file.buffer(0, 0))?;
    expect(errno == EINVAL, || format!("a buffer without bytes ends with errno {errno}"))?;
    contexts_run_out(&program, &driver.nodes()?.render, info.contexts)?;
    driver.unbind()?;
    // Calls of the class Always go on as before, the rules included; those of the class Device say what has become of it.
    always(&file, context)?;
    for (what, errno) in [
        ("a new context", refused(file.context())?),
        ("a new buffer", refused(file.buffer(4096, 0))?),
        ("a map", refused(file.map(Map { context, ..Default::default() }))?),
    ] {
        expect(errno == ENODEV, || format!("{what} ends with errno {errno} after the loss"))?;
    }
    file.destroy_context(ContextDestroy { context, ..Default::default() })?;
    Ok(program.kill()?)
}

/// Each file has a share of the hardware's contexts; when none is free, that is said otherwise.
fn contexts_run_out(program: &Program<'_>, node: &str, contexts: u32) -> Result<(), Failure> {
    let mut files = Vec::new();
    let mut refusals = Vec::new();
    while refusals.last() != Some(&ENOMEM) {
        expect(files.len() < 8, || format!("{contexts} contexts are not used up: {refusals:?}"))?;
        let file = program.open(node)?;
        let mut opened = 0;
        let errno = loop {
            match file.context() {
                Ok(_) => opened += 1,
                refusal => break refused(refusal)?,
            }
            expect(opened < contexts, || "one file has all contexts".to_owned())?;
        };
        refusals.push(errno);
        files.push(file);
    }
    let others = refusals.len() - 1;
    expect(others >= 3 && refusals[..others].iter().all(|errno| *errno == EDQUOT), || {
        format!("files that took what they could were refused with errnos {refusals:?}")
    })?;
    files.into_iter().try_for_each(|file| Ok(file.close()?))
}

/// What holds of calls that never fail because of a loss.
fn always(file: &File<'_>, context: u32) -> Result<(), Failure> {
    let refusals = [
        ("a flag of INFO", EINVAL, refused(file.info(Info { flags: 1, ..Default::default() }))?),
        (
            "a reserved field",
            EINVAL,
            refused(file.context_status(ContextStatus { context, pad: 1, ..Default::default() }))?,
        ),
        ("no such context", ENOENT, refused(file.context_status(ContextStatus { context: 99, ..Default::default() }))?),
        ("no context to destroy", ENOENT, refused(file.destroy_context(ContextDestroy::default()))?),
        ("no such buffer", ENOENT, refused(file.buffer_offset(BufferMmap { handle: 99, ..Default::default() }))?),
        ("nothing to unmap", ENOENT, refused(file.unmap(Unmap { context, address: 4096, ..Default::default() }))?),
        ("an unknown call", EINVAL, refused(file.raw(number(0x5f, 8), &[0; 8]))?),
    ];
    for (what, wanted, errno) in refusals {
        expect(errno == wanted, || format!("{what}: errno {errno} instead of {wanted}"))?;
    }
    let size = size_of::<Info>();
    let whole = file.raw(Info::NUMBER, &[0; size_of::<Info>()])?;
    let short = file.raw(number(Info::COMMAND, 8), &[0; 8])?;
    expect(whole[..8] == short[..], || format!("a shorter structure has {short:?} instead of {whole:?}"))?;
    let mut long = vec![0; size + 16];
    let longer = file.raw(number(Info::COMMAND, size + 16), &long)?;
    expect(whole[..] == longer[..size], || format!("a longer structure has {longer:?} instead of {whole:?}"))?;
    long[size + 3] = 1;
    let errno = refused(file.raw(number(Info::COMMAND, size + 16), &long))?;
    expect(errno == E2BIG, || format!("a field that the kernel does not know ends with errno {errno}"))
}

fn number(command: u32, size: usize) -> u32 {
    ioctl_number(Direction::InOut, COMMAND_BASE + command, size)
}
