// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Background load: keeps every ring busy with small jobs, each verified, so that a loss happens with jobs in flight.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Release},
        Arc, Mutex,
    },
    workqueue::{impl_has_work, WorkItem},
};
use lifeboat_core::sched::{JobSpec, Priority, QueueId};
use lifeboat_driver::Driver;
use lifeboat_jobqueue::{Fence, Timeline, Unsignalled};

use crate::device::{Device, LOAD};
use crate::errno::from_core;
use crate::exercise::Exercise;
use crate::job::Job;
use crate::module_parameters;
use crate::registration::Driven;

/// The load of one device, and the queues that it and the self-test use.
#[pin_data]
pub(crate) struct Load {
    on: Atomic<bool>,
    #[pin]
    slots: Mutex<KVec<Slot>>,
    #[pin]
    queues: Mutex<KVec<QueueId>>,
}

/// A slot of a workspace with one job after another, always of the same kind.
struct Slot {
    exercise: Exercise,
    queue: QueueId,
    round: u32,
    running: Option<Fence>,
}

impl_has_work! {
    impl HasWork<Self, LOAD> for Device { self.load_work }
}

impl WorkItem<LOAD> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.load.run(&this);
    }
}

impl Device {
    /// Has the load verify and submit, as there may be something for it to do.
    pub(crate) fn kick_load(self: &Arc<Self>) {
        let _ = self.shared.queue.enqueue::<_, LOAD>(self.clone());
    }
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
    pub(crate) fn open(&self, device: &Device) -> Result {
        let context = device.engine.open_context(*module_parameters::guilty_limit.value_ref()).ok_or(ENOSPC)?;
        for number in 0..Driven::rings(&device.info) {
            let queue = device.engine.open_queue(context, number, Priority::Normal).map_err(from_core)?;
            let workspace = device.rings.lock().workspace(number)?;
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

    /// Hands a job of the driver's own over. Its fence does not leave the module.
    pub(crate) fn submit(&self, device: &Device, queue: QueueId, job: Arc<Job>) -> Result<Fence> {
        let unsignalled = Unsignalled::new(&Timeline::internal("lifeboat", "own"), 0)?;
        let spec = JobSpec { cost: Driven::cost(job.work()), restartable: true, ..JobSpec::default() };
        let prepared = device.engine.prepare(queue, spec, &[])?;
        let fence = unsignalled.fence();
        prepared.commit(unsignalled, job);
        device.counters.jobs_submitted.add(1);
        Ok(fence)
    }

    /// Drops the slots, which refer to the device's memory. The load must be stopped.
    pub(crate) fn close(&self) {
        let slots = core::mem::take(&mut *self.slots.lock());
        drop(slots);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Acquire)
    }

    /// Turns the load on or off. Jobs in flight complete.
    pub(crate) fn set(&self, device: &Arc<Device>, on: bool) {
        self.on.store(on, Release);
        if on {
            device.kick_load();
        }
    }

    /// Ends the load, whose jobs hung or faulted too often, until the device is bound anew.
    fn refused(&self, device: &Device) {
        device.counters.jobs_refused.add(1);
        if self.on.xchg(false, Full) {
            dev_err!(device.pci, "load: its jobs caused too many resets, no more are accepted\n");
        }
    }

    /// Verifies what has completed and submits what comes next.
    fn run(&self, device: &Arc<Device>) {
        for slot in self.slots.lock().iter_mut() {
            if let Some(outcome) = slot.running.as_ref().map(|fence| fence.outcome()) {
                let Some(outcome) = outcome else { continue };
                slot.running = None;
                if outcome.is_ok() {
                    slot.verify(device);
                }
            }
            if self.is_on() {
                slot.submit(device);
            }
        }
    }
}

impl Slot {
    /// Submits the next job, unless the device takes no more or there is no memory just now.
    fn submit(&mut self, device: &Arc<Device>) {
        self.round = self.round.wrapping_add(1);
        let Ok(job) = self.exercise.prepare(self.round) else { return };
        match device.load.submit(device, self.queue, job) {
            Ok(fence) => self.running = Some(fence),
            Err(error) if error == ECANCELED => device.load.refused(device),
            Err(_) => {}
        }
    }

    fn verify(&mut self, device: &Device) {
        let Ok(verified) = self.exercise.verify() else { return };
        device.counters.verified_bytes.add(verified.bytes);
        if verified.mismatches > 0 {
            device.counters.mismatches.add(verified.mismatches);
            dev_err!(device.pci, "load: {} wrong bytes in round {}\n", verified.mismatches, self.round);
        }
    }
}
