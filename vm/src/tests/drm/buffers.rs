//! Memory of buffers that can go away: a program's own, what is not needed, what is not there yet; before a loss and after it.

use std::time::Instant;

use lifeboat_gpu_server::control::Fault;
use lifeboat_lb1::command::Work;
use lifeboat_uapi::{BufferAdvise, BufferCreate, BufferMmap, DONT_NEED, Info, Map, Unmap, WILL_NEED};

use crate::guest::agent::AgentError;
use crate::pace;
use crate::program::commands::{copy, fill, job};
use crate::program::file::File;
use crate::program::memory::Memory;
use crate::program::{Program, refused};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "drm_user_memory",
        shows: "jobs use a program's own memory until it is unmapped or replaced, during a job and after a loss as well",
        proves: &["GATE-6", "SCHED-2", "LIFE-3"],
        plan: ACPI_GPU,
        alone: false,
        body: user_memory,
    },
    Test {
        name: "drm_memory_is_short",
        shows: "buffers that are not needed are given up, and touches complete without memory, also after a loss",
        proves: &["GATE-6", "MAP-1", "MAP-2", "CALL-2"],
        plan: ACPI_GPU,
        alone: false,
        body: memory_is_short,
    },
];

const EFAULT: i32 = 14;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const ETIME: i64 = 62;
/// Bytes of a buffer.
const BYTES: u64 = 16 << 10;
/// Words from a page to the next.
const PAGE_WORDS: usize = 1024;
/// What is written.
const WORD: u32 = 0x0b0a_7000;
const OTHER: u32 = 0x5ea5_1de5;

/// A context, a buffer at its first address whose contents are seen, and addresses for others.
struct Table<'a> {
    file: File<'a>,
    context: u32,
    seen: Memory<'a>,
    /// Address of the buffer that is seen, and of what is mapped beside it.
    seen_at: u64,
    other_at: u64,
}

impl<'a> Table<'a> {
    fn open(program: &'a Program<'a>, node: &str) -> Result<Self, Failure> {
        let file = program.open(node)?;
        let context = file.context()?;
        let seen_at = file.info(Info::default())?.first_address;
        let buffer = file.buffer(BYTES, 0)?;
        file.map_all(context, &buffer, seen_at)?;
        let seen = file.map_memory(&buffer)?;
        Ok(Self { file, context, seen, seen_at, other_at: seen_at + (1 << 20) })
    }

    /// Maps at the other address.
    fn map(&self, buffer: &BufferCreate, flags: u32) -> Result<(), AgentError> {
        let (handle, size) = (buffer.handle, buffer.size);
        self.file
            .map(Map { context: self.context, handle, address: self.other_at, size, flags, ..Map::default() })
            .map(drop)
    }

    fn unmap(&self) -> Result<(), AgentError> {
        self.file.unmap(Unmap { context: self.context, address: self.other_at, ..Unmap::default() }).map(drop)
    }

    /// Does a job, and gives its result.
    fn does(&self, work: &[Work]) -> Result<i64, Failure> {
        let (jobs, _) = self.file.submit(&job(self.context, work), 1)?;
        Ok(self.file.wait(self.context, jobs[0])?)
    }

    /// Copies what is mapped at the other address to where it is seen, and compares it.
    fn shows(&self, word: u32) -> Result<(), Failure> {
        self.seen.fill(!word)?;
        let result = self.does(&[self.to_seen()])?;
        let wrong = self.seen.differing(word)?;
        expect(result == 0 && wrong == 0, || format!("a copy ended with {result} and {wrong} wrong words"))
    }

    fn to_seen(&self) -> Work {
        copy(self.seen_at, self.other_at, u32::try_from(BYTES).unwrap_or(u32::MAX))
    }
}

fn user_memory(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("health_ms=100 job_timeout_ms=120000")?;
    driver.works(1)?;
    let program = Program::start(&bench.machine.agent)?;
    let table = Table::open(&program, &driver.nodes()?.render)?;
    read_and_written(&program, &table)?;
    replaced(&program, &table)?;
    unmapped_in_a_job(bench, &program, &table)?;

    // After a loss: one that is mapped, one that is not, and one that replaces its pages.
    let [mapped, free, replaced] = [lend(&program, &table)?, lend(&program, &table)?, lend(&program, &table)?];
    table.map(&mapped.1, 0)?;
    driver.unbind()?;
    let errno = refused(table.file.user_buffer(&free.0, false))?;
    expect(errno == ENODEV, || format!("a new buffer after the loss ends with errno {errno}"))?;
    replaced.0.discard()?;
    let started = Instant::now();
    for (memory, _) in [mapped, free, replaced] {
        memory.unmap()?;
    }
    expect(started.elapsed() < pace::DRIVER, || "unmapping after the loss takes long".to_owned())?;
    // Pages are pinned when a program dies, on a device that is there and on one that is lost.
    driver.bind()?;
    driver.works(1)?;
    for is_lost in [false, true] {
        let doomed = Program::start(&bench.machine.agent)?;
        let table = Table::open(&doomed, &driver.nodes()?.render)?;
        let (_memory, buffer) = lend(&doomed, &table)?;
        table.map(&buffer, lifeboat_uapi::MAP_WRITE)?;
        if is_lost {
            driver.unbind()?;
        }
        doomed.kill()?;
    }
    program.kill()?;
    Ok(driver.unload()?)
}

/// Memory of the program's own, and a buffer of it.
fn lend<'a>(program: &'a Program<'a>, table: &Table<'_>) -> Result<(Memory<'a>, BufferCreate), Failure> {
    let memory = program.allocate(usize::try_from(BYTES).unwrap_or(usize::MAX))?;
    let buffer = table.file.user_buffer(&memory, false)?;
    Ok((memory, buffer))
}

fn read_and_written(program: &Program<'_>, table: &Table<'_>) -> Result<(), Failure> {
    // Nobody has touched the memory yet.
    let (memory, buffer) = lend(program, table)?;
    table.map(&buffer, lifeboat_uapi::MAP_WRITE)?;
    memory.fill(WORD)?;
    table.shows(WORD)?;
    let result = table.does(&[fill(table.other_at, BYTES, OTHER)])?;
    let wrong = memory.differing(OTHER)?;
    expect(result == 0 && wrong == 0, || format!("a job on user memory: {result} and {wrong} wrong words"))?;
    for (what, errno) in [
        ("a map of it", refused(table.file.map_memory(&buffer))?),
        ("an export of it", refused(table.file.export(buffer.handle))?),
    ] {
        expect(errno == EINVAL, || format!("{what} ends with errno {errno}"))?;
    }
    table.unmap()?;
    let read_only = table.file.user_buffer(&memory, true)?;
    let errno = refused(table.map(&read_only, lifeboat_uapi::MAP_WRITE))?;
    expect(errno == EINVAL, || format!("a writable map of what is only read ends with errno {errno}"))?;
    table.map(&read_only, 0)?;
    table.shows(OTHER)?;
    table.unmap()?;
    for handle in [buffer.handle, read_only.handle] {
        table.file.close_buffer(handle)?;
    }
    // The buffers are gone, and the memory is the program's as before.
    let wrong = memory.differing(OTHER)?;
    expect(wrong == 0, || format!("{wrong} words are wrong after the buffer is gone"))?;
    Ok(memory.unmap()?)
}

/// The program puts other pages in the place of those that it has lent.
fn replaced(program: &Program<'_>, table: &Table<'_>) -> Result<(), Failure> {
    let (memory, buffer) = lend(program, table)?;
    memory.fill(WORD)?;
    table.map(&buffer, 0)?;
    table.shows(WORD)?;
    memory.discard()?;
    memory.fill(OTHER)?;
    table.seen.fill(0)?;
    let result = table.does(&[table.to_seen()])?;
    expect(result == -ETIME, || format!("a job on pages that the program has no more ended with {result}"))?;
    let wrong = table.seen.differing(0)?;
    expect(wrong == 0, || format!("{wrong} words of old pages are seen"))?;
    table.unmap()?;
    let errno = refused(table.map(&buffer, 0))?;
    expect(errno == EFAULT, || format!("a map of replaced pages ends with errno {errno}"))?;
    // Not mapped at the time: the next map looks.
    let again = table.file.user_buffer(&memory, false)?;
    memory.discard()?;
    let errno = refused(table.map(&again, 0))?;
    expect(errno == EFAULT, || format!("a map of pages that were replaced before it ends with errno {errno}"))?;
    // The pages that are there now can be lent again.
    memory.fill(WORD)?;
    let last = table.file.user_buffer(&memory, false)?;
    table.map(&last, 0)?;
    table.shows(WORD)?;
    table.unmap()?;
    memory.unmap()?;
    let errno = refused(table.map(&last, 0))?;
    expect(errno == EFAULT, || format!("a map of unmapped memory ends with errno {errno}"))
}

/// The program unmaps its memory between two commands of a job that uses it.
fn unmapped_in_a_job(bench: &Bench<'_>, program: &Program<'_>, table: &Table<'_>) -> Result<(), Failure> {
    /// Microseconds from a command to the next: time enough for the other side.
    const SLOW: u64 = 5_000_000;
    let (memory, buffer) = lend(program, table)?;
    memory.fill(0)?;
    table.map(&buffer, lifeboat_uapi::MAP_WRITE)?;
    bench.gpu()?.inject(Fault::Slow { micros: SLOW }, None)?;
    let work = [fill(table.other_at, BYTES, WORD), table.to_seen()];
    let (jobs, _) = table.file.submit(&job(table.context, &work), 1)?;
    let wait = table.file.start_wait(table.context, jobs[0])?;
    let started = Instant::now();
    while memory.differing(WORD)? > 0 {
        expect(started.elapsed() < pace::DRIVER, || "the job does not begin".to_owned())?;
    }
    memory.unmap()?;
    bench.gpu()?.inject(Fault::Slow { micros: 0 }, None)?;
    let result = wait.wait()?.number()?;
    expect(result == -ETIME, || format!("a job whose memory was unmapped ended with {result}"))?;
    table.unmap()?;
    Ok(table.file.close_buffer(buffer.handle)?)
}

fn memory_is_short(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    driver.load("health_ms=100")?;
    driver.works(1)?;
    let nodes = driver.nodes()?;
    let agent = &bench.machine.agent;
    let program = Program::start(agent)?;
    let table = Table::open(&program, &nodes.render)?;
    let card = program.open(&nodes.card)?;

    let (spare, spare_seen) = visible(&table.file, WORD)?;
    let (used, used_seen) = visible(&table.file, WORD)?;
    table.map(&used, 0)?;
    advise(&table.file, &spare, DONT_NEED, true)?;
    advise(&table.file, &used, DONT_NEED, true)?;
    reclaim(bench)?;
    // The one is mapped in a context, and stays.
    advise(&table.file, &used, WILL_NEED, true)?;
    table.shows(WORD)?;
    advise(&table.file, &spare, WILL_NEED, false)?;
    advise(&table.file, &spare, WILL_NEED, true)?;
    // The given-up memory is there again when it is used: zeroes, for the program and for the device.
    table.unmap()?;
    table.map(&spare, lifeboat_uapi::MAP_WRITE)?;
    table.shows(0)?;
    spare_seen.fill(WORD)?;
    table.shows(WORD)?;
    table.unmap()?;

    let small = Dumb::create(&card, [64, 64])?;
    expect(small.buffer.size == 64 * 64 * 4, || format!("64 lines of 64 words have {} bytes", small.buffer.size))?;
    let large = Dumb::create(&card, TOO_LARGE)?;
    let small_seen = small.map(&card)?;
    let wrong = small_seen.differing(0)?;
    expect(wrong == 0, || format!("{wrong} words of a new dumb buffer are not zero"))?;
    small_seen.fill(WORD)?;
    let untouched = Dumb::create(&card, [64, 64])?;
    let large_seen = large.map(&card)?;
    // A touch of memory that is not to be had ends the program; it neither waits nor is repeated.
    let doomed = Program::start(agent)?;
    let theirs = doomed.open(&nodes.card)?;
    let impossible = Dumb::create(&theirs, TOO_LARGE)?.map(&theirs)?;
    match impossible.poke(0, WORD, 0) {
        Err(AgentError::Failed(failure)) if failure.errno.is_none() => {}
        other => return Err(Failure::Unexpected(format!("a touch of memory that is not there: {other:?}"))),
    }
    doomed.kill()?;

    driver.unbind()?;
    // After the loss: given up and told, and touched again; what was there stays.
    advise(&table.file, &spare, DONT_NEED, true)?;
    reclaim(bench)?;
    advise(&table.file, &spare, WILL_NEED, false)?;
    spare_seen.fill(OTHER)?;
    let wrong = (spare_seen.differing(OTHER)?, used_seen.differing(WORD)?, small_seen.differing(WORD)?);
    expect(wrong == (0, 0, 0), || format!("{wrong:?} words are wrong after the loss"))?;
    let late = untouched.map(&card)?;
    late.fill(WORD)?;
    let wrong = late.differing(WORD)?;
    expect(wrong == 0, || format!("{wrong} words of a map of after the loss are wrong"))?;
    // Not to be had, and touched all the same: by the map of before and by a new one.
    for map in [large_seen, large.map(&card)?] {
        map.poke(0, WORD, PAGE_WORDS)?;
        map.poke(PAGE_WORDS * 100_000, WORD, 0)?;
    }
    let errno = refused(Dumb::create(&card, [64, 64]))?;
    expect(errno == ENODEV, || format!("a new dumb buffer after the loss ends with errno {errno}"))?;
    for dumb in [small, large, untouched] {
        dumb.destroy(&card)?;
    }
    let wrong = (small_seen.differing(WORD)?, late.differing(WORD)?);
    expect(wrong == (0, 0), || format!("{wrong:?} words are wrong after the buffers were destroyed"))?;
    program.kill()?;
    Ok(driver.unload()?)
}

/// A buffer, and the program's map of it, filled.
fn visible<'a>(file: &File<'a>, word: u32) -> Result<(BufferCreate, Memory<'a>), Failure> {
    let buffer = file.buffer(BYTES, 0)?;
    let memory = file.map_memory(&buffer)?;
    memory.fill(word)?;
    Ok((buffer, memory))
}

fn advise(file: &File<'_>, buffer: &BufferCreate, advice: u32, retained: bool) -> Result<(), Failure> {
    let said = file.advise(BufferAdvise { handle: buffer.handle, advice, ..BufferAdvise::default() })?.retained != 0;
    expect(said == retained, || format!("after advice {advice} the contents are retained: {said}"))
}

/// Has the kernel reclaim what it can.
fn reclaim(bench: &Bench<'_>) -> Result<(), Failure> {
    bench.machine.agent.write("/proc/sys/vm/drop_caches", "2", pace::DRIVER)?;
    Ok(())
}

/// Width and height of a picture of twice the memory that the guest has.
const TOO_LARGE: [u32; 2] = [16 << 10, 32 << 10];

/// A `dumb` buffer of four bytes a pixel.
#[derive(Debug, Clone, Copy)]
struct Dumb {
    buffer: BufferCreate,
}

impl Dumb {
    /// `struct drm_mode_create_dumb`: height, width, bits per pixel, flags, handle, pitch, size.
    const CREATE: u32 = 0xc020_64b2;
    /// `struct drm_mode_map_dumb`: handle, pad, offset.
    const MAP: u32 = 0xc010_64b3;
    /// `struct drm_mode_destroy_dumb`: handle.
    const DESTROY: u32 = 0xc004_64b4;

    fn create(card: &File<'_>, [width, height]: [u32; 2]) -> Result<Self, AgentError> {
        let request = [height, width, 32, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
        let created = card.raw(Self::CREATE, &request)?;
        let [handle, low, high] = [4, 6, 7].map(|index| word(&created, index));
        let size = u64::from(high) << 32 | u64::from(low);
        Ok(Self { buffer: BufferCreate { handle, size, ..BufferCreate::default() } })
    }

    /// Maps it, at the offset that both ways to ask tell.
    fn map<'a>(&self, card: &File<'a>) -> Result<Memory<'a>, Failure> {
        let handle = self.buffer.handle;
        let told = card.raw(Self::MAP, &[handle, 0, 0, 0].map(u32::to_le_bytes).concat())?;
        let told = u64::from(word(&told, 3)) << 32 | u64::from(word(&told, 2));
        let offset = card.buffer_offset(BufferMmap { handle, ..BufferMmap::default() })?.offset;
        expect(told == offset, || format!("a dumb buffer is at {told:#x} and at {offset:#x}"))?;
        Ok(card.map_memory(&self.buffer)?)
    }

    fn destroy(self, card: &File<'_>) -> Result<(), AgentError> {
        card.raw(Self::DESTROY, &self.buffer.handle.to_le_bytes()).map(drop)
    }
}

fn word(bytes: &[u8], index: usize) -> u32 {
    bytes.chunks_exact(4).nth(index).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes)
}
