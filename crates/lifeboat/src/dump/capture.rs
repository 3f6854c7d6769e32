//! The state of a device, in memory that is there already. Nothing in here allocates but [`Capture::new`] and
//! [`Capture::dump`].

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lifeboat_core::minor::Minor;
use lifeboat_core::sched::{RingIndex, RingNumbers, Unfinished};
use lifeboat_driver::dump::{Layout, Register, read};
use lifeboat_driver::{Driver as _, Facts};
use lifeboat_pci::DmaMemory;

use super::format::{
    About, Descriptor, Driver, Dump, Guilty, LeftOut, PendingJob, Reason, RegisterValue, RingState, Taken,
};
use crate::fence::{Timeline, Unsignalled};
use crate::hardware::Mapped;
use crate::link::Link;
use crate::sched::Events;
use crate::sched::Held;
use crate::subsystem::{AboutJob, Job as _, Subsystem};

/// The least that a dump may be limited to, in bytes: it holds the reason, and what was left out.
const LEAST: usize = 4096;

// Upper bounds of what things take in a file, in bytes; a test fills dumps of many sizes.
/// All that is there once, the location at its longest.
const BASE: usize = 1024;
/// A ring, without what is in lists.
const RING_COST: usize = 256;
const REGISTER: usize = 90;
const JOB: usize = 250;

/// Of a location.
const LOCATION: usize = 64;
/// Descriptors behind the head that are shown, too: what the ring did last.
const PASSED: u32 = 2;

/// What there is to be captured.
pub(super) struct Source<S: Subsystem> {
    pub(super) link: Arc<Link>,
    pub(super) events: Events<S::Job>,
    pub(super) rings: Box<[RingMemory]>,
    pub(super) minor: Minor,
    pub(super) location: String,
    pub(super) bound: Instant,
    /// Bytes of a dump.
    pub(super) limit: usize,
}

/// Where a ring's entries are.
pub(crate) struct RingMemory {
    pub(crate) number: u8,
    pub(crate) entries: u32,
    pub(crate) credits: u32,
    pub(crate) memory: Mapped,
}

pub(super) struct Capture {
    about: &'static Facts,
    reason: Reason,
    at: SystemTime,
    since_bind: Duration,
    device: Block,
    rings: Box<[Ring]>,
    jobs: Vec<Pending>,
    /// Which of `jobs`.
    guilty: Option<usize>,
    descriptors: Vec<Raw>,
    left_out: LeftOut,
    /// The room that is left while it is filled.
    budget: Budget,
}

struct Ring {
    number: u8,
    size: u32,
    numbers: Option<RingNumbers>,
    block: Block,
}

/// Registers that belong together.
struct Block {
    registers: &'static [Register],
    /// What they read; `None` for one that could not be read, or was not because the device is
    /// gone.
    read: Box<[Option<u32>]>,
    /// Whether that is to be written: there was room, and somebody to ask.
    shown: bool,
}

struct Pending {
    ring: u8,
    queue: u32,
    context: u8,
    seqno: Option<u32>,
    waits: u32,
    commands: u32,
    timeline: Option<Timeline>,
    number: u64,
    age: Duration,
}

struct Raw {
    ring: u8,
    index: u32,
    /// Of which a layout says how many there are.
    bytes: Option<[u8; Layout::MOST_ENTRY_BYTES]>,
}

/// What room is left.
struct Budget(usize);

/// The indices of the rings. The ring that the dump is about comes before the others.
fn in_order(rings: &[Ring], reason: Reason) -> impl Iterator<Item = usize> + use<> {
    let first = rings.iter().position(|ring| Some(ring.number) == reason.ring()).unwrap_or(0);
    let count = rings.len();
    (0..count).map(move |step| (first + step) % count)
}

impl Budget {
    /// Room for so many things of a cost.
    fn holds(&self, cost: usize) -> usize {
        self.0 / cost
    }

    fn take(&mut self, count: usize, cost: usize) -> bool {
        let left = self.0.checked_sub(count.saturating_mul(cost));
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

impl Block {
    fn new(registers: &'static [Register]) -> Self {
        Self { registers, read: vec![None; registers.len()].into(), shown: false }
    }

    /// Begins anew; `shown` if there is room for it and somebody to ask.
    fn plan(&mut self, shown: bool) {
        self.read.fill(None);
        self.shown = shown;
    }

    /// For people and files. The registers begin at `base`.
    fn values(&self, base: u64) -> Vec<RegisterValue> {
        let read = self.registers.iter().zip(&self.read).filter(|_| self.shown);
        let value = |(register, value): (&Register, &Option<u32>)| RegisterValue {
            name: register.name.to_owned(),
            offset: base + register.offset,
            value: *value,
        };
        read.map(value).collect()
    }
}

/// What an entry of a ring takes in a file, in bytes.
const fn entry_cost(layout: &Layout) -> usize {
    2 * layout.entry_bytes + 40
}

impl Capture {
    /// Room for all that a dump of this source may have.
    pub(super) fn new<S: Subsystem>(source: &Source<S>) -> Self {
        let about = &S::Driver::FACTS;
        let layout = &about.dump;
        let limit = source.limit.clamp(LEAST, Dump::LARGEST);
        let rings = source.rings.iter().map(|ring| Ring {
            number: ring.number,
            size: ring.entries,
            numbers: None,
            block: Block::new(layout.ring),
        });
        Self {
            about,
            reason: Reason::ByHand,
            at: SystemTime::UNIX_EPOCH,
            since_bind: Duration::ZERO,
            device: Block::new(layout.device),
            rings: rings.collect(),
            jobs: Vec::with_capacity(limit / JOB),
            guilty: None,
            descriptors: Vec::with_capacity(limit / entry_cost(layout)),
            left_out: LeftOut::default(),
            budget: Budget(0),
        }
    }

    /// Captures the state as it is now. The most important comes first: registers, jobs, descriptors; of these those of the
    /// ring that the reason is about.
    pub(super) fn fill<S: Subsystem>(&mut self, source: &Source<S>, reason: Reason) {
        self.begin(source, reason);
        self.read(source, || true);
    }

    /// The first part: the jobs, and what there is room for. Asks the device nothing.
    pub(super) fn begin<S: Subsystem>(&mut self, source: &Source<S>, reason: Reason) {
        self.reason = reason;
        self.at = SystemTime::now();
        self.since_bind = source.bound.elapsed();
        self.guilty = None;
        self.jobs.clear();
        self.descriptors.clear();
        self.left_out = LeftOut::default();
        self.budget =
            Budget(source.limit.clamp(LEAST, Dump::LARGEST).saturating_sub(BASE + self.rings.len() * RING_COST));
        self.plan();
        self.jobs(source);
    }

    /// The second part: registers, and what the rings hold.
    pub(super) fn read<S: Subsystem>(&mut self, source: &Source<S>, go_on: impl Fn() -> bool) {
        self.registers(source, go_on);
        self.descriptors(source);
    }

    /// Instead of the second part: the device does not answer.
    pub(super) fn nothing_to_read(&mut self) {
        self.reason = Reason::Lost;
        self.left_out.registers = 0;
        self.device.plan(false);
        for ring in &mut self.rings {
            ring.block.plan(false);
        }
    }

    /// Which registers there is room for.
    fn plan(&mut self) {
        // A dead device costs no reads beyond the one that finds it so.
        if self.reason == Reason::Lost {
            self.device.plan(false);
            self.rings.iter_mut().for_each(|ring| ring.block.plan(false));
            return;
        }
        let Self { budget, left_out, .. } = self;
        let mut plan = |block: &mut Block| {
            let count = block.registers.len();
            let shown = budget.take(count, REGISTER);
            block.plan(shown);
            left_out.registers += if shown { 0 } else { count as u64 };
        };
        plan(&mut self.device);
        for at in in_order(&self.rings, self.reason) {
            plan(&mut self.rings[at].block);
        }
    }

    /// A section for each block, so that an unplug waits for one at most.
    fn registers<S: Subsystem>(&mut self, source: &Source<S>, go_on: impl Fn() -> bool) {
        let mut there = self.reason != Reason::Lost;
        let mut ask = |base, block: &mut Block| {
            let Block { registers, read: into, .. } = block;
            there = there && source.link.io(|io| read::<S::Driver>(io, base, registers, into, &go_on)).is_ok();
        };
        if self.device.shown {
            ask(0, &mut self.device);
        }
        for at in in_order(&self.rings, self.reason) {
            let ring = &mut self.rings[at];
            // Also if there is no room for them: they say which entries matter.
            ask((self.about.dump.ring_at)(ring.number), &mut ring.block);
        }
    }

    /// At most half of the room, so that there is some for what the rings hold.
    fn jobs<S: Subsystem>(&mut self, source: &Source<S>) {
        let room = self.budget.holds(JOB).div_ceil(2).min(self.jobs.capacity());
        let now = Instant::now();
        source.events.inspect(|core| {
            for ring in &mut self.rings {
                ring.numbers = core.numbers(RingIndex(ring.number));
            }
            let on_ring = |at: usize| core.on_ring(RingIndex(self.rings[at].number));
            let oldest = in_order(&self.rings, self.reason).filter_map(|at| on_ring(at).next());
            let others = in_order(&self.rings, self.reason).flat_map(|at| on_ring(at).skip(1));
            for job in oldest.chain(others).chain(core.waiting()) {
                if self.jobs.len() == room {
                    self.left_out.jobs += 1;
                    continue;
                }
                if job.suspect && self.guilty.is_none() {
                    self.guilty = Some(self.jobs.len());
                }
                self.jobs.push(Pending::of::<S>(&job, now));
            }
        });
        self.budget.take(self.jobs.len(), JOB);
    }

    fn descriptors<S: Subsystem>(&mut self, source: &Source<S>) {
        let layout = &self.about.dump;
        let mut room = self.budget.holds(entry_cost(layout)).min(self.descriptors.capacity());
        let mut rings_left = self.rings.len();
        for at in in_order(&self.rings, self.reason) {
            // The one that matters most may have what is there, but for one each for the others.
            let share =
                if rings_left == self.rings.len() { room.saturating_sub(rings_left - 1) } else { room / rings_left };
            rings_left -= 1;
            let ring = &self.rings[at];
            let [head, tail, _] = ring.head_tail_seqno(layout);
            let memory = source.rings.iter().find(|memory| memory.number == ring.number);
            let (Some(memory), Some(head), Some(tail)) = (memory, head, tail) else { continue };
            // What the device says is taken for no index.
            let (head, tail) = (head % ring.size, tail % ring.size);
            let between = (tail + ring.size - head) % ring.size;
            let share = u32::try_from(share).unwrap_or(u32::MAX);
            let ahead = between.min(share);
            let passed = PASSED.min(share - ahead).min(ring.size - 1 - between);
            self.left_out.descriptors += u64::from(between - ahead);
            for step in 0..passed + ahead {
                let index = (head + ring.size - passed + step) % ring.size;
                let mut bytes = [0; Layout::MOST_ENTRY_BYTES];
                let entry = &mut bytes[..layout.entry_bytes];
                let read = memory.memory.read(u64::from(index) * layout.entry_bytes as u64, entry);
                self.descriptors.push(Raw { ring: ring.number, index, bytes: read.ok().map(|()| bytes) });
                room -= 1;
            }
        }
    }

    /// What was captured, for people and files.
    pub(super) fn dump<S: Subsystem>(&self, source: &Source<S>) -> Dump {
        Dump {
            driver: Driver { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            device: About {
                model: self.about.model.to_owned(),
                minor: source.minor.0,
                location: short(&source.location),
            },
            taken: Taken {
                utc: utc(self.at),
                since_bind_ms: u64::try_from(self.since_bind.as_millis()).unwrap_or(u64::MAX),
            },
            reason: self.reason,
            guilty: self.guilty.and_then(|at| self.jobs.get(at)).map(Pending::guilty),
            registers: self.device.values(0),
            rings: self.rings.iter().map(|ring| self.ring(ring)).collect(),
            jobs: self.jobs.iter().map(Pending::job).collect(),
            left_out: self.left_out,
        }
    }

    fn ring(&self, ring: &Ring) -> RingState {
        let descriptors = self.descriptors.iter().filter(|raw| raw.ring == ring.number);
        let layout = &self.about.dump;
        let [head, tail, seqno] = ring.head_tail_seqno(layout);
        RingState {
            ring: ring.number,
            size: ring.size,
            head,
            tail,
            seqno,
            issued: ring.numbers.map(|numbers| numbers.issued.value()),
            completed: ring.numbers.map(|numbers| numbers.completed.value()),
            registers: ring.block.values((layout.ring_at)(ring.number)),
            descriptors: descriptors
                .map(|raw| Descriptor {
                    index: raw.index,
                    bytes: raw.bytes.as_ref().map(|bytes| hex(&bytes[..layout.entry_bytes])),
                })
                .collect(),
        }
    }
}

impl Ring {
    /// What these registers read.
    fn head_tail_seqno(&self, layout: &Layout) -> [Option<u32>; 3] {
        layout.head_tail_seqno.map(|at| self.block.read.get(at).copied().flatten())
    }
}

impl Pending {
    /// Only references are counted up: nothing is allocated, and nothing dropped.
    fn of<S: Subsystem>(job: &Unfinished<'_, Unsignalled, Held<S::Job>>, now: Instant) -> Self {
        let AboutJob { context, commands, submitted } = job.payload.job.about();
        Self {
            ring: job.ring.0,
            queue: job.queue,
            context,
            seqno: job.seqno.map(lifeboat_core::fence::Seqno::value),
            waits: job.waits,
            commands,
            timeline: job.fence.timeline().cloned(),
            number: job.fence.seqno().unwrap_or(0),
            age: now.saturating_duration_since(submitted),
        }
    }

    fn fence(&self) -> String {
        self.timeline.as_ref().map(Timeline::name).unwrap_or_default()
    }

    fn guilty(&self) -> Guilty {
        Guilty { ring: self.ring, context: self.context, fence: self.fence(), number: self.number, process: None }
    }

    fn job(&self) -> PendingJob {
        let &Self { ring, queue, context, seqno, waits, commands, number, .. } = self;
        let age_us = u64::try_from(self.age.as_micros()).unwrap_or(u64::MAX);
        PendingJob { ring, queue, context, seqno, waits, commands, fence: self.fence(), number, age_us }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The beginning, without what a file would have to write as several characters.
fn short(location: &str) -> String {
    let plain = location.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { ' ' });
    plain.take(LOCATION).collect()
}

fn utc(at: SystemTime) -> String {
    let mut text = String::new();
    // A clock may say anything; there is a way to write it for some thousand years.
    match write!(text, "{}", humantime::format_rfc3339_millis(at.max(SystemTime::UNIX_EPOCH))) {
        Ok(()) => text,
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_driver::Facts;
    use serde::Serialize;

    use super::*;

    /// With the comma behind it.
    fn length(thing: &impl Serialize) -> usize {
        serde_json::to_vec(thing).unwrap().len() + 1
    }

    #[test]
    fn wedge_4_nothing_takes_more_of_a_file_than_it_is_counted_as() {
        let number = Some(u32::MAX);
        let register = RegisterValue { name: "N".repeat(Layout::MOST_NAME_BYTES), offset: u64::MAX, value: number };
        assert!(length(&register) <= REGISTER, "{}", length(&register));
        let layout = Layout { entry_bytes: Layout::MOST_ENTRY_BYTES, ..Layout::of(&[]) };
        let bytes = Some(hex(&[0xff; Layout::MOST_ENTRY_BYTES]));
        assert!(length(&Descriptor { index: u32::MAX, bytes }) <= entry_cost(&layout));
        // As `base::name` and `Queue::open` make it.
        let fence = format!("lifeboat{0}/ring{1}.queue{0}", u32::MAX, u8::MAX);
        let (ring, queue, context) = (u8::MAX, u32::MAX, u8::MAX);
        let (waits, commands, age_us) = (u32::MAX, u32::MAX, u64::MAX);
        let job = PendingJob {
            ring,
            queue,
            context,
            seqno: number,
            waits,
            commands,
            fence: fence.clone(),
            number: u64::MAX,
            age_us,
        };
        assert!(length(&job) <= JOB, "{}", length(&job));
        let state = RingState {
            ring,
            size: u32::MAX,
            head: number,
            tail: number,
            seqno: number,
            issued: number,
            completed: number,
            registers: Vec::new(),
            descriptors: Vec::new(),
        };
        assert!(length(&state) <= RING_COST, "{}", length(&state));
        let nothing = Dump {
            driver: Driver { name: "lifeboat".to_owned(), version: "4294967295.4294967295.4294967295".to_owned() },
            device: About {
                model: "M".repeat(Facts::MOST_MODEL_BYTES),
                minor: u32::MAX,
                location: short(&"\"\u{fe}\n\\".repeat(100)),
            },
            taken: Taken { utc: utc(SystemTime::now()), since_bind_ms: u64::MAX },
            reason: Reason::JobTimeout { ring },
            guilty: Some(Guilty { ring, context, fence, number: u64::MAX, process: None }),
            registers: Vec::new(),
            rings: Vec::new(),
            jobs: Vec::new(),
            left_out: LeftOut { registers: u64::MAX, descriptors: u64::MAX, jobs: u64::MAX },
        };
        let mut file = Vec::new();
        nothing.write(&mut file).unwrap();
        assert!(file.len() <= BASE, "{}", file.len());
    }
}
