// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Background load: keeps every ring busy with small jobs, each verified, so that a loss happens with jobs in flight.

use kernel::{
    new_mutex, pci,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Release},
        Arc, Mutex,
    },
};
use lifeboat_core::{errno::Errno, sched::QueueId};

use crate::counters::Counters;
use crate::engine::Engine;
use crate::exercise::Exercise;
use crate::fence::Fence;
use crate::module_parameters;
use crate::ring::Rings;

/// The load of one device, and the queues that it and the self-test use.
#[pin_data]
pub(crate) struct Load {
    on: Atomic<bool>,
    #[pin]
    slots: Mutex<KVec<Slot>>,
    #[pin]
    queues: Mutex<KVec<QueueId>>,
}

/// The device that the load works on.
pub(crate) struct On<'a> {
    pub(crate) pci: &'a pci::Device,
    pub(crate) engine: &'a Engine,
    pub(crate) counters: &'a Counters,
}

/// Why no job was submitted.
enum Refused {
    /// Earlier jobs hung or faulted too often.
    TooManyResets,
    /// The device takes no more jobs, or there is no memory just now.
    ForNow,
}

impl From<Errno> for Refused {
    fn from(error: Errno) -> Self {
        if error == Errno::ECANCELED {
            Self::TooManyResets
        } else {
            Self::ForNow
        }
    }
}

/// A slot of a workspace with one job after another, always of the same kind.
struct Slot {
    exercise: Exercise,
    queue: QueueId,
    round: u32,
    running: Option<Arc<Fence>>,
}

impl Load {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            on: Atomic::new(false),
            slots <- new_mutex!(KVec::new(), "lifeboat::load"),
            queues <- new_mutex!(KVec::new(), "lifeboat::queues"),
        })
    }

    /// Opens a queue on every ring and gets a slot ready for each kind of job.
    pub(crate) fn open(&self, engine: &Engine, rings: &Rings) -> Result {
        let context = engine.open_context(*module_parameters::guilty_limit.value_ref()).ok_or(ENOSPC)?;
        for (number, workspace) in (0..).zip(&rings.workspaces) {
            let queue = engine.open_queue(context, number).ok_or(ENOSPC)?;
            self.queues.lock().push(queue, GFP_KERNEL)?;
            for exercise in Exercise::all(workspace)? {
                self.slots.lock().push(Slot { exercise, queue, round: 0, running: None }, GFP_KERNEL)?;
            }
        }
        Ok(())
    }

    /// The queue of a ring.
    pub(crate) fn queue(&self, ring: u8) -> Option<QueueId> {
        self.queues.lock().get(usize::from(ring)).copied()
    }

    /// Drops the slots, which refer to the device's memory. The load must be stopped.
    pub(crate) fn close(&self) {
        let slots = core::mem::take(&mut *self.slots.lock());
        drop(slots);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Acquire)
    }

    /// Turns the load on or off, from its next [run](Self::run) on. Jobs in flight complete.
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Release);
    }

    /// Ends the load, whose jobs hung or faulted too often, until the device is bound anew. `true`
    /// if it was on.
    fn end(&self) -> bool {
        self.on.xchg(false, Full)
    }

    /// Verifies what has completed and submits what comes next. `true` if anything was submitted.
    pub(crate) fn run(&self, on: &On<'_>) -> bool {
        let mut submitted = false;
        for slot in self.slots.lock().iter_mut() {
            if let Some(outcome) = slot.running.as_ref().map(|fence| fence.outcome()) {
                let Some(outcome) = outcome else { continue };
                slot.running = None;
                if outcome.is_ok() {
                    slot.verify(on);
                }
            }
            if self.is_on() {
                match slot.submit(on.engine) {
                    Ok(()) => submitted = true,
                    Err(Refused::TooManyResets) => {
                        on.counters.jobs_refused.add(1);
                        if self.end() {
                            dev_err!(on.pci, "load: its jobs caused too many resets, no more are accepted\n");
                        }
                    }
                    Err(Refused::ForNow) => {}
                }
            }
        }
        submitted
    }
}

impl Slot {
    fn submit(&mut self, engine: &Engine) -> Result<(), Refused> {
        self.round = self.round.wrapping_add(1);
        let job = self.exercise.prepare(self.round).map_err(|_| Refused::ForNow)?;
        let (unsignalled, fence) = Fence::new().map_err(|_| Refused::ForNow)?;
        engine.submit(self.queue, unsignalled, job)?;
        self.running = Some(fence);
        Ok(())
    }

    fn verify(&mut self, on: &On<'_>) {
        let Ok(verified) = self.exercise.verify() else { return };
        on.counters.verified_bytes.add(verified.bytes);
        if verified.mismatches > 0 {
            on.counters.mismatches.add(verified.mismatches);
            dev_err!(on.pci, "load: {} wrong bytes in round {}\n", verified.mismatches, self.round);
        }
    }
}
