//! LB1's rings, as the [scheduler](crate::sched) uses them. Each access is in a section of its own, so that an unplug
//! need not wait for what waits in here.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::RingIndex;
use lifeboat_core::unplug::Loss;
use lifeboat_lb1::{DriverError, Info, RingWriter};

use crate::contexts::Contexts;
use crate::display::Display;
use crate::dump::{Reason, Recorder, RingMemory};
use crate::hardware::Mapped;
use crate::health::HealthCheck;
use crate::link::Link;
use crate::probe::LIVENESS_PATTERN;
use crate::reset::{RESET_LIMIT, wait_for_reset};
use crate::sched::{AtRest, ErrorScope, Rings};
use crate::submit::Job;

pub(crate) struct Ring {
    pub(crate) number: u8,
    pub(crate) writer: RingWriter,
    pub(crate) memory: Mapped,
}

impl Ring {
    /// Where its descriptors are, for a dump.
    pub(crate) fn memory(&self) -> RingMemory {
        RingMemory { number: self.number, size: self.writer.credits() + 1, memory: self.memory.clone() }
    }
}

/// The rings of one binding, and the way to them.
pub(crate) struct Lb1Rings {
    pub(crate) link: Arc<Link>,
    pub(crate) display: Arc<Display>,
    pub(crate) contexts: Arc<Contexts>,
    /// What the device had at probe.
    pub(crate) info: Info,
    pub(crate) rings: Vec<Ring>,
    pub(crate) health: HealthCheck,
    pub(crate) dumps: Arc<Recorder>,
}

impl Lb1Rings {
    fn ring(&mut self, ring: RingIndex) -> (&Link, &mut Ring) {
        // The scheduler was opened for so many.
        (&self.link, &mut self.rings[usize::from(ring.0)])
    }
}

impl Rings for Lb1Rings {
    type Job = Job;
    type Error = DriverError;

    /// Writes the job into its ring and rings the doorbell.
    fn run(&mut self, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Result<(), DriverError> {
        let (link, ring) = self.ring(ring);
        job.seen_at.store(ring.writer.next_descriptor(), Relaxed);
        link.registers(|lb1, _| {
            let tail = ring.writer.write_job(&ring.memory, job.context.id, &job.commands, seqno)?;
            lb1.doorbell(ring.number, tail)
        })
    }

    /// A job that asks for something the device does not have is at fault itself; every other error says something of the device.
    fn scope(&self, error: &DriverError) -> ErrorScope {
        match error {
            DriverError::NoSuchThing => ErrorScope::Job,
            DriverError::Bus(_)
            | DriverError::Gone
            | DriverError::NotLb1 { .. }
            | DriverError::Impossible(_)
            | DriverError::ResetFailed
            | DriverError::Changed => ErrorScope::Device,
        }
    }

    /// Resets one ring and enables it again. Waits outside the sections, and stops early if the device is gone (GATE-9).
    fn reset_ring(&mut self, ring: RingIndex, seqno: Seqno) -> Result<(), DriverError> {
        let dumps = self.dumps.clone();
        let (link, ring) = self.ring(ring);
        let fault = link.registers(|lb1, _| lb1.ring_fault(ring.number))?;
        let number = ring.number;
        dumps.failed(if fault.is_some() {
            Reason::Fault { ring: number }
        } else {
            Reason::JobTimeout { ring: number }
        });
        tracing::info!(ring = ring.number, ?fault, "resetting a ring");
        link.registers(|lb1, _| lb1.begin_ring_reset(ring.number))?;
        if !wait_for_reset(RESET_LIMIT, || link.registers(|lb1, _| lb1.ring_reset(ring.number)))? {
            return Err(DriverError::ResetFailed);
        }
        link.registers(|lb1, _| lb1.enable_ring(ring.number, &mut ring.writer, ring.memory.iova, seqno))?;
        dumps.mended();
        Ok(())
    }

    /// A long job of many commands is no hang as long as the ring comes from one to the next.
    fn still_running(&mut self, ring: RingIndex, job: &Arc<Job>) -> bool {
        let (link, ring) = self.ring(ring);
        let at = link.registers(|lb1, _| {
            let stopped = lb1.ring_fault(ring.number)?.is_some();
            Ok((!stopped).then_some(lb1.ring_head(ring.number)?))
        });
        let Ok(Some(at)) = at else { return false };
        let moves = job.seen_at.swap(at, Relaxed) != at;
        if moves {
            tracing::info!(ring = ring.number, at, "a job is overdue, and moves");
        }
        moves
    }

    /// A reset forgets everything but VRAM: what users have set up is written again. Waits outside the sections, as
    /// above.
    fn reset_device(&mut self, numbers: &[Seqno]) -> Result<(), DriverError> {
        self.dumps.failed(Reason::ResetFailed);
        tracing::warn!("resetting the device");
        let link = &self.link;
        link.registers(|lb1, _| lb1.begin_device_reset())?;
        if !wait_for_reset(RESET_LIMIT, || link.registers(|lb1, _| lb1.device_reset()))? {
            return Err(DriverError::ResetFailed);
        }
        link.registers(|lb1, _| lb1.is_still(&self.info, LIVENESS_PATTERN))?;
        link.registers(|lb1, _| lb1.enable_device())?;
        self.contexts.restore(link)?;
        self.display.restore(link)?;
        for (ring, seqno) in self.rings.iter_mut().zip(numbers) {
            link.registers(|lb1, _| lb1.enable_ring(ring.number, &mut ring.writer, ring.memory.iova, *seqno))?;
        }
        self.dumps.mended();
        Ok(())
    }

    fn progress(&mut self, ring: RingIndex) -> Option<Seqno> {
        let (link, ring) = self.ring(ring);
        if link.is_lost() {
            return None;
        }
        link.registers(|lb1, _| lb1.seqno(ring.number)).ok()
    }

    /// The bus side learns of it, and its unplug loses the scheduler. A device that is gone is reported already.
    fn give_up(&mut self) {
        self.dumps.failed(Reason::GivenUp);
        self.link.lost(Loss::Crashed);
    }

    /// Asks about a flip whose interrupt has not come, and how the device is.
    fn look(&mut self) -> Option<Instant> {
        let display = self.display.look(&self.link);
        let health = self.health.look(&self.link, &self.dumps);
        [display, health].into_iter().flatten().min()
    }

    /// The unplug brings the device to rest, in its cut: it has the registers for itself then.
    fn quiesce(&mut self) -> AtRest {
        AtRest::NotYet
    }
}
