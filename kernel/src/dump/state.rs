// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A captured state, as `lifeboat_driver::dump` writes it.

use lifeboat_driver::{
    dump::{About, Entry, Guilty, Job, Layout, Lossy, Process, Ring, State},
    Driver,
};

use super::capture::{Capture, PendingJob, LAYOUT};
use crate::opener::Opener;
use crate::registration::Driven;
use crate::NAME;

/// The name of the driver in a dump: the module's.
const DRIVER: &str = match NAME.to_str() {
    Ok(name) => name,
    Err(_) => "",
};

/// See the module documentation.
pub(super) struct Shown<'a> {
    capture: &'a Capture,
    location: Lossy<'a>,
    process: Option<(u32, Lossy<'a>)>,
}

impl<'a> Shown<'a> {
    /// The captured state of a device in this place.
    pub(super) fn new(capture: &'a Capture, location: &'a [u8]) -> Self {
        let opener = capture.guilty.as_ref().and_then(|(_, opener)| opener.as_ref());
        let process = opener.map(|Opener { pid, name }| {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            // A process has a positive number.
            (u32::try_from(*pid).unwrap_or(0), Lossy(name.get(..end).unwrap_or_default()))
        });
        Self { capture, location: Lossy(location), process }
    }

    fn guilty(&self) -> Option<Guilty<'_>> {
        let (index, _) = self.capture.guilty.as_ref()?;
        let PendingJob { ring, context, fence, .. } = self.capture.jobs.get(*index)?;
        let process = self.process.as_ref().map(|(pid, name)| Process { pid: *pid, name });
        Some(Guilty { ring: *ring, context: *context, fence, number: fence.number, process })
    }
}

impl State for Shown<'_> {
    fn about(&self) -> About<'_> {
        About {
            driver: (DRIVER, Driven::FACTS.version),
            model: Driven::FACTS.model,
            minor: self.capture.minor,
            location: &self.location,
            taken: self.capture.at,
            since_bind: self.capture.since_bind,
            reason: self.capture.reason,
            guilty: self.guilty(),
        }
    }

    fn layout(&self) -> &Layout {
        LAYOUT
    }

    fn registers(&self) -> Option<&[Option<u32>]> {
        self.capture.is_read.then_some(&self.capture.registers[..])
    }

    fn rings(&self) -> impl Iterator<Item = Ring<'_>> {
        self.capture.rings()
    }

    fn jobs(&self) -> impl Iterator<Item = Job<'_>> {
        self.capture.jobs.iter().map(|job| Job {
            ring: job.ring,
            queue: job.queue,
            context: job.context,
            seqno: job.seqno,
            waits: job.waits,
            commands: job.commands,
            fence: &job.fence,
            number: job.fence.number,
            age_us: job.age_us,
        })
    }

    fn jobs_left_out(&self) -> u64 {
        self.capture.jobs_left_out
    }

    fn entry(&self, ring: u8, index: u32, bytes: &mut [u8]) -> Entry {
        self.capture.entry(ring, index, bytes)
    }
}
