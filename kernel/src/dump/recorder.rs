// SPDX-License-Identifier: GPL-2.0 OR MIT

//! When the state of a device is captured.

use core::time::Duration;

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, Mutex,
    },
};
use lifeboat_core::class::Presence;
use lifeboat_core::health::Verdict;
use lifeboat_core::incident::Incident;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{dump::Reason, Driver};

use super::capture::Capture;
use super::outbox::Outbox;
use super::subject::Subject;
use crate::clock::Clock;
use crate::registration::Driven;

/// How long a device that is lost may take for its answers. Then it is not asked anything else: the
/// end of its binding waits.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// Takes the dumps of one device.
#[pin_data]
pub(crate) struct Recorder {
    outbox: Arc<Outbox>,
    bound: Clock,
    /// The number of the card's node, 0 before it is registered.
    minor: Atomic<u32>,
    #[pin]
    incident: Mutex<State>,
}

struct State {
    incident: Incident,
    /// Of the binding that ends, until it is complete.
    ending: Option<KBox<Capture>>,
}

impl Recorder {
    /// Sets memory aside for the dumps of a device.
    pub(crate) fn new(outbox: Arc<Outbox>, info: &<Driven as Driver>::Info) -> Result<impl PinInit<Self>> {
        outbox.set_aside(info)?;
        let state = State { incident: Incident::none(), ending: None };
        Ok(pin_init!(Self {
            outbox,
            bound: Clock::start(),
            minor: Atomic::new(0),
            incident <- new_mutex!(state, "lifeboat::incident"),
        }))
    }

    /// Sets the number that dumps have.
    pub(crate) fn set_minor(&self, minor: u32) {
        self.minor.store(minor, Relaxed);
    }

    /// Something is wrong with the device, and nothing has been reset for it yet. Captures the
    /// state if this begins an incident. Allocates nothing. In a section of the gate, with no lock
    /// held.
    ///
    /// Not of a device that does not answer: the end of its binding sees to that.
    pub(crate) fn failed(&self, device: &impl Subject, reason: Reason) {
        if !answers(device) {
            return;
        }
        if let Some(mut capture) = self.begin(device, reason) {
            // The end of the binding waits for one register at most, and needs none of this.
            capture.read(device, || !device.link().is_ending());
            self.outbox.send(capture);
        }
    }

    /// A reset has succeeded.
    pub(crate) fn mended(&self, device: &impl Subject) {
        let completed = device.completed();
        self.incident.lock().incident.mended(completed);
    }

    /// The binding is about to end, and nothing is announced yet. Captures what the driver knows.
    /// Asks the device nothing: an answer may take seconds, and users are told of the loss first.
    /// [`Recorder::complete`] asks.
    pub(crate) fn ends(&self, device: &impl Subject, loss: Loss) {
        let Some(reason) = Reason::at_the_end(loss) else { return };
        let capture = self.begin(device, reason);
        self.incident.lock().ending = capture;
    }

    /// Users have been told of the end, and nothing is stopped yet. Adds what the device says to
    /// what [`Recorder::ends`] has captured, if it says so soon.
    pub(crate) fn complete(&self, device: &impl Subject) {
        let ending = self.incident.lock().ending.take();
        let Some(mut capture) = ending else { return };
        let asked = Clock::start();
        let in_time = || asked.elapsed() < ANSWER_LIMIT;
        if capture.reason != Reason::Lost && answers(device) && in_time() {
            capture.read(device, in_time);
        } else {
            capture.nothing_to_read();
        }
        self.outbox.send(capture);
    }

    /// What the driver knows, if this begins an incident.
    fn begin(&self, device: &impl Subject, reason: Reason) -> Option<KBox<Capture>> {
        // A device that is announced as gone has no jobs any more.
        if device.gate().presence() != Presence::Live {
            return None;
        }
        let completed = device.completed();
        if !self.incident.lock().incident.failed(completed) {
            return None;
        }
        let mut capture = self.outbox.take(device.info(), reason)?;
        capture.begin(device, reason, self.minor.load(Relaxed), &self.bound);
        Some(capture)
    }
}

fn answers(device: &impl Subject) -> bool {
    matches!(device.link().io(Driven::presence), Ok(Verdict::Alive | Verdict::Unsure))
}
