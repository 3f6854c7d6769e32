// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The state of a device, in memory that was set aside at probe. Nothing in here allocates but
//! [`Capture::new`].

use core::time::Duration;

use kernel::{
    prelude::*,
    time::{ClockSource, RealTime},
};
use lifeboat_core::sched::RingNumbers;
use lifeboat_driver::{
    dump::{by_rank, entry_cost, read, Entry, Layout, Place, Portions, Reason, Ring as ShownRing, Utc},
    Driver,
};
use lifeboat_jobqueue::{FenceName, Hardware, Pending, Unfinished};

use super::outbox::LIMIT;
use super::subject::Subject;
use crate::clock::Clock;
use crate::job::Job;
use crate::opener::Opener;
use crate::registration::Driven;
use crate::ring;

/// The registers that are captured, and what an entry of a ring is.
pub(super) const LAYOUT: &Layout = &Driven::FACTS.dump;

/// Jobs that are captured: more than a dump has room for beside the rest.
const JOBS: usize = LIMIT / 2 / 160;
/// Entries that are captured: no more have room in a dump.
const ENTRIES: usize = LIMIT / entry_cost(LAYOUT);

/// See the module documentation.
pub(super) struct Capture {
    /// Of the device that it was set aside for.
    pub(super) info: <Driven as Driver>::Info,
    /// The number of the card's node.
    pub(super) minor: u32,
    pub(super) reason: Reason,
    pub(super) at: Utc,
    pub(super) since_bind: Duration,
    /// Whether the device was asked.
    pub(super) is_read: bool,
    /// What the device's registers read; `None` for one that could not be read.
    pub(super) registers: KVec<Option<u32>>,
    pub(super) rings: KVec<Ring>,
    pub(super) jobs: KVVec<PendingJob>,
    pub(super) jobs_left_out: u64,
    /// Index in `jobs`, and the program that this job is of.
    pub(super) guilty: Option<(usize, Option<Opener>)>,
    entries: KVVec<RawEntry>,
}

/// A ring.
pub(super) struct Ring {
    number: u8,
    size: u32,
    numbers: Option<RingNumbers>,
    /// As the device's.
    registers: KVec<Option<u32>>,
}

/// A job that had not ended.
pub(super) struct PendingJob {
    pub(super) ring: u8,
    pub(super) queue: u32,
    pub(super) context: u8,
    pub(super) seqno: Option<u32>,
    pub(super) waits: u32,
    pub(super) commands: u32,
    pub(super) fence: FenceName,
    pub(super) age_us: u64,
}

struct RawEntry {
    ring: u8,
    index: u32,
    is_read: bool,
    bytes: [u8; LAYOUT.entry_bytes],
}

impl Capture {
    /// Room for all that a dump may have of such a device.
    pub(super) fn new(info: &<Driven as Driver>::Info) -> Result<KBox<Self>> {
        let mut rings = KVec::new();
        for number in 0..Driven::rings(info) {
            let registers = KVec::from_elem(None, LAYOUT.ring.len(), GFP_KERNEL)?;
            rings.push(Ring { number, size: ring::entries(info, number), numbers: None, registers }, GFP_KERNEL)?;
        }
        Ok(KBox::new(
            Self {
                info: *info,
                minor: 0,
                reason: Reason::ByHand,
                at: Utc(Duration::ZERO),
                since_bind: Duration::ZERO,
                is_read: false,
                registers: KVec::from_elem(None, LAYOUT.device.len(), GFP_KERNEL)?,
                rings,
                jobs: KVVec::with_capacity(JOBS, GFP_KERNEL)?,
                jobs_left_out: 0,
                guilty: None,
                entries: KVVec::with_capacity(ENTRIES, GFP_KERNEL)?,
            },
            GFP_KERNEL,
        )?)
    }

    /// The first part: what the driver knows itself. Asks the device nothing.
    pub(super) fn begin(&mut self, device: &impl Subject, reason: Reason, minor: u32, bound: &Clock) {
        (self.reason, self.minor) = (reason, minor);
        self.at = Utc(Duration::from_nanos(u64::try_from(RealTime::ktime_get()).unwrap_or(0)));
        self.since_bind = bound.elapsed();
        self.is_read = false;
        self.entries.clear();
        device.engine().unfinished(|unfinished| self.take_jobs(unfinished));
    }

    /// The second part: registers, and what the rings hold. Asks no more once `go_on` says no.
    pub(super) fn read(&mut self, device: &impl Subject, go_on: impl Fn() -> bool) {
        self.is_read = true;
        // A section for each block, so that the cut waits for one at most. A device that turns out
        // to be gone is not asked again.
        let mut is_there = true;
        let mut ask = |base, block, into: &mut [Option<u32>]| {
            into.fill(None);
            is_there = is_there && device.link().io(|io| read::<Driven>(io, base, block, into, &go_on)).is_ok();
        };
        ask(0, LAYOUT.device, &mut self.registers);
        let (first, count) = (self.first(), self.rings.len());
        for index in by_rank(first, count) {
            if let Some(ring) = self.rings.get_mut(index) {
                ask((LAYOUT.ring_at)(ring.number), LAYOUT.ring, &mut ring.registers);
            }
        }
        self.take_entries(device);
    }

    /// Instead of the second part: the device does not answer.
    pub(super) fn nothing_to_read(&mut self) {
        self.reason = Reason::Lost;
    }

    /// A ring, as it is shown.
    pub(super) fn rings(&self) -> impl Iterator<Item = ShownRing<'_>> + Clone {
        self.rings.iter().map(|ring| ShownRing {
            number: ring.number,
            size: ring.size,
            issued: ring.numbers.map(|numbers| numbers.issued.value()),
            completed: ring.numbers.map(|numbers| numbers.completed.value()),
            registers: self.is_read.then_some(&ring.registers[..]),
        })
    }

    /// Copies an entry into `bytes`.
    pub(super) fn entry(&self, ring: u8, index: u32, bytes: &mut [u8]) -> Entry {
        let Some(entry) = self.entries.iter().find(|entry| (entry.ring, entry.index) == (ring, index)) else {
            return Entry::LeftOut;
        };
        if !entry.is_read {
            return Entry::Unreadable;
        }
        for (to, from) in bytes.iter_mut().zip(entry.bytes) {
            *to = from;
        }
        Entry::Read
    }

    /// Index of the ring that the reason is about.
    fn first(&self) -> usize {
        self.rings.iter().position(|ring| Some(ring.number) == self.reason.ring()).unwrap_or(0)
    }

    /// Takes the oldest job of each ring, then what else is on the rings, then what waits. The
    /// scheduler is locked.
    fn take_jobs(&mut self, unfinished: &Unfinished<'_, impl Hardware<Job = Job>>) {
        self.jobs.clear();
        (self.jobs_left_out, self.guilty) = (0, None);
        for ring in &mut self.rings {
            ring.numbers = unfinished.numbers(ring.number);
        }
        let (first, count) = (self.first(), self.rings.len());
        for index in by_rank(first, count) {
            let oldest = self.rings.get(index).and_then(|ring| unfinished.on_ring(ring.number).next());
            oldest.into_iter().for_each(|job| self.take_job(&job));
        }
        for index in by_rank(first, count) {
            let Some(number) = self.rings.get(index).map(|ring| ring.number) else { continue };
            unfinished.on_ring(number).skip(1).for_each(|job| self.take_job(&job));
        }
        unfinished.waiting().for_each(|job| self.take_job(&job));
    }

    fn take_job(&mut self, pending: &Pending<'_, Job>) {
        let &Pending { ring, queue, seqno, waits, is_suspect, fence, job } = pending;
        if self.jobs.len() == self.jobs.capacity().min(JOBS) {
            self.jobs_left_out += 1;
            return;
        }
        if is_suspect && self.guilty.is_none() {
            self.guilty = Some((self.jobs.len(), job.opener()));
        }
        let taken = PendingJob {
            ring,
            queue,
            context: job.context().0,
            seqno: seqno.map(|seqno| seqno.value()),
            waits,
            commands: u32::try_from(job.commands()).unwrap_or(u32::MAX),
            fence,
            age_us: job.age_us(),
        };
        // There is room.
        let _ = self.jobs.push_within_capacity(taken);
    }

    fn take_entries(&mut self, device: &impl Subject) {
        let mut portions = Portions::new(ENTRIES, self.rings().map(|ring| Place::of(&ring, LAYOUT)));
        let (first, count) = (self.first(), self.rings.len());
        let rings = device.rings().lock();
        for index in by_rank(first, count) {
            let Some(ring) = self.rings().nth(index) else { continue };
            let (number, window) = (ring.number, portions.next(Place::of(&ring, LAYOUT)));
            for index in window.indices() {
                let mut entry = RawEntry { ring: number, index, is_read: false, bytes: [0; LAYOUT.entry_bytes] };
                entry.is_read = rings.entry(number, index, &mut entry.bytes);
                // An entry without room is counted when the dump is written.
                let _ = self.entries.push_within_capacity(entry);
            }
        }
    }
}
