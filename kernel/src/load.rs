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
use lifeboat_core::sched::{Priority, QueueId};
use lifeboat_jobqueue::{Fence, Hardware, Scheduler};

use crate::counters::Counters;
use crate::errno::from_core;
use crate::exercise::Exercise;
use crate::job::{self, Job};
use crate::module_parameters;
use crate::workspace::Workspace;

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
pub(crate) struct On<'a, H: Hardware> {
    pub(crate) pci: &'a pci::Device,
    pub(crate) engine: &'a Arc<Scheduler<H>>,
    pub(crate) counters: &'a Counters,
}

/// A slot of a workspace with one job after another, always of the same kind.
struct Slot {
    exercise: Exercise,
    queue: QueueId,
    round: u32,
    running: Option<Fence>,
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
    pub(crate) fn open<H: Hardware>(
        &self,
        engine: &Scheduler<H>,
        rings: impl Fn(u8) -> Option<Arc<Workspace>>,
    ) -> Result {
        let context = engine.open_context(*module_parameters::guilty_limit.value_ref()).ok_or(ENOSPC)?;
        for number in 0..=u8::MAX {
            let Some(workspace) = rings(number) else { break };
            let queue = engine.open_queue(context, number, Priority::Normal).map_err(from_core)?;
            self.queues.lock().push(queue, GFP_KERNEL)?;
            for exercise in Exercise::all(&workspace)? {
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

    /// Verifies what has completed and submits what comes next.
    pub(crate) fn run<H: Hardware<Job = Job>>(&self, on: &On<'_, H>) {
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
                    Ok(()) => on.counters.jobs_submitted.add(1),
                    Err(error) if error == ECANCELED => {
                        on.counters.jobs_refused.add(1);
                        if self.end() {
                            dev_err!(on.pci, "load: its jobs caused too many resets, no more are accepted\n");
                        }
                    }
                    // Or the device takes no more jobs, or there is no memory just now.
                    Err(_) => {}
                }
            }
        }
    }
}

impl Slot {
    /// ECANCELED if earlier jobs hung or faulted too often.
    fn submit<H: Hardware<Job = Job>>(&mut self, engine: &Arc<Scheduler<H>>) -> Result {
        self.round = self.round.wrapping_add(1);
        let job = self.exercise.prepare(self.round)?;
        self.running = Some(job::submit(engine, self.queue, job)?);
        Ok(())
    }

    fn verify(&mut self, on: &On<'_, impl Hardware>) {
        let Ok(verified) = self.exercise.verify() else { return };
        on.counters.verified_bytes.add(verified.bytes);
        if verified.mismatches > 0 {
            on.counters.mismatches.add(verified.mismatches);
            dev_err!(on.pci, "load: {} wrong bytes in round {}\n", verified.mismatches, self.round);
        }
    }
}
