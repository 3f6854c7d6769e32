//! A ring: its registers and the state its thread and the driver share.
//!
//! The thread (`thread`) takes one descriptor at a time. While it executes, the ring is *busy* and the thread looks at
//! [`Ring::checkpoint`] at least once per 64 KiB of work. A ring reset asks it to abandon what it is doing and is
//! finished by the thread itself; a device reset holds the ring until the clock thread has cleared it.

mod thread;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lifeboat_lb1::regs::{self, irq, ring_ctrl, ring_status};
use parking_lot::{Condvar, Mutex};
use tracing::debug;

use crate::board::Board;
use crate::faults::Condition;
use crate::halves::{PAGE_MASK, half, set_half};
use crate::seqno::Seqnos;
use crate::witness::Violation;

/// Why a descriptor did not take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A reset or the removal of the card took it away.
    Abandoned,
    /// It is to stay as it is until that happens.
    Hang,
    /// It made the ring fault.
    Fault {
        /// See [`lifeboat_lb1::regs::fault`].
        code: u8,
        /// The GPU or bus address, or 0.
        address: u64,
    },
}

pub(crate) struct Ring {
    index: u8,
    state: Mutex<RingState>,
    /// For the ring's thread: there may be something to do, or to stop doing.
    changed: Condvar,
    /// For a device reset: the thread has let go.
    parked: Condvar,
    /// Copy of [`RingState::must_let_go`] for checkpoints.
    let_go: AtomicBool,
}

struct RingState {
    /// Bits of [`ring_status`].
    status: u32,
    held: Held,
    base: u64,
    order: u8,
    head: u32,
    tail: u32,
    fault: FaultRegisters,
    /// Whether the next descriptor begins a job.
    between_jobs: bool,
    /// It takes nothing up, by a reset that lied, until a reset of the device.
    dead: bool,
}

/// What keeps a ring from working, beyond its own state. A later one outlasts the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    No,
    /// A device reset is under way.
    ByReset,
    /// The card is gone; only its end is left.
    Forever,
    /// The thread ends.
    Stopped,
}

#[derive(Debug, Clone, Copy, Default)]
struct FaultRegisters {
    cause: u32,
    index: u32,
    address: u64,
}

impl RingState {
    fn power_on() -> Self {
        Self {
            status: 0,
            held: Held::No,
            base: 0,
            order: regs::RING_ORDER_MIN,
            head: 0,
            tail: 0,
            fault: FaultRegisters::default(),
            between_jobs: true,
            dead: false,
        }
    }

    /// As a reset leaves it that was none: it seems to be reset, and takes nothing up.
    fn dead(&self) -> Self {
        Self { base: self.base, order: self.order, dead: true, ..Self::power_on() }
    }

    fn is(&self, status: u32) -> bool {
        self.status & status != 0
    }

    /// Whether the thread must abandon what it is executing.
    fn must_let_go(&self) -> bool {
        self.held != Held::No || self.is(ring_status::RESETTING)
    }

    fn index_mask(&self) -> u32 {
        (1 << self.order) - 1
    }
}

impl Ring {
    pub(crate) fn new(index: u8) -> Self {
        Self {
            index,
            state: Mutex::new(RingState::power_on()),
            changed: Condvar::new(),
            parked: Condvar::new(),
            let_go: AtomicBool::new(false),
        }
    }

    pub(crate) fn index(&self) -> u8 {
        self.index
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.state.lock().is(ring_status::ENABLED)
    }

    /// Reads a register other than the sequence number.
    pub(crate) fn read(&self, register: u64) -> u32 {
        let state = self.state.lock();
        match register {
            regs::RING_CTRL => {
                let enable = if state.is(ring_status::ENABLED) { ring_ctrl::ENABLE } else { 0 };
                enable | if state.is(ring_status::RESETTING) { ring_ctrl::RESET } else { 0 }
            }
            regs::RING_STATUS => state.status,
            regs::RING_BASE_LO => half(state.base, 0),
            regs::RING_BASE_HI => half(state.base, 1),
            regs::RING_ORDER => state.order.into(),
            regs::RING_HEAD => state.head,
            regs::RING_TAIL => state.tail,
            regs::RING_FAULT => state.fault.cause,
            regs::RING_FAULT_INDEX => state.fault.index,
            regs::RING_FAULT_ADDR_LO => half(state.fault.address, 0),
            regs::RING_FAULT_ADDR_HI => half(state.fault.address, 1),
            _ => 0,
        }
    }

    /// Writes one of the registers that can only be written while the ring is disabled.
    pub(crate) fn write(&self, register: u64, value: u32) {
        let mut state = self.state.lock();
        if state.is(ring_status::ENABLED | ring_status::BUSY) {
            return;
        }
        match register {
            regs::RING_BASE_LO => set_half(&mut state.base, 0, value & PAGE_MASK),
            regs::RING_BASE_HI => set_half(&mut state.base, 1, value),
            regs::RING_ORDER => {
                let order = u8::try_from(value).ok();
                let order = order.filter(|order| (regs::RING_ORDER_MIN..=regs::RING_ORDER_MAX).contains(order));
                state.order = order.unwrap_or(state.order);
            }
            _ => {}
        }
    }

    /// Sets the sequence number, while the ring is disabled.
    pub(crate) fn set_seqno(&self, seqnos: &Seqnos, value: u32) {
        let state = self.state.lock();
        if !state.is(ring_status::ENABLED | ring_status::BUSY) {
            seqnos.set(self.index, value);
        }
    }

    /// Writes the control register.
    pub(crate) fn control(&self, board: &Board, value: u32) {
        let mut state = self.state.lock();
        if value & ring_ctrl::RESET != 0 {
            if state.held == Held::No && !state.is(ring_status::RESETTING | ring_status::RESET_FAILED) {
                state.status = state.status & ring_status::BUSY | ring_status::RESETTING;
                self.publish(&state);
                drop(state);
                board.seqnos.wake(); // It may be waiting there.
            }
        } else if value & ring_ctrl::ENABLE == 0 {
            state.status &= !ring_status::ENABLED;
        } else if state.status == 0 {
            state.status = ring_status::ENABLED;
            (state.head, state.tail, state.between_jobs) = (0, 0, true);
        }
    }

    /// Sets the tail and sets the ring to work. A ring that has faulted does not mind: the driver may not know yet.
    pub(crate) fn doorbell(&self, board: &Board, tail: u32) {
        let mut state = self.state.lock();
        if !state.is(ring_status::ENABLED) || state.must_let_go() {
            drop(state);
            let ring = self.index;
            board.witness.record(|at| Violation::DoorbellToStoppedRing { at, ring });
            return;
        }
        board.is_rung();
        if board.faults.conditions.holds(Condition::DeadDoorbell) {
            return;
        }
        state.tail = tail & state.index_mask();
        drop(state);
        self.changed.notify_all();
    }

    /// Makes the thread look again.
    pub(crate) fn wake(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// Keeps the ring from working while the device is reset.
    pub(crate) fn hold(&self) {
        self.hold_as(Held::ByReset);
    }

    /// The card is gone.
    pub(crate) fn cut(&self) {
        self.hold_as(Held::Forever);
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.hold_as(Held::Stopped);
    }

    fn hold_as(&self, held: Held) {
        let mut state = self.state.lock();
        state.held = state.held.max(held);
        self.publish(&state);
    }

    /// Waits until the thread has let go of its descriptor. The ring must be held.
    pub(crate) fn wait_until_parked(&self) {
        let mut state = self.state.lock();
        while state.is(ring_status::BUSY) {
            self.parked.wait(&mut state);
        }
    }

    /// Clears everything, at the end of a device reset.
    pub(crate) fn power_on(&self) {
        let mut state = self.state.lock();
        let held = match state.held {
            Held::ByReset => Held::No,
            held => held,
        };
        *state = RingState { held, ..RingState::power_on() };
        self.publish(&state);
    }

    /// Seems to be cleared, at the end of a device reset that was none.
    pub(crate) fn die(&self) {
        let mut state = self.state.lock();
        let held = match state.held {
            Held::ByReset => Held::No,
            held => held,
        };
        *state = RingState { held, ..state.dead() };
        self.publish(&state);
    }

    /// Whether the thread may go on with its descriptor.
    pub(crate) fn checkpoint(&self) -> Result<(), Stop> {
        if self.let_go.load(Ordering::Acquire) { Err(Stop::Abandoned) } else { Ok(()) }
    }

    /// Tells checkpoints and the thread about a change of `state`.
    fn publish(&self, state: &RingState) {
        self.let_go.store(state.must_let_go(), Ordering::Release);
        self.changed.notify_all();
    }

    /// Waits with the descriptor in hand, for a time or for good; until it must be let go.
    fn linger(&self, time: Option<Duration>) -> Result<(), Stop> {
        // A time too long for the clock is for good.
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        let mut state = self.state.lock();
        while !state.must_let_go() {
            match deadline {
                Some(deadline) if deadline <= Instant::now() => return Ok(()),
                Some(deadline) => {
                    self.changed.wait_until(&mut state, deadline);
                }
                None => self.changed.wait(&mut state),
            }
        }
        Err(Stop::Abandoned)
    }

    /// Stops with a fault, unless the descriptor was taken away in the meantime.
    fn fault(&self, board: &Board, context: u8, opcode: u8, code: u8, address: u64) {
        let mut state = self.state.lock();
        state.status &= !ring_status::BUSY;
        if state.must_let_go() {
            self.parked.notify_all();
            return;
        }
        state.status |= ring_status::FAULTED;
        let cause = u32::from_le_bytes([code, context, opcode, 0]);
        state.fault = FaultRegisters { cause, index: state.head, address };
        // Under the lock, so that no reset can come in between and find the interrupt afterwards.
        board.raise(irq::ring_fault(self.index));
        drop(state);
        debug!(ring = self.index, context, opcode, code, address, "ring fault");
    }
}
