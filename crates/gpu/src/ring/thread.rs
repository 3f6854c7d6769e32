//! A ring's thread: fetch, decode, execute, advance.

use std::sync::atomic::Ordering;
use std::time::Instant;

use lifeboat_lb1::command::{Command, DESCRIPTOR_BYTES, DecodeError, Descriptor};
use lifeboat_lb1::regs::{fault, irq, ring_status};
use tracing::debug;

use super::{Held, Ring, RingState, Stop};
use crate::board::Board;
use crate::context;
use crate::dma::Initiator;
use crate::execute;
use crate::faults::{Armed, Fault};
use crate::gpu_memory::GpuMemory;
use crate::recorder::RingSpan;

/// What a fault that happens before the descriptor is known names as its context and opcode.
const NOT_KNOWN: u8 = 0xff;

/// What the thread does next.
enum Next {
    /// Fetch the descriptor at this bus address.
    Descriptor { at: u64 },
    /// Finish a ring reset.
    Reset,
    /// End.
    Stop,
}

impl Ring {
    /// The ring's thread, until the card stops.
    pub(crate) fn run(&self, board: &Board) {
        loop {
            match self.next(board) {
                Next::Descriptor { at } => self.step(board, at),
                Next::Reset => self.finish_reset(board),
                Next::Stop => return,
            }
        }
    }

    /// Waits for something to do. A descriptor makes the ring busy.
    fn next(&self, board: &Board) -> Next {
        let mut state = self.state.lock();
        loop {
            match state.held {
                Held::Stopped => return Next::Stop,
                Held::No if state.is(ring_status::RESETTING) => return Next::Reset,
                Held::No if state.has_work() && board.control.is_enabled() => break,
                _ => self.changed.wait(&mut state),
            }
        }
        state.status |= ring_status::BUSY;
        // The ring's end can lie past the end of the address space; then nothing is mapped there.
        let at = state.base.wrapping_add(u64::from(state.head) * DESCRIPTOR_BYTES as u64);
        Next::Descriptor { at }
    }

    /// Fetches and executes one descriptor.
    fn step(&self, board: &Board, at: u64) {
        let recorder = board.recorder.get().map(|recorder| (recorder, Instant::now()));
        let mut bytes = [0; DESCRIPTOR_BYTES];
        if let Err(stop) = (Initiator { board, ring: self, context: None }).read(at, &mut bytes) {
            return self.finish(board, NOT_KNOWN, NOT_KNOWN, false, Err(stop));
        }
        let descriptor = Descriptor::from_bytes(&bytes);
        let (context, opcode) = (descriptor.context().0, descriptor.opcode_byte());

        // The driver's own commands belong to no job: planned faults of jobs do not hit them.
        let injected = if descriptor.is_own() { self.checkpoint() } else { self.inject(board) };
        let result = injected.and_then(|()| self.execute(board, &descriptor));
        let result = match result {
            Err(Stop::Hang) => self.linger(None).and(Err(Stop::Abandoned)),
            Ok(command) => self.slow_down(board).map(|()| command),
            stop => stop,
        };
        self.finish(board, context, opcode, descriptor.is_own(), result);
        if let Some((record, start)) = recorder.filter(|_| !descriptor.is_own()) {
            record(RingSpan { ring: self.index, context, opcode, start, end: Instant::now() });
        }
    }

    fn inject(&self, board: &Board) -> Result<(), Stop> {
        let begins_job = std::mem::replace(&mut self.state.lock().between_jobs, false);
        let injected = if begins_job { board.job_begins() } else { None };
        if injected == Some(Fault::Hang) || board.faults.take(Armed::Hang) {
            return Err(Stop::Hang);
        }
        if injected == Some(Fault::JobFault) || board.faults.take(Armed::JobFault) {
            return Err(Stop::Fault { code: fault::INJECTED, address: 0 });
        }
        self.checkpoint()
    }

    fn slow_down(&self, board: &Board) -> Result<(), Stop> {
        let slow = board.faults.slow();
        if slow.is_zero() { Ok(()) } else { self.linger(Some(slow)) }
    }

    fn execute(&self, board: &Board, descriptor: &Descriptor) -> Result<Command, Stop> {
        let stop = |code| Stop::Fault { code, address: 0 };
        let context = descriptor.context().0;
        let table = if descriptor.is_own() {
            context::bus()
        } else {
            board.contexts.table(context).ok_or(stop(fault::BAD_CONTEXT))?
        };
        let command = descriptor.decode().map_err(|error| match error {
            DecodeError::Opcode(_) => stop(fault::BAD_OPCODE),
            DecodeError::Argument(_) => stop(fault::BAD_ARGUMENT),
        })?;
        match &command {
            Command::Work(work) => execute::work(&GpuMemory::new(board, self, context, table), work)?,
            Command::WriteSeqno { .. } => {}
            Command::WaitSeqno { ring, value } => {
                if *ring >= board.ring_count() || *ring == self.index {
                    return Err(stop(fault::BAD_ARGUMENT));
                }
                board.seqnos.wait(*ring, *value, || self.let_go.load(Ordering::Acquire));
                self.checkpoint()?;
            }
        }
        Ok(command)
    }

    /// Makes a descriptor's end visible, all at once: head, sequence number, and then the interrupt.
    fn finish(&self, board: &Board, context: u8, opcode: u8, own: bool, result: Result<Command, Stop>) {
        let command = match result {
            Ok(command) => command,
            Err(Stop::Fault { code, address }) => return self.fault(board, context, opcode, code, address),
            Err(Stop::Abandoned | Stop::Hang) => return self.abandon(),
        };
        let mut state = self.state.lock();
        state.status &= !ring_status::BUSY;
        if state.must_let_go() {
            self.parked.notify_all();
            return;
        }
        state.head = (state.head + 1) & state.index_mask();
        board.counters.commands.add(1);
        let Command::WriteSeqno { value, interrupt } = command else { return };
        board.seqnos.set(self.index, value);
        if !own {
            state.between_jobs = interrupt;
        }
        if interrupt && !board.faults.take(Armed::LostInterrupt) {
            // Under the ring's lock, so that no reset can come in between and find the interrupt afterwards.
            board.raise(irq::ring_done(self.index));
        }
    }

    /// Lets go of a descriptor that has been taken away.
    fn abandon(&self) {
        self.state.lock().status &= !ring_status::BUSY;
        self.parked.notify_all();
    }

    /// Finishes a ring reset: nothing is executing any more.
    fn finish_reset(&self, board: &Board) {
        board.reset_begins();
        let mut state = self.state.lock();
        // A device reset or the removal may have come in between and take care of the rest.
        if state.held != Held::No || !state.is(ring_status::RESETTING) {
            return;
        }
        let failed = board.faults.take(Armed::FailedReset);
        let lied = !failed && board.faults.take(Armed::LyingReset);
        let status = if failed { ring_status::RESET_FAILED } else { 0 };
        let (base, order, dead) = (state.base, state.order, state.dead);
        *state = if lied { state.dead() } else { RingState { status, base, order, dead, ..RingState::power_on() } };
        self.publish(&state);
        debug!(ring = self.index, failed, lied, "ring reset ends");
    }
}

impl RingState {
    fn has_work(&self) -> bool {
        !self.dead && self.is(ring_status::ENABLED) && !self.is(ring_status::FAULTED) && self.head != self.tail
    }
}
