//! The dump as JSON.
//!
//! Its fields are those of `lifeboat::Dump`, which reads it; a test there compares the two.

use core::fmt::{self, Write};

use super::json::{Hex, Known, Quoted};
use super::plan::{first, places, rank, Plan};
use super::portion::{Place, Portions, Window};
use super::text::Text;
use super::{Entry, Guilty, Job, Layout, Register, Ring, State};

/// The name by which a dump calls itself.
pub const FORMAT: &str = "lifeboat-dump";

/// The version that is written, and the newest that can be read.
pub const VERSION: u32 = 1;

/// The longest location, and the longest name of a fence or a process, in characters. What is longer is cut off.
const LONGEST_NAME: usize = 64;

/// The memory does not hold what each dump has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

/// What had no room, by number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeftOut {
    registers: u64,
    descriptors: u64,
    jobs: u64,
}

impl LeftOut {
    /// What is longest as text.
    pub(super) const MOST: Self = Self { registers: u64::MAX, descriptors: u64::MAX, jobs: u64::MAX };
}

/// Writes a dump as one line of JSON into the beginning of `memory`, and returns its length. What there is no room for is
/// left out, and counted in the dump. Allocates nothing. Takes what it is given to be the same each time it asks.
///
/// # Errors
/// [`NoRoom`] if the memory does not hold what each dump has: about 800 bytes, and 150 for each ring.
pub fn write(state: &impl State, memory: &mut [u8]) -> Result<usize, NoRoom> {
    let plan = Plan::of(state, memory.len()).ok_or(NoRoom)?;
    let mut text = Text::new(memory);
    let written = body(&mut text, state, &plan).and_then(|left_out| tail(&mut text, left_out));
    written.map(|()| text.length()).map_err(|fmt::Error| NoRoom)
}

/// All but the end, which says what was left out.
pub(super) fn body(out: &mut dyn Write, state: &impl State, plan: &Plan) -> Result<LeftOut, fmt::Error> {
    let mut left_out = LeftOut { jobs: state.jobs_left_out(), ..LeftOut::default() };
    head(out, state)?;
    write!(out, ",\"registers\":[")?;
    match state.registers() {
        Some(read) if plan.device => registers(out, 0, state.layout().device, read)?,
        Some(read) => left_out.registers += read.len() as u64,
        None => {}
    }
    write!(out, "],\"rings\":[")?;
    rings(out, state, plan, &mut left_out)?;
    write!(out, "],\"jobs\":[")?;
    let mut comma = Comma::new();
    for (index, each) in state.jobs().enumerate() {
        if index < plan.jobs {
            comma.write(out)?;
            job(out, &each)?;
        } else {
            left_out.jobs = left_out.jobs.saturating_add(1);
        }
    }
    write!(out, "]")?;
    Ok(left_out)
}

/// What was left out, and the end.
pub(super) fn tail(out: &mut dyn Write, left_out: LeftOut) -> fmt::Result {
    let LeftOut { registers, descriptors, jobs } = left_out;
    writeln!(out, ",\"left_out\":{{\"registers\":{registers},\"descriptors\":{descriptors},\"jobs\":{jobs}}}}}")
}

fn head(out: &mut dyn Write, state: &impl State) -> fmt::Result {
    let about = state.about();
    let (driver, version) = about.driver;
    write!(out, "{{\"format\":{},\"version\":{VERSION}", name(FORMAT))?;
    write!(out, ",\"driver\":{{\"name\":{},\"version\":{}}}", name(driver), name(version))?;
    write!(
        out,
        ",\"device\":{{\"model\":{},\"minor\":{},\"location\":{}}}",
        name(about.model),
        about.minor,
        name(about.location)
    )?;
    let since_bind =
        about.since_bind.as_secs().saturating_mul(1000).saturating_add(about.since_bind.subsec_millis().into());
    write!(out, ",\"taken\":{{\"utc\":{},\"since_bind_ms\":{since_bind}}}", name(about.taken))?;
    write!(out, ",\"reason\":{{\"kind\":{}", name(about.reason.kind()))?;
    if let Some(ring) = about.reason.ring() {
        write!(out, ",\"ring\":{ring}")?;
    }
    write!(out, "}},\"guilty\":")?;
    match &about.guilty {
        Some(blamed) => guilty(out, blamed),
        None => out.write_str("null"),
    }
}

fn guilty(out: &mut dyn Write, guilty: &Guilty<'_>) -> fmt::Result {
    let Guilty { ring, context, fence, number, process } = guilty;
    write!(out, "{{\"ring\":{ring},\"context\":{context},\"fence\":{},\"number\":{number}", name(fence))?;
    if let Some(process) = process {
        write!(out, ",\"process\":{{\"pid\":{},\"name\":{}}}", process.pid, name(process.name))?;
    }
    write!(out, "}}")
}

/// What registers read that begin at `base`.
pub(super) fn registers(out: &mut dyn Write, base: u64, block: &[Register], read: &[Option<u32>]) -> fmt::Result {
    let mut comma = Comma::new();
    for (register, value) in block.iter().zip(read) {
        comma.write(out)?;
        let offset = base.saturating_add(register.offset);
        write!(out, "{{\"name\":{},\"offset\":{offset},\"value\":{}}}", name(register.name), Known(*value))?;
    }
    Ok(())
}

/// What the registers of a ring read.
pub(super) fn ring_registers(out: &mut dyn Write, state: &impl State, ring: &Ring<'_>) -> fmt::Result {
    let layout = state.layout();
    registers(out, (layout.ring_at)(ring.number), layout.ring, ring.registers.unwrap_or_default())
}

fn rings(out: &mut dyn Write, state: &impl State, plan: &Plan, left_out: &mut LeftOut) -> fmt::Result {
    let layout = state.layout();
    let first = first(state);
    let mut portions = Portions::new(plan.entries, places(state));
    let mut portion = |ring: &Ring<'_>| portions.next(Place::of(ring, layout));
    let of_first = state.rings().nth(first).map_or(Window::NONE, |ring| portion(&ring));
    let mut comma = Comma::new();
    for (index, ring) in state.rings().enumerate() {
        let window = if index == first { of_first } else { portion(&ring) };
        comma.write(out)?;
        ring_head(out, &ring, layout)?;
        if rank(index, first) < plan.rings {
            ring_registers(out, state, &ring)?;
        } else {
            left_out.registers += ring.registers.map_or(0, |read| read.len() as u64);
        }
        write!(out, "],\"descriptors\":[")?;
        left_out.descriptors += u64::from(window.left_out) + entries(out, state, &ring, window)?;
        write!(out, "]}}")?;
    }
    Ok(())
}

/// A ring, up to its registers.
fn ring_head(out: &mut dyn Write, ring: &Ring<'_>, layout: &Layout) -> fmt::Result {
    let [head, tail, seqno] = ring.head_tail_seqno(layout).map(Known);
    let (issued, completed) = (Known(ring.issued), Known(ring.completed));
    write!(out, "{{\"ring\":{},\"size\":{},\"head\":{head},\"tail\":{tail},\"seqno\":{seqno}", ring.number, ring.size)?;
    write!(out, ",\"issued\":{issued},\"completed\":{completed},\"registers\":[")
}

/// Entries of a ring. Returns how many of those from the head on were not captured.
fn entries(out: &mut dyn Write, state: &impl State, ring: &Ring<'_>, window: Window) -> Result<u64, fmt::Error> {
    let mut memory = [0; Layout::MOST_ENTRY_BYTES];
    let bytes = memory.get_mut(..state.layout().entry_bytes).unwrap_or_default();
    let mut left_out = 0;
    let mut comma = Comma::new();
    for (at, index) in window.indices().enumerate() {
        let entry = state.entry(ring.number, index, bytes);
        if entry == Entry::LeftOut {
            left_out += u64::from(at >= window.passed());
            continue;
        }
        comma.write(out)?;
        write!(out, "{{\"index\":{index},\"bytes\":")?;
        match entry {
            Entry::Read => write!(out, "\"{}\"}}", Hex(bytes))?,
            _ => write!(out, "null}}")?,
        }
    }
    Ok(left_out)
}

pub(super) fn job(out: &mut dyn Write, job: &Job<'_>) -> fmt::Result {
    let Job { ring, queue, context, seqno, waits, commands, fence, number, age_us } = job;
    write!(out, "{{\"ring\":{ring},\"queue\":{queue},\"context\":{context},\"seqno\":{}", Known(*seqno))?;
    write!(out, ",\"waits\":{waits},\"commands\":{commands},\"fence\":{}", name(fence))?;
    write!(out, ",\"number\":{number},\"age_us\":{age_us}}}")
}

/// A string that cannot be too long.
fn name<T: fmt::Display>(text: T) -> Quoted<T> {
    Quoted { text, most: LONGEST_NAME }
}

/// The comma before each element but the first.
struct Comma {
    is_first: bool,
}

impl Comma {
    fn new() -> Self {
        Self { is_first: true }
    }

    fn write(&mut self, out: &mut dyn Write) -> fmt::Result {
        if core::mem::replace(&mut self.is_first, false) {
            Ok(())
        } else {
            out.write_char(',')
        }
    }
}
