// SPDX-License-Identifier: GPL-2.0 OR MIT

//! When the state of a device is captured.

use core::time::Duration;

use kernel::{
    new_mutex, pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        Arc, Mutex,
    },
    workqueue::{new_delayed_work, DelayedWork},
};
use lifeboat_core::class::Presence;
use lifeboat_core::health::Verdict;
use lifeboat_core::incident::Incident;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{dump::Reason, Driver};

use super::capture::Capture;
use super::publish::PUBLISH;
use super::subject::Subject;
use crate::clock::Clock;
use crate::registration::Driven;
use crate::shared::Shared;
use crate::shown::Shown;

/// How long a device that is lost may take for its answers. Then it is not asked anything else: the end of its binding waits.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// Captures that are set aside: one may be on its way to the kernel, or wait for that, while the next is made.
const CAPTURES: usize = 2;

/// Takes the dumps of one device.
#[pin_data]
pub(crate) struct Recorder {
    pub(super) pci: ARef<pci::Device>,
    pub(super) shared: Arc<Shared>,
    bound: Clock,
    /// The number of the card's node, 0 before it is registered.
    minor: Atomic<u32>,
    #[pin]
    pub(super) dumps: Mutex<Dumps>,
    #[pin]
    pub(super) publish_work: DelayedWork<Recorder, PUBLISH>,
}

/// Locked for a look: captures are made, and written, without it.
pub(super) struct Dumps {
    incident: Incident,
    /// These and `waiting` have room for all.
    pub(super) free: KVec<KBox<Capture>>,
    /// Captures that are to be published, oldest first.
    pub(super) waiting: KVec<KBox<Capture>>,
    /// Of the binding that ends, until it is complete.
    ending: Option<KBox<Capture>>,
}

impl Recorder {
    /// Sets memory aside for the dumps of a device.
    pub(crate) fn new(
        function: &pci::Device,
        info: &<Driven as Driver>::Info,
        shared: Arc<Shared>,
    ) -> Result<Arc<Self>> {
        let mut free = KVec::with_capacity(CAPTURES, GFP_KERNEL)?;
        for _ in 0..CAPTURES {
            free.push(Capture::new(info)?, GFP_KERNEL)?;
        }
        let waiting = KVec::with_capacity(CAPTURES, GFP_KERNEL)?;
        let dumps = Dumps { incident: Incident::none(), free, waiting, ending: None };
        Arc::pin_init(
            pin_init!(Self {
                pci: function.into(),
                shared,
                bound: Clock::start(),
                minor: Atomic::new(0),
                dumps <- new_mutex!(dumps, "lifeboat::dumps"),
                publish_work <- new_delayed_work!("lifeboat::dump"),
            }),
            GFP_KERNEL,
        )
    }

    /// Sets the number that dumps have.
    pub(crate) fn set_minor(&self, minor: u32) {
        self.minor.store(minor, Relaxed);
    }

    pub(super) fn minor(&self) -> u32 {
        self.minor.load(Relaxed)
    }

    /// Something is wrong with the device, and nothing has been reset for it yet. Captures the state if this begins an
    /// incident. Allocates nothing. In a section of the gate, with no lock held.
    ///
    /// Not of a device that does not answer: the end of its binding sees to that.
    pub(crate) fn failed(self: &Arc<Self>, device: &impl Subject, reason: Reason) {
        if !answers(device) {
            return;
        }
        if let Some(mut capture) = self.new_incident(device, reason) {
            capture.begin(device, reason, &self.bound);
            // The end of the binding waits for one register at most, and needs none of this.
            capture.read(device, || !device.link().is_ending());
            self.captured(capture);
        }
    }

    /// A reset has succeeded.
    pub(crate) fn mended(&self, device: &impl Subject) {
        let completed = device.completed();
        self.dumps.lock().incident.mended(completed);
    }

    /// The binding is about to end, and nothing is announced yet. Captures what the driver knows. Asks the device nothing: an
    /// answer may take seconds, and users are told of the loss first. [`Recorder::complete`] asks.
    pub(crate) fn ends(&self, device: &impl Subject, loss: Loss) {
        let Some(reason) = Reason::at_the_end(loss) else { return };
        if let Some(mut capture) = self.new_incident(device, reason) {
            capture.begin(device, reason, &self.bound);
            self.dumps.lock().ending = Some(capture);
        }
    }

    /// Users have been told of the end, and nothing is stopped yet. Adds what the device says to what [`Recorder::ends`] has
    /// captured, if it says so soon.
    pub(crate) fn complete(self: &Arc<Self>, device: &impl Subject) {
        let Some(mut capture) = self.dumps.lock().ending.take() else { return };
        let asked = Clock::start();
        let in_time = || asked.elapsed() < ANSWER_LIMIT;
        if capture.reason != Reason::Lost && answers(device) && in_time() {
            capture.read(device, in_time);
        } else {
            capture.nothing_to_read();
        }
        self.captured(capture);
    }

    /// Memory for a dump, if this begins an incident.
    fn new_incident(&self, device: &impl Subject, reason: Reason) -> Option<KBox<Capture>> {
        // What is announced as gone has no jobs any more.
        if device.gate().presence() != Presence::Live {
            return None;
        }
        let completed = device.completed();
        let (capture, replaced) = {
            let mut dumps = self.dumps.lock();
            if !dumps.incident.failed(completed) {
                return None;
            }
            let free = dumps.free.pop();
            let waiting = if free.is_none() { dumps.waiting.pop() } else { None };
            let replaced = waiting.as_ref().map(|waiting| waiting.reason);
            (free.or(waiting), replaced)
        };
        if let Some(replaced) = replaced {
            dev_notice!(self.pci, "the dump ({}) that waited gives way to a newer one\n", Shown(replaced));
        }
        if capture.is_none() {
            dev_notice!(self.pci, "no dump ({}): those before are not published yet\n", Shown(reason));
        }
        capture
    }

    fn captured(self: &Arc<Self>, capture: KBox<Capture>) {
        dev_notice!(self.pci, "the state was captured: {}\n", Shown(capture.reason));
        // There is room for all that were set aside.
        let _ = self.dumps.lock().waiting.push_within_capacity(capture);
        self.publish_soon(0);
    }
}

fn answers(device: &impl Subject) -> bool {
    matches!(device.link().io(Driven::presence), Ok(Verdict::Alive | Verdict::Unsure))
}
