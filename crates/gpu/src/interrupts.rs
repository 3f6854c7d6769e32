//! Interrupts: the status and mask registers, and the messages they send.
//!
//! A message goes out when a source becomes pending and unmasked at once, in either order. It is carried to the driver
//! by a thread of its own, which stands for the processor that takes the interrupt: so a handler never runs inside a
//! register access, and a slow one does not hold up the card. Messages of a vector that arrive while one is on its way
//! merge into it.

use std::thread::{self, ThreadId};
use std::time::Duration;

use lifeboat_lb1::regs::{self, irq};
use lifeboat_pci::IrqHandler;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::config_space::ConfigSpace;
use crate::counters::LiveCounters;
use crate::faults::{Condition, Faults};
use crate::presence::Presence;

/// From one message of a storm to the next: closer than any handler likes, and a processor can still do something else.
const STORM_PERIOD: Duration = Duration::from_micros(20);

#[derive(Default)]
pub(crate) struct Interrupts {
    registers: Mutex<Registers>,
    line: Mutex<Line>,
    /// For the carrier: a message arrived, or the card stops.
    arrived: Condvar,
    /// For those who disconnect: no handler is running.
    idle: Condvar,
}

#[derive(Default)]
struct Registers {
    status: u32,
    mask: u32,
}

/// The way from the card to the driver.
#[derive(Default)]
struct Line {
    handler: Option<(ConnectionId, IrqHandler)>,
    connections: u64,
    /// Bit n: a message of vector n is on its way.
    messages: u8,
    running: bool,
    carrier: Option<ThreadId>,
    stop: bool,
}

/// What a message passes on its way out of the card.
pub(crate) struct Outlet<'a> {
    /// Says whether messages are on, and how many vectors they have.
    pub(crate) config_space: &'a ConfigSpace,
    pub(crate) presence: &'a Presence,
    pub(crate) faults: &'a Faults,
    pub(crate) counters: &'a LiveCounters,
}

/// Which of the handlers that were connected one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionId(u64);

impl Interrupts {
    pub(crate) fn reset(&self) {
        *self.registers.lock() = Registers::default();
    }

    pub(crate) fn status(&self) -> u32 {
        self.registers.lock().status
    }

    pub(crate) fn mask(&self) -> u32 {
        self.registers.lock().mask
    }

    pub(crate) fn clear(&self, sources: u32) {
        self.registers.lock().status &= !sources;
    }

    /// Sets the mask; sources that wait for it send their messages now.
    pub(crate) fn set_mask(&self, outlet: &Outlet<'_>, mask: u32) {
        let mask = mask & irq::ALL;
        let mut registers = self.registers.lock();
        let now_sending = registers.status & mask & !registers.mask;
        registers.mask = mask;
        drop(registers);
        self.send(outlet, now_sending);
    }

    /// Makes sources pending, and sends the messages of those that were not and are not masked.
    pub(crate) fn raise(&self, outlet: &Outlet<'_>, sources: u32) {
        let mut registers = self.registers.lock();
        let now_sending = sources & irq::ALL & registers.mask & !registers.status;
        registers.status |= sources & irq::ALL;
        drop(registers);
        self.send(outlet, now_sending);
    }

    /// Sends a message of vector 0 whatever the registers say.
    pub(crate) fn send_spurious(&self, outlet: &Outlet<'_>) {
        if outlet.config_space.message_vectors() > 0 {
            self.post(outlet, 1);
        }
    }

    fn send(&self, outlet: &Outlet<'_>, sources: u32) {
        // Messages are on or off as a whole, and go through bus mastering like any transfer; off, they are lost.
        let enabled = outlet.config_space.message_vectors();
        if enabled == 0 {
            return;
        }
        let classes = [irq::RING_DONE, irq::RING_FAULT, irq::VBLANK | irq::FLIP];
        let messages = (0..).zip(classes).filter(|(_, class)| sources & class != 0);
        self.post(outlet, messages.fold(0, |messages, (vector, _)| messages | 1 << (vector % enabled)));
    }

    fn post(&self, outlet: &Outlet<'_>, messages: u8) {
        if messages == 0 || !outlet.is_open() {
            return;
        }
        outlet.counters.interrupts_sent.add(u64::from(messages.count_ones()));
        let mut line = self.line.lock();
        if line.handler.is_some() {
            line.messages |= messages;
            drop(line);
            self.arrived.notify_one();
        }
    }

    /// Makes the carrier look whether there is a storm.
    pub(crate) fn look(&self) {
        drop(self.line.lock());
        self.arrived.notify_one();
    }

    /// Connects the driver's handler in place of the one before. Once the card has stopped the handler is dropped.
    pub(crate) fn connect(&self, handler: IrqHandler) -> ConnectionId {
        let mut line = self.line.lock();
        line.messages = 0;
        line.connections += 1;
        let id = ConnectionId(line.connections);
        let unused = if line.stop { Some((id, handler)) } else { line.handler.replace((id, handler)) };
        drop(line);
        self.arrived.notify_one(); // There may be a storm.
        drop(unused);
        id
    }

    pub(crate) fn is_connected(&self, id: ConnectionId) -> bool {
        self.line.lock().handler.as_ref().is_some_and(|(connected, _)| *connected == id)
    }

    /// Disconnects a handler. When this returns it is not running, unless this was called by the handler itself.
    pub(crate) fn disconnect(&self, id: ConnectionId) {
        let mut line = self.line.lock();
        let handler = line.handler.take_if(|(connected, _)| *connected == id);
        if handler.is_some() {
            line.messages = 0;
        }
        if line.carrier != Some(thread::current().id()) {
            while line.running {
                self.idle.wait(&mut line);
            }
        }
        drop(line);
        // The handler may own the driver and with it, in the end, this card: no lock is held when it is dropped.
        drop(handler);
    }

    /// Disconnects whatever handler there is and ends the carrier's thread; does not wait for either.
    pub(crate) fn stop(&self) {
        let mut line = self.line.lock();
        line.stop = true;
        let handler = line.handler.take();
        drop(line);
        self.arrived.notify_all();
        drop(handler);
    }

    /// The carrier's thread: calls the handler for each message, until the card stops.
    pub(crate) fn carry(&self, outlet: &Outlet<'_>) {
        let mut line = self.line.lock();
        line.carrier = Some(thread::current().id());
        while !line.stop {
            let vector = line.messages.trailing_zeros();
            let Some(handler) =
                line.handler.as_ref().map(|(_, handler)| handler.clone()).filter(|_| vector < u32::from(regs::VECTORS))
            else {
                self.await_message(outlet, &mut line);
                continue;
            };
            line.messages &= line.messages - 1;
            line.running = true;
            drop(line);
            let running = Running { interrupts: self };
            // A message that is under way when the card or its link goes is delivered or lost, but none is delivered afterwards.
            let delivered = outlet.presence.cross().is_some();
            if delivered {
                handler(vector.to_le_bytes()[0]);
            }
            drop(handler);
            drop(running);
            line = self.line.lock();
        }
    }
}

impl Outlet<'_> {
    /// Whether a message gets out of the card and over the link.
    fn is_open(&self) -> bool {
        let there = self.presence.is_present() && self.presence.link_is_up();
        there && !self.faults.conditions.holds(Condition::NoInterrupts)
    }
}

impl Interrupts {
    /// Waits for a message, or for a reason to look again. In a storm one comes of itself.
    fn await_message(&self, outlet: &Outlet<'_>, line: &mut MutexGuard<'_, Line>) {
        if line.handler.is_none() || !outlet.faults.conditions.holds(Condition::InterruptStorm) {
            return self.arrived.wait(line);
        }
        self.arrived.wait_for(line, STORM_PERIOD);
        if line.handler.is_some() && outlet.config_space.message_vectors() > 0 && outlet.is_open() {
            outlet.counters.interrupts_sent.add(1);
            line.messages |= 1;
        }
    }
}

/// While a handler runs; also ends if the handler panics.
struct Running<'a> {
    interrupts: &'a Interrupts,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.interrupts.line.lock().running = false;
        self.interrupts.idle.notify_all();
    }
}
