//! The card without its threads: all its parts, and what a bus can do to it.
//!
//! This is what front ends are built on: configuration and BAR accesses, DMA mappings, interrupts, removal. It knows
//! nothing of bindings or processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use lifeboat_lb1::regs;
use lifeboat_pci::{ALL_ONES, BusError, HostMemory};
use parking_lot::Mutex;
use tracing::debug;

use crate::config::Config;
use crate::config_space::{ConfigSpace, SWAPPED_DEVICE_ID};
use crate::context::Contexts;
use crate::counters::LiveCounters;
use crate::device::Control;
use crate::faults::{Armed, Condition, Fault, Faults, GARBAGE, Lasts, OnFault, Swap, Trigger, TriggerEvent};
use crate::interrupts::{Interrupts, Outlet};
use crate::iommu::Iommu;
use crate::presence::{Crossing, Presence, TRANSFER_BYTES};
use crate::recorder::RecorderCell;
use crate::ring::Ring;
use crate::scanout::ScanoutUnit;
use crate::seqno::Seqnos;
use crate::witness::Witness;

/// Called once, by whatever thread makes the card vanish, possibly inside a driver's access: it must not block.
pub(crate) type OnGone = Box<dyn Fn() + Send + Sync>;

/// Called with whether the link is up now, each time that changes and is to be told, in that order, by whatever thread
/// changes it: it must not block.
pub(crate) type OnLink = Box<dyn Fn(bool) + Send + Sync>;

/// The link, and those who are told of it. Locked while they are told, so that they learn of changes in order.
#[derive(Default)]
struct Link {
    down: bool,
    /// Whether it was told that the link is down.
    told_down: bool,
    listeners: Vec<OnLink>,
}

/// What a card does not bring along itself.
pub(crate) struct Parts {
    pub(crate) vram: HostMemory,
    pub(crate) vram_is_shared: bool,
    pub(crate) iommu: Arc<Iommu>,
    pub(crate) serial: u32,
}

pub(crate) struct Board {
    serial: AtomicU32,
    pub(crate) presence: Presence,
    pub(crate) config_space: ConfigSpace,
    pub(crate) control: Control,
    pub(crate) contexts: Contexts,
    pub(crate) rings: Vec<Ring>,
    pub(crate) seqnos: Seqnos,
    pub(crate) vram: HostMemory,
    /// How much of `vram` the card has: all, unless it was [swapped](Fault::Swap).
    vram_bytes: AtomicU64,
    /// Another model is there, which has another [`ID`](regs::ID).
    is_other_model: AtomicBool,
    /// Whether others map the VRAM too, so that it has to look gone by itself.
    vram_is_shared: bool,
    pub(crate) iommu: Arc<Iommu>,
    pub(crate) interrupts: Interrupts,
    pub(crate) scanout: ScanoutUnit,
    pub(crate) faults: Faults,
    pub(crate) witness: Witness,
    /// The driver could not stop the card: see [`Board::is_out_of_reach`].
    out_of_reach: AtomicBool,
    /// Writes to registers were lost since the card was last reset: what its driver believes to be there may not be.
    lost_writes: AtomicBool,
    pub(crate) counters: LiveCounters,
    pub(crate) recorder: RecorderCell,
    on_gone: Mutex<Vec<OnGone>>,
    link: Mutex<Link>,
}

impl Board {
    /// `config` has been checked, and `parts.vram` is as large as it says.
    pub(crate) fn new(config: &Config, parts: Parts) -> Self {
        Self {
            serial: AtomicU32::new(parts.serial),
            presence: Presence::new(),
            config_space: ConfigSpace::new(config.vram_bytes),
            control: Control::new(),
            contexts: Contexts::new(),
            rings: (0..config.rings).map(Ring::new).collect(),
            seqnos: Seqnos::new(),
            vram: parts.vram,
            vram_bytes: AtomicU64::new(config.vram_bytes),
            is_other_model: AtomicBool::new(false),
            vram_is_shared: parts.vram_is_shared,
            iommu: parts.iommu,
            interrupts: Interrupts::default(),
            scanout: ScanoutUnit::default(),
            faults: Faults::default(),
            witness: Witness::new(),
            out_of_reach: AtomicBool::new(false),
            lost_writes: AtomicBool::new(false),
            counters: LiveCounters::default(),
            recorder: RecorderCell::default(),
            on_gone: Mutex::default(),
            link: Mutex::default(),
        }
    }

    /// Makes sources of interrupts pending.
    pub(crate) fn raise(&self, sources: u32) {
        self.interrupts.raise(&self.outlet(), sources);
    }

    /// The way of an interrupt's message out of the card.
    pub(crate) fn outlet(&self) -> Outlet<'_> {
        let Self { config_space, presence, faults, counters, .. } = self;
        Outlet { config_space, presence, faults, counters }
    }

    pub(crate) fn vram_bytes(&self) -> u64 {
        self.vram_bytes.load(Ordering::Acquire)
    }

    /// What the register [`ID`](regs::ID) reads.
    pub(crate) fn id(&self) -> u32 {
        if self.is_other_model.load(Ordering::Acquire) { !regs::ID_VALUE } else { regs::ID_VALUE }
    }

    /// The serial number.
    pub(crate) fn serial(&self) -> u32 {
        self.serial.load(Ordering::Acquire)
    }

    /// Whether the card could not be reached at some time since it was last reset, nor has it been rung since; or has not been
    /// told everything that its driver has written. What it does is then no mistake: the driver cannot stop it, or know.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.out_of_reach.load(Ordering::Acquire)
    }

    /// The driver has rung the card. If it cannot be reached at this moment, or has missed something, nothing changes.
    pub(crate) fn is_rung(&self) {
        if !self.lost_writes.load(Ordering::Acquire) {
            self.is_reached();
        }
    }

    /// The card was reset: its driver and it know of each other again, unless it cannot be reached at this moment.
    pub(crate) fn was_reset(&self) {
        self.lost_writes.store(false, Ordering::Release);
        self.is_reached();
    }

    fn is_reached(&self) {
        if self.is_out_of_reach() && self.presence.link_is_up() && !self.holds(Condition::Garbage) && self.bars_answer()
        {
            self.out_of_reach.store(false, Ordering::Release);
        }
    }

    fn holds(&self, condition: Condition) -> bool {
        self.faults.conditions.holds(condition)
    }

    fn bars_answer(&self) -> bool {
        self.config_space.decodes_memory() && !self.holds(Condition::SilentBars)
    }

    pub(crate) fn ring_count(&self) -> u8 {
        // At most 8: `Card::new` sees to it.
        u8::try_from(self.rings.len()).unwrap_or(regs::MAX_RINGS)
    }

    /// Counts a driver's access and lets the faults happen that are due right before it. Begins the access, unless the
    /// card is gone or its link is down.
    fn access(&self) -> Option<Crossing<'_>> {
        let number = self.counters.accesses.add(1) + 1;
        if self.faults.access_due(number) && self.presence.is_present() {
            for fault in self.faults.due(TriggerEvent::Access, number) {
                self.inject(fault);
            }
        }
        self.presence.cross()
    }

    /// Reads configuration space: all-ones if the card is gone or its link is down, or by a fault.
    pub(crate) fn read_config(&self, offset: u16, into: &mut [u8]) {
        match self.access() {
            Some(_crossing) if !self.holds(Condition::SilentConfig) => self.config_space.read(offset, into),
            _ => into.fill(0xff),
        }
    }

    /// Writes configuration space.
    pub(crate) fn write_config(&self, offset: u16, from: &[u8]) {
        let Some(_crossing) = self.access() else { return };
        if !self.holds(Condition::SilentConfig) && self.config_space.write(offset, from) {
            self.begin_function_reset();
        }
    }

    /// Reads a register: all-ones if the card is gone, its link is down, or it does not decode memory.
    pub(crate) fn load_register(&self, offset: u64) -> u32 {
        let value = match self.access() {
            Some(_crossing) if !self.bars_answer() => ALL_ONES,
            Some(_crossing) if self.holds(Condition::Garbage) => GARBAGE,
            Some(_crossing) => self.read_register(offset),
            None => return ALL_ONES,
        };
        // The card has answered, and its answer takes its time.
        match self.faults.take_slow_read() {
            Duration::ZERO => value,
            late => {
                self.linger(late);
                if self.presence.is_present() { value } else { ALL_ONES }
            }
        }
    }

    /// Writes a register.
    pub(crate) fn store_register(&self, offset: u64, value: u32) {
        match self.access() {
            Some(_crossing) if self.bars_answer() => self.write_register(offset, value),
            _ if self.is_out_of_reach() => self.lost_writes.store(true, Ordering::Release),
            _ => {}
        }
    }

    /// Reads VRAM: all-ones from the moment the card goes, also past the end of VRAM.
    pub(crate) fn load_vram(&self, offset: u64, into: &mut [u8]) {
        let mut crossing = self.access();
        for (at, piece) in (offset..).step_by(TRANSFER_BYTES).zip(into.chunks_mut(TRANSFER_BYTES)) {
            let there = crossing.take().or_else(|| self.presence.cross());
            if there.is_none() || !self.bars_answer() || self.read_vram(at, piece).is_err() {
                piece.fill(0xff);
            }
        }
    }

    /// Writes VRAM.
    pub(crate) fn store_vram(&self, offset: u64, from: &[u8]) {
        let mut crossing = self.access();
        for (at, piece) in (offset..).step_by(TRANSFER_BYTES).zip(from.chunks(TRANSFER_BYTES)) {
            let there = crossing.take().or_else(|| self.presence.cross());
            if there.is_some() && self.bars_answer() {
                // Past the end of VRAM writes go nowhere.
                let _ = self.write_vram(at, piece);
            }
        }
    }

    /// Reads VRAM, for the card itself and for accesses.
    ///
    /// # Errors
    /// If it does not lie within the VRAM.
    pub(crate) fn read_vram(&self, at: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.check_vram(at, into.len())?;
        self.vram.read(at, into)
    }

    /// Writes VRAM, as [`Board::read_vram`].
    pub(crate) fn write_vram(&self, at: u64, from: &[u8]) -> Result<(), BusError> {
        self.check_vram(at, from.len())?;
        self.vram.write(at, from)
    }

    fn check_vram(&self, offset: u64, len: usize) -> Result<(), BusError> {
        let len = len as u64;
        match offset.checked_add(len) {
            Some(end) if end <= self.vram_bytes() => Ok(()),
            _ => Err(BusError::OutOfRange { offset, len }),
        }
    }

    /// Pulls the card out. When this returns nothing of it reaches the host any more.
    pub(crate) fn remove(&self) {
        if !self.presence.end() {
            return;
        }
        debug!("card removed");
        for ring in &self.rings {
            ring.cut();
        }
        self.seqnos.wake();
        self.control.wake();
        if self.vram_is_shared {
            self.blank_vram();
        }
        for notify in self.on_gone.lock().drain(..) {
            notify();
        }
    }

    /// Makes shared VRAM read as what is not there. Nothing of the card writes it any more: all that does crosses the bus.
    fn blank_vram(&self) {
        self.fill_vram(0xff);
    }

    /// Fills all of the VRAM, also what the card does not have any more.
    pub(crate) fn fill_vram(&self, byte: u8) {
        let bytes = vec![byte; TRANSFER_BYTES];
        let (mut at, end) = (0, self.vram.size());
        while at < end {
            let piece = bytes.len().min(usize::try_from(end - at).unwrap_or(bytes.len()));
            // Within bounds, so it does not fail.
            let _ = self.vram.write(at, &bytes[..piece]);
            at += piece as u64;
        }
    }

    /// Has `notify` called when the card goes; not at all if it is gone already.
    pub(crate) fn when_gone(&self, notify: OnGone) {
        let mut listeners = self.on_gone.lock();
        if self.presence.is_present() {
            listeners.push(notify);
        }
    }

    /// Takes the link down. `tell` says whether listeners learn of it; if not, they do not learn of its end either. Nothing
    /// happens if it is down already. Must not be called inside an access.
    pub(crate) fn link_down(&self, tell: bool) {
        let mut link = self.link.lock();
        if link.down {
            return;
        }
        debug!("link down");
        self.presence.set_link(false);
        self.out_of_reach.store(true, Ordering::Release);
        (link.down, link.told_down) = (true, tell);
        if tell {
            link.listeners.iter().for_each(|notify| notify(false));
        }
    }

    /// Takes the link up, and tells those who were told that it was down. Nothing happens if it is up. Must not be called
    /// inside an access.
    pub(crate) fn link_up(&self) {
        let mut link = self.link.lock();
        if !link.down {
            return;
        }
        debug!("link up");
        self.presence.set_link(true);
        link.down = false;
        if std::mem::take(&mut link.told_down) {
            link.listeners.iter().for_each(|notify| notify(true));
        }
    }

    /// Has `notify` called when the link changes; also at once if it was told before that the link is down.
    pub(crate) fn when_link_changes(&self, notify: OnLink) {
        let mut link = self.link.lock();
        if link.told_down {
            notify(false);
        }
        link.listeners.push(notify);
    }

    /// Lets a fault happen, or arms it. Must not be called inside an access.
    pub(crate) fn inject(&self, fault: Fault) {
        debug!(?fault, "fault injected");
        match fault {
            Fault::Remove => self.remove(),
            Fault::Hang => self.faults.arm(Armed::Hang),
            Fault::JobFault => self.faults.arm(Armed::JobFault),
            Fault::LostInterrupt => self.faults.arm(Armed::LostInterrupt),
            Fault::SpuriousInterrupt => self.interrupts.send_spurious(&self.outlet()),
            Fault::Slow(by) => self.faults.set_slow(by),
            Fault::StuckHeartbeat => self.control.stick_heartbeat(),
            Fault::FailedReset => self.faults.arm(Armed::FailedReset),
            Fault::SlowReset(by) => self.faults.arm_slow_reset(by),
            Fault::LinkDown(time) => {
                self.link_down(true);
                self.faults.conditions.begin(Condition::LinkDown, Lasts::For(time));
                self.control.wake(); // The clock thread takes it up again.
            }
            Fault::Garbage(lasts) => self.loses_reach(Condition::Garbage, lasts),
            Fault::SilentBars(lasts) => self.loses_reach(Condition::SilentBars, lasts),
            // The registers can still stop the card.
            Fault::SilentConfig(lasts) => self.faults.conditions.begin(Condition::SilentConfig, lasts),
            Fault::StuckScanout(lasts) => self.faults.conditions.begin(Condition::StuckScanout, lasts),
            Fault::LyingReset => self.faults.arm(Armed::LyingReset),
            Fault::SlowReads(by) => self.faults.set_slow_reads(by),
            Fault::StalledRead(by) => self.faults.arm_stalled_read(by),
            Fault::NoInterrupts(lasts) => self.faults.conditions.begin(Condition::NoInterrupts, lasts),
            Fault::InterruptStorm(lasts) => {
                self.faults.conditions.begin(Condition::InterruptStorm, lasts);
                self.interrupts.look();
            }
            Fault::DeadDoorbell(lasts) => self.faults.conditions.begin(Condition::DeadDoorbell, lasts),
            // No access meets half of each card.
            Fault::Swap(swap) => self.presence.between_crossings(|| self.swap(swap)),
        }
    }

    fn loses_reach(&self, condition: Condition, lasts: Lasts) {
        self.faults.conditions.begin(condition, lasts);
        self.out_of_reach.store(true, Ordering::Release);
    }

    /// Takes the link up when the time of [`Fault::LinkDown`] is over. Must not be called inside an access.
    pub(crate) fn end_link_down(&self) {
        self.faults.conditions.end(Condition::LinkDown);
        self.link_up();
    }

    /// Another card is there, after power-on: registers and configuration space read so from now on. To be called between
    /// accesses.
    fn swap(&self, swap: Swap) {
        // As for a function-level reset: the rings stop first.
        self.begin_power_on();
        self.faults.end_by_swap();
        self.serial.store(next_serial(), Ordering::Release);
        match swap {
            Swap::Model => self.is_other_model.store(true, Ordering::Release),
            Swap::Size => {
                let pages = self.vram_bytes() / regs::PAGE;
                self.vram_bytes.store((pages / 2).max(1) * regs::PAGE, Ordering::Release);
            }
        }
        let id = if self.is_other_model.load(Ordering::Acquire) { SWAPPED_DEVICE_ID } else { regs::DEVICE_ID };
        self.config_space.swap(id, self.vram_bytes());
    }

    pub(crate) fn schedule(&self, at: Trigger, fault: Fault, tell: Option<OnFault>) {
        let (event, now, n) = match at {
            Trigger::Access(n) => (TriggerEvent::Access, self.counters.accesses.get(), n),
            Trigger::Job(n) => (TriggerEvent::Job, self.counters.jobs.get(), n),
            Trigger::Reset(n) => (TriggerEvent::Reset, self.counters.resets.get(), n),
        };
        self.faults.plan(event, now.saturating_add(n.max(1)), fault, tell);
    }

    /// Counts a job and lets the faults happen that are due. Returns the one that hits the job itself.
    pub(crate) fn job_begins(&self) -> Option<Fault> {
        let number = self.counters.jobs.add(1) + 1;
        let mut own = None;
        for fault in self.faults.due(TriggerEvent::Job, number) {
            match fault {
                Fault::Hang | Fault::JobFault => own = Some(fault),
                fault => self.inject(fault),
            }
        }
        own
    }

    /// Counts a reset and lets the faults happen that are due.
    pub(crate) fn reset_begins(&self) {
        let number = self.counters.resets.add(1) + 1;
        for fault in self.faults.due(TriggerEvent::Reset, number) {
            self.inject(fault);
        }
    }

    /// Makes every thread end, once it has let go of what it is doing.
    pub(crate) fn stop(&self) {
        for ring in &self.rings {
            ring.stop();
        }
        self.seqnos.wake();
        self.control.stop();
        self.interrupts.stop();
    }
}

/// A number that no card of this process has had.
pub(crate) fn next_serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
