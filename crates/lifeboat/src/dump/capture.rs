//! The state of a device, in memory that is there already. Nothing in here allocates but [`Capture::new`] and
//! [`Capture::dump`].

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lifeboat_core::sched::{RingIndex, RingNumbers, Unfinished};
use lifeboat_lb1::command::DESCRIPTOR_BYTES;
use lifeboat_lb1::dump::{DEVICE, RING, Register, Values, value};
use lifeboat_lb1::regs;
use lifeboat_pci::DmaMemory;

use super::format::{
    About, Descriptor, Driver, Dump, Guilty, LeftOut, PendingJob, Reason, RegisterValue, RingState, Taken,
};
use crate::fence::{Timeline, Unsignalled};
use crate::hardware::Mapped;
use crate::link::Link;
use crate::sched::Events;
use crate::sched::Held;
use crate::submit::Job;

/// The least that a dump may be limited to, in bytes: it holds the reason, and what was left out.
const LEAST: usize = 4096;

// Upper bounds of what things take in a file, in bytes; a test fills dumps of many sizes.
/// All that is there once, the location at its longest.
const BASE: usize = 1024;
/// A ring, without what is in lists.
const RING_COST: usize = 256;
const REGISTER: usize = 66;
const DESCRIPTOR: usize = 2 * DESCRIPTOR_BYTES + 40;
const JOB: usize = 250;

/// Of a location.
const LOCATION: usize = 64;
/// Descriptors behind the head that are shown, too: what the ring did last.
const PASSED: u32 = 2;

/// What there is to be captured.
pub(super) struct Source {
    pub(super) link: Arc<Link>,
    pub(super) events: Events<Job>,
    pub(super) rings: Box<[RingMemory]>,
    pub(super) minor: u32,
    pub(super) location: String,
    pub(super) bound: Instant,
    /// Bytes of a dump.
    pub(super) limit: usize,
}

/// Where a ring's descriptors are.
pub(crate) struct RingMemory {
    pub(crate) number: u8,
    /// Descriptors.
    pub(crate) size: u32,
    pub(crate) memory: Mapped,
}

pub(super) struct Capture {
    reason: Reason,
    at: SystemTime,
    since_bind: Duration,
    /// `None` if there was no room, or nothing to ask.
    device: Option<Values<{ DEVICE.len() }>>,
    rings: Box<[Ring]>,
    jobs: Vec<Pending>,
    /// Which of `jobs`.
    guilty: Option<usize>,
    descriptors: Vec<Raw>,
    left_out: LeftOut,
    /// The room that is left while it is filled.
    budget: Budget,
}

#[derive(Clone, Copy)]
struct Ring {
    number: u8,
    size: u32,
    numbers: Option<RingNumbers>,
    /// What it reads.
    read: Values<{ RING.len() }>,
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
    bytes: Option<[u8; DESCRIPTOR_BYTES]>,
}

/// What room is left.
struct Budget(usize);

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

impl Capture {
    /// Room for all that a dump of this source may have.
    pub(super) fn new(source: &Source) -> Self {
        let limit = source.limit.clamp(LEAST, Dump::LARGEST);
        let rings = source.rings.iter().map(|ring| Ring {
            number: ring.number,
            size: ring.size,
            numbers: None,
            read: [None; RING.len()],
            shown: false,
        });
        Self {
            reason: Reason::ByHand,
            at: SystemTime::UNIX_EPOCH,
            since_bind: Duration::ZERO,
            device: None,
            rings: rings.collect(),
            jobs: Vec::with_capacity(limit / JOB),
            guilty: None,
            descriptors: Vec::with_capacity(limit / DESCRIPTOR),
            left_out: LeftOut::default(),
            budget: Budget(0),
        }
    }

    /// Captures the state as it is now. The most important comes first: registers, jobs, descriptors; of these those of the
    /// ring that the reason is about.
    pub(super) fn fill(&mut self, source: &Source, reason: Reason) {
        self.begin(source, reason);
        self.read(source, || true);
    }

    /// The first part: the jobs, and what there is room for. Asks the device nothing.
    pub(super) fn begin(&mut self, source: &Source, reason: Reason) {
        self.reason = reason;
        self.at = SystemTime::now();
        self.since_bind = source.bound.elapsed();
        self.device = None;
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
    pub(super) fn read(&mut self, source: &Source, go_on: impl Fn() -> bool) {
        self.registers(source, go_on);
        self.descriptors(source);
    }

    /// Instead of the second part: the device does not answer.
    pub(super) fn nothing_to_read(&mut self) {
        self.reason = Reason::Lost;
        self.device = None;
        self.left_out.registers = 0;
        for ring in &mut self.rings {
            ring.shown = false;
        }
    }

    /// The ring that this is about comes before the others.
    fn in_order(&self) -> impl Iterator<Item = usize> + use<> {
        let first = self.rings.iter().position(|ring| Some(ring.number) == self.reason.ring()).unwrap_or(0);
        let count = self.rings.len();
        (0..count).map(move |step| (first + step) % count)
    }

    /// Which registers there is room for.
    fn plan(&mut self) {
        // A dead device costs no reads beyond the one that finds it so.
        let asked = self.reason != Reason::Lost;
        if asked && self.budget.take(DEVICE.len(), REGISTER) {
            self.device = Some([None; DEVICE.len()]);
        } else if asked {
            self.left_out.registers += DEVICE.len() as u64;
        }
        for at in self.in_order() {
            let ring = &mut self.rings[at];
            ring.read = [None; RING.len()];
            ring.shown = asked && self.budget.take(RING.len(), REGISTER);
            if asked && !ring.shown {
                self.left_out.registers += RING.len() as u64;
            }
        }
    }

    /// A section for each block, so that an unplug waits for one at most.
    fn registers(&mut self, source: &Source, go_on: impl Fn() -> bool) {
        let mut there = self.reason != Reason::Lost;
        if let Some(read) = self.device.as_mut().filter(|_| there) {
            there = source.link.registers(|lb1, _| lb1.dump_device(read, &go_on)).is_ok();
        }
        for at in self.in_order() {
            let ring = &mut self.rings[at];
            // Also if there is no room for them: they say which descriptors matter.
            let (number, read) = (ring.number, &mut ring.read);
            there = there && source.link.registers(|lb1, _| lb1.dump_ring(number, read, &go_on)).is_ok();
        }
    }

    /// At most half of the room, so that there is some for what the rings hold.
    fn jobs(&mut self, source: &Source) {
        let room = self.budget.holds(JOB).div_ceil(2).min(self.jobs.capacity());
        let now = Instant::now();
        source.events.inspect(|core| {
            for ring in &mut self.rings {
                ring.numbers = core.numbers(RingIndex(ring.number));
            }
            let on_ring = |at: usize| core.on_ring(RingIndex(self.rings[at].number));
            let oldest = self.in_order().filter_map(|at| on_ring(at).next());
            let others = self.in_order().flat_map(|at| on_ring(at).skip(1));
            for job in oldest.chain(others).chain(core.waiting()) {
                if self.jobs.len() == room {
                    self.left_out.jobs += 1;
                    continue;
                }
                if job.suspect && self.guilty.is_none() {
                    self.guilty = Some(self.jobs.len());
                }
                self.jobs.push(Pending::of(&job, now));
            }
        });
        self.budget.take(self.jobs.len(), JOB);
    }

    fn descriptors(&mut self, source: &Source) {
        let mut room = self.budget.holds(DESCRIPTOR).min(self.descriptors.capacity());
        let mut rings_left = self.rings.len();
        for at in self.in_order() {
            // The one that matters most may have what is there, but for one each for the others.
            let share =
                if rings_left == self.rings.len() { room.saturating_sub(rings_left - 1) } else { room / rings_left };
            rings_left -= 1;
            let ring = self.rings[at];
            let memory = source.rings.iter().find(|memory| memory.number == ring.number);
            let (Some(memory), Some(head), Some(tail)) = (memory, ring.reads("RING_HEAD"), ring.reads("RING_TAIL"))
            else {
                continue;
            };
            // What the device says is taken for no index.
            let (head, tail) = (head % ring.size, tail % ring.size);
            let between = (tail + ring.size - head) % ring.size;
            let share = u32::try_from(share).unwrap_or(u32::MAX);
            let ahead = between.min(share);
            let passed = PASSED.min(share - ahead).min(ring.size - 1 - between);
            self.left_out.descriptors += u64::from(between - ahead);
            for step in 0..passed + ahead {
                let index = (head + ring.size - passed + step) % ring.size;
                let mut bytes = [0; DESCRIPTOR_BYTES];
                let read = memory.memory.read(u64::from(index) * DESCRIPTOR_BYTES as u64, &mut bytes);
                self.descriptors.push(Raw { ring: ring.number, index, bytes: read.ok().map(|()| bytes) });
                room -= 1;
            }
        }
    }

    /// What was captured, for people and files.
    pub(super) fn dump(&self, source: &Source) -> Dump {
        Dump {
            driver: Driver { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            device: About { model: "LB1".to_owned(), minor: source.minor, location: short(&source.location) },
            taken: Taken {
                utc: utc(self.at),
                since_bind_ms: u64::try_from(self.since_bind.as_millis()).unwrap_or(u64::MAX),
            },
            reason: self.reason,
            guilty: self.guilty.and_then(|at| self.jobs.get(at)).map(Pending::guilty),
            registers: self.device.iter().flat_map(|read| registers(0, &DEVICE, read)).collect(),
            rings: self.rings.iter().map(|ring| self.ring(ring)).collect(),
            jobs: self.jobs.iter().map(Pending::job).collect(),
            left_out: self.left_out,
        }
    }

    fn ring(&self, ring: &Ring) -> RingState {
        let descriptors = self.descriptors.iter().filter(|raw| raw.ring == ring.number);
        let shown = ring.shown.then_some(&ring.read);
        RingState {
            ring: ring.number,
            size: ring.size,
            head: ring.reads("RING_HEAD"),
            tail: ring.reads("RING_TAIL"),
            seqno: ring.reads("RING_SEQNO"),
            issued: ring.numbers.map(|numbers| numbers.issued.value()),
            completed: ring.numbers.map(|numbers| numbers.completed.value()),
            registers: shown.into_iter().flat_map(|read| registers(regs::ring(ring.number, 0), &RING, read)).collect(),
            descriptors: descriptors
                .map(|raw| Descriptor { index: raw.index, bytes: raw.bytes.as_ref().map(|bytes| hex(bytes)) })
                .collect(),
        }
    }
}

impl Ring {
    fn reads(&self, register: &str) -> Option<u32> {
        value(&RING, &self.read, register)
    }
}

impl Pending {
    /// Only references are counted up: nothing is allocated, and nothing dropped.
    fn of(job: &Unfinished<'_, Unsignalled, Held<Job>>, now: Instant) -> Self {
        Self {
            ring: job.ring.0,
            queue: job.queue,
            context: job.payload.job.context.id.0,
            seqno: job.seqno.map(lifeboat_core::fence::Seqno::value),
            waits: job.waits,
            commands: u32::try_from(job.payload.job.commands.len()).unwrap_or(u32::MAX),
            timeline: job.fence.timeline().cloned(),
            number: job.fence.seqno().unwrap_or(0),
            age: now.saturating_duration_since(job.payload.job.submitted),
        }
    }

    fn fence(&self) -> String {
        self.timeline.as_ref().map(Timeline::name).unwrap_or_default()
    }

    fn guilty(&self) -> Guilty {
        Guilty { ring: self.ring, context: self.context, fence: self.fence(), number: self.number }
    }

    fn job(&self) -> PendingJob {
        let &Self { ring, queue, context, seqno, waits, commands, number, .. } = self;
        let age_us = u64::try_from(self.age.as_micros()).unwrap_or(u64::MAX);
        PendingJob { ring, queue, context, seqno, waits, commands, fence: self.fence(), number, age_us }
    }
}

fn registers(base: u64, block: &[Register], read: &[Option<u32>]) -> impl Iterator<Item = RegisterValue> {
    block.iter().zip(read).map(move |(register, value)| RegisterValue {
        name: register.name.to_owned(),
        offset: base + register.offset,
        value: *value,
    })
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
    use serde::Serialize;

    use super::*;

    /// With the comma behind it.
    fn length(thing: &impl Serialize) -> usize {
        serde_json::to_vec(thing).unwrap().len() + 1
    }

    #[test]
    fn wedge_4_nothing_takes_more_of_a_file_than_it_is_counted_as() {
        let number = Some(u32::MAX);
        let names = DEVICE.iter().chain(&RING).map(|register| register.name.to_owned());
        for name in names {
            let offset = regs::ring(regs::MAX_RINGS - 1, regs::RING_FAULT_ADDR_HI);
            assert!(length(&RegisterValue { name, offset, value: number }) <= REGISTER);
        }
        let bytes = Some(hex(&[0xff; DESCRIPTOR_BYTES]));
        assert!(length(&Descriptor { index: 1 << regs::RING_ORDER_MAX, bytes }) <= DESCRIPTOR);
        // As `device::name` and `Queue::open` make it.
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
            device: About { model: "LB1".to_owned(), minor: u32::MAX, location: short(&"\"\u{fe}\n\\".repeat(100)) },
            taken: Taken { utc: utc(SystemTime::now()), since_bind_ms: u64::MAX },
            reason: Reason::JobTimeout { ring },
            guilty: Some(Guilty { ring, context, fence, number: u64::MAX }),
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
