//! A device that executes all the jobs that it has at once, and completes them in whatever order the test says.
//!
//! Ring 0 reports into its memory, ring 1 in a register. An entry of a ring has 8 bytes: the job's sequence number, and its
//! tag. The device copies an entry when the doorbell names it, so entries are used in turn. A job never ends by itself.

use lifeboat_pci::Iova;
use lifeboat_pci_model::{Model, Upstream};
use parking_lot::{Mutex, MutexGuard};

pub(crate) const RINGS: u8 = 2;
pub(crate) const ENTRIES: u32 = 8;
pub(crate) const ENTRY_BYTES: u32 = 8;
/// Words behind the entries, into which ring 0 reports. More than the ring can have jobs.
pub(crate) const REPORTS: u32 = 16;

/// Registers, as offsets in BAR 0.
pub(crate) mod regs {
    pub(crate) const ID: u64 = 0x00;
    pub(crate) const ID_VALUE: u32 = 0x0300_7e57;
    /// Reads as what was written, inverted.
    pub(crate) const LIVENESS: u64 = 0x04;
    /// The next report of ring 1, which the read takes away; 0 if there is none.
    pub(crate) const REPORT: u64 = 0x08;
    /// Whether ring 0 has reported into its memory since this was read last.
    pub(crate) const REPORTED: u64 = 0x0c;
    /// What became of the abort that was asked for last: a variant of [`Aborts`](super::Aborts).
    pub(crate) const ABORTED: u64 = 0x10;
    /// Written, resets everything. Reads as 1 if that has failed.
    pub(crate) const RESET: u64 = 0x14;

    /// The block of a ring.
    pub(crate) const fn ring(ring: u8) -> u64 {
        0x100 + 0x40 * ring as u64
    }

    /// In the block of a ring: 1 to switch it on; 0 to switch it off, which drops its jobs. Reads as 2 if it could not
    /// be switched off.
    pub(crate) const ON: u64 = 0x00;
    /// In the block of a ring: where its memory is (64 bits).
    pub(crate) const BASE: u64 = 0x08;
    /// In the block of a ring: the number of the entry to execute.
    pub(crate) const DOORBELL: u64 = 0x10;
    /// In the block of a ring: the sequence number of a job to give up.
    pub(crate) const ABORT: u64 = 0x14;
    /// In the block of a ring: how many jobs it has.
    pub(crate) const JOBS: u64 = 0x18;
}

/// A report: this bit, the job's sequence number, and perhaps [`ABORTED`].
pub(crate) const VALID: u32 = 1 << 31;
/// The job was given up.
pub(crate) const ABORTED: u32 = 1 << 30;

/// What the device does when it is to give up a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u32)]
pub(crate) enum Aborts {
    /// It gives the job up, and reports that.
    #[default]
    Reports,
    /// It has given the job up when the write returns, and reports nothing.
    AtOnce,
    /// It does nothing.
    Ignores,
    /// It has completed the job at that moment, and reports that.
    Completes,
    /// It says that it cannot.
    Cannot,
}

/// What the test decides.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Behaviour {
    pub(crate) aborts: Aborts,
    /// Interrupts get lost.
    pub(crate) is_mute: bool,
    /// A ring cannot be switched off while the device is on.
    pub(crate) ring_resets_fail: bool,
    /// The device cannot be reset.
    pub(crate) resets_fail: bool,
}

#[derive(Default)]
pub(crate) struct Engine(Mutex<State>);

#[derive(Default)]
struct State {
    behaviour: Behaviour,
    rings: [RingState; RINGS as usize],
    /// What ring 1 has reported and nobody has read.
    reports: Vec<u32>,
    reported: bool,
    aborted: u32,
    liveness: u32,
    reset_failed: bool,
    aborts: u32,
    resets: Resets,
}

#[derive(Default)]
struct RingState {
    on: bool,
    stays_on: bool,
    base: [u32; 2],
    /// Sequence number and tag, in the order in which they were given.
    jobs: Vec<(u32, u32)>,
    report_tail: u32,
}

/// How often something was reset since the device was made, bring-up not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Resets {
    pub(crate) ring: [u32; RINGS as usize],
    pub(crate) device: u32,
}

impl Engine {
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.state().behaviour = behaviour;
    }

    /// The tags of the jobs that a ring has, in the order in which they were given.
    pub(crate) fn has(&self, ring: u8) -> Vec<u32> {
        self.state().rings[usize::from(ring)].jobs.iter().map(|(_, tag)| *tag).collect()
    }

    /// How often a ring was told to give up a job.
    pub(crate) fn aborts(&self) -> u32 {
        self.state().aborts
    }

    pub(crate) fn resets(&self) -> Resets {
        self.state().resets
    }

    /// Completes a job, as the device.
    pub(crate) fn complete(&self, tag: u32, upstream: &Upstream<'_>) {
        let mut state = self.state();
        let place = |ring: &RingState| ring.jobs.iter().position(|(_, of)| *of == tag);
        let (ring, place) = (0..RINGS)
            .find_map(|ring| Some((ring, place(&state.rings[usize::from(ring)])?)))
            .unwrap_or_else(|| panic!("the device does not have job {tag}"));
        let (seqno, _) = state.rings[usize::from(ring)].jobs.remove(place);
        state.report(ring, VALID | seqno, upstream);
        interrupt(state, upstream);
    }

    /// Reports a number, whatever that is.
    pub(crate) fn report(&self, ring: u8, report: u32, upstream: &Upstream<'_>) {
        let mut state = self.state();
        state.report(ring, report, upstream);
        interrupt(state, upstream);
    }

    /// The sequence number that a job was given.
    pub(crate) fn seqno(&self, tag: u32) -> u32 {
        let state = self.state();
        let mut jobs = state.rings.iter().flat_map(|ring| &ring.jobs);
        jobs.find(|(_, of)| *of == tag).unwrap().0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

/// Sends the interrupt, unless it is to get lost. Not under the lock: the handler reads registers.
fn interrupt(state: MutexGuard<'_, State>, upstream: &Upstream<'_>) {
    let is_mute = state.behaviour.is_mute;
    drop(state);
    if !is_mute {
        upstream.interrupt();
    }
}

impl State {
    fn report(&mut self, ring: u8, report: u32, upstream: &Upstream<'_>) {
        if ring == 1 {
            return self.reports.push(report);
        }
        let of = &mut self.rings[0];
        let words = ENTRIES * ENTRY_BYTES / 4 + of.report_tail;
        of.report_tail = (of.report_tail + 1) % REPORTS;
        let at = of.base() + u64::from(words * 4);
        upstream.write(Iova(at), &report.to_le_bytes());
        self.reported = true;
    }

    /// A ring drops its jobs, and what it has reported.
    fn switch(&mut self, ring: u8, on: bool) {
        let state = &mut self.rings[usize::from(ring)];
        (state.on, state.stays_on, state.report_tail) = (on, false, 0);
        state.jobs.clear();
        if ring == 1 {
            self.reports.clear();
        } else {
            self.reported = false;
        }
    }

    fn ring_off(&mut self, ring: u8) {
        let of = usize::from(ring);
        if self.rings[of].on {
            self.resets.ring[of] += 1;
        }
        if self.behaviour.ring_resets_fail {
            self.rings[of].stays_on = true;
        } else {
            self.switch(ring, false);
        }
    }

    fn reset(&mut self) {
        if self.rings[0].on {
            self.resets.device += 1;
        }
        self.reset_failed = self.behaviour.resets_fail;
        if !self.reset_failed {
            (0..RINGS).for_each(|ring| self.switch(ring, false));
        }
    }

    /// `true` if it has reported something.
    fn abort(&mut self, ring: u8, seqno: u32, upstream: &Upstream<'_>) -> bool {
        self.aborts += 1;
        let aborts = self.behaviour.aborts;
        self.aborted = aborts as u32;
        let gives_up = matches!(aborts, Aborts::Reports | Aborts::AtOnce | Aborts::Completes);
        let jobs = &mut self.rings[usize::from(ring)].jobs;
        let before = jobs.len();
        jobs.retain(|(number, _)| !gives_up || *number != seqno);
        let reports = jobs.len() < before && aborts != Aborts::AtOnce;
        if reports {
            let how = if aborts == Aborts::Reports { ABORTED } else { 0 };
            self.report(ring, VALID | how | seqno, upstream);
        }
        reports
    }

    fn ring(&mut self, ring: u8, entry: u32, upstream: &Upstream<'_>) {
        let of = &mut self.rings[usize::from(ring)];
        let mut words = [0; ENTRY_BYTES as usize];
        let at = of.base() + u64::from(entry * ENTRY_BYTES);
        if of.on && upstream.read(Iova(at), &mut words) {
            let word = |at: usize| u32::from_le_bytes(words[at..at + 4].try_into().unwrap());
            of.jobs.push((word(0), word(4)));
        }
    }
}

impl RingState {
    fn base(&self) -> u64 {
        u64::from(self.base[0]) | u64::from(self.base[1]) << 32
    }
}

/// A register of a ring: which ring, and which register in its block.
fn of_ring(register: u64) -> Option<(u8, u64)> {
    (0..RINGS).find_map(|ring| {
        let block = regs::ring(ring);
        (block..block + 0x40).contains(&register).then(|| (ring, register - block))
    })
}

impl Model for Engine {
    fn read(&self, register: u64) -> u32 {
        let mut state = self.state();
        if let Some((ring, register)) = of_ring(register) {
            let of = &state.rings[usize::from(ring)];
            return match register {
                regs::ON if of.stays_on => 2,
                regs::ON => of.on.into(),
                regs::JOBS => u32::try_from(of.jobs.len()).unwrap_or(u32::MAX),
                _ => 0,
            };
        }
        match register {
            regs::ID => regs::ID_VALUE,
            regs::LIVENESS => !state.liveness,
            regs::REPORT if state.reports.is_empty() => 0,
            regs::REPORT => state.reports.remove(0),
            regs::REPORTED => std::mem::take(&mut state.reported).into(),
            regs::ABORTED => state.aborted,
            regs::RESET => state.reset_failed.into(),
            _ => 0,
        }
    }

    fn write(&self, register: u64, value: u32, upstream: &Upstream<'_>) {
        let mut state = self.state();
        match of_ring(register) {
            Some((ring, regs::ON)) if value == 0 => state.ring_off(ring),
            Some((ring, regs::ON)) => state.switch(ring, true),
            Some((ring, regs::BASE)) => state.rings[usize::from(ring)].base[0] = value,
            Some((ring, register)) if register == regs::BASE + 4 => state.rings[usize::from(ring)].base[1] = value,
            Some((ring, regs::DOORBELL)) => state.ring(ring, value, upstream),
            Some((ring, regs::ABORT)) => {
                if state.abort(ring, value, upstream) {
                    interrupt(state, upstream);
                }
            }
            None if register == regs::LIVENESS => state.liveness = value,
            None if register == regs::RESET => state.reset(),
            Some(_) | None => {}
        }
    }
}
