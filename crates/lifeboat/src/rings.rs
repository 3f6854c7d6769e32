//! The rings of a device, for its scheduler: each call of the worker is a few sections with the
//! driver's code in them, or one of its sequences.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::fence::Seqno;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{Driver, DriverError, Duty};

use crate::drive::{drive, nothing};
use crate::dump::{Reason, Recorder};
use crate::hardware::Mapped;
use crate::health::HealthCheck;
use crate::irq::Interrupts;
use crate::ledger::Entry;
use crate::link::Link;
use crate::panics::contained;
use crate::rest::Rest;
use crate::sched::{Abort, AtRest, Began, ErrorScope, LetGo, QueueId, RingIndex, Rings};
use crate::subsystem::{Job, Subsystem};

/// A ring of a driver, in host memory.
pub(crate) type Ring<S> = <<S as Subsystem>::Driver as Driver>::Ring<Mapped>;

/// The rings of one binding, and the way to them.
pub(crate) struct DeviceRings<S: Subsystem> {
    pub(crate) link: Arc<Link>,
    pub(crate) subsystem: Arc<S>,
    /// What the device had at probe.
    pub(crate) info: <S::Driver as Driver>::Info,
    pub(crate) rings: Vec<Ring<S>>,
    /// Whether each completes its jobs out of order.
    pub(crate) unordered: Vec<bool>,
    pub(crate) health: HealthCheck<S::Driver>,
    pub(crate) dumps: Arc<Recorder<S>>,
    pub(crate) interrupts: Arc<Interrupts<S>>,
    pub(crate) rest: Arc<Rest>,
    /// The binding counts as long as the worker may be in the driver's code.
    pub(crate) _entry: Arc<Entry>,
}

impl<S: Subsystem> DeviceRings<S> {
    fn ring(&mut self, ring: RingIndex) -> (&Link, &mut Ring<S>) {
        // The scheduler was opened for so many.
        (&self.link, &mut self.rings[usize::from(ring.0)])
    }

    /// Takes up what a ring has reported in its memory. If the device is gone, the link tells.
    fn collect(&mut self, number: RingIndex) {
        let interrupts = self.interrupts.clone();
        let (link, ring) = self.ring(number);
        let _ = link.io(|io| S::Driver::collect(io, ring, |progress| interrupts.report(number, progress)));
    }
}

impl<S: Subsystem> Rings for DeviceRings<S> {
    type Job = S::Job;
    type Error = DriverError;

    fn run(&mut self, ring: RingIndex, job: &Arc<S::Job>, seqno: Seqno) -> Result<(), DriverError> {
        let (link, ring) = self.ring(ring);
        let begins = link.io(|io| S::Driver::run(io, ring, job.work(), seqno))?;
        job.notes().written(begins);
        Ok(())
    }

    fn scope(&self, error: &DriverError) -> ErrorScope {
        error.scope()
    }

    fn reset_ring(&mut self, ring: RingIndex, seqno: Seqno) -> Result<(), DriverError> {
        let (dumps, info) = (self.dumps.clone(), self.info);
        let number = ring.0;
        let (link, ring) = self.ring(ring);
        let fault = link.io(|io| S::Driver::fault(io, number))?;
        dumps.failed(if fault.is_some() {
            Reason::Fault { ring: number }
        } else {
            Reason::JobTimeout { ring: number }
        });
        tracing::info!(ring = number, ?fault, "resetting a ring");
        let reset = link.code(|| S::Driver::reset_ring(info, ring, seqno))?;
        drive(link, reset, nothing)?;
        dumps.mended();
        Ok(())
    }

    /// A long job is no hang as long as its ring gets on.
    fn still_running(&mut self, ring: RingIndex, job: &Arc<S::Job>) -> bool {
        let number = ring.0;
        let (link, ring) = self.ring(ring);
        let Ok(Some(at)) = link.io(|io| S::Driver::place(io, ring)) else { return false };
        let moves = job.notes().moves(at);
        if moves {
            tracing::info!(ring = number, ?at, "a job is overdue, and moves");
        }
        moves
    }

    fn began(&mut self, ring: RingIndex, job: &Arc<S::Job>) -> Began {
        let (link, ring) = self.ring(ring);
        // A device that cannot be asked accuses nobody.
        link.io(|io| S::Driver::began(io, ring, job.work(), job.notes().begins())).unwrap_or(Began::No)
    }

    fn abort(&mut self, ring: RingIndex, job: &Arc<S::Job>, seqno: Seqno) -> Abort {
        let (link, ring) = self.ring(ring);
        // A device that cannot be asked gives nothing up.
        link.io(|io| S::Driver::abort(io, ring, job.work(), seqno)).unwrap_or(Abort::Cannot)
    }

    fn let_go(&mut self, ring: RingIndex, queue: QueueId, kept: &Arc<S::Job>, last_look: bool) -> LetGo {
        let (link, ring) = self.ring(ring);
        // A device that cannot be asked lets go of nothing.
        link.io(|io| S::Driver::let_go(io, ring, queue.to_bits(), kept.work(), last_look)).unwrap_or(LetGo::Cannot)
    }

    fn reset_device(&mut self, numbers: &[Seqno]) -> Result<(), DriverError> {
        self.dumps.failed(Reason::ResetFailed);
        tracing::warn!("resetting the device");
        // The scheduler gives one for each ring.
        let number = |ring: u8| numbers.get(usize::from(ring)).copied().unwrap_or(Seqno::ZERO);
        let Self { link, subsystem, info, rings, .. } = self;
        let reset = link.code(|| S::Driver::reset_device(*info, rings, number))?;
        drive(&**link, reset, |duty| match duty {
            Duty::Restore => subsystem.restore(link),
            _ => Ok(()),
        })?;
        self.dumps.mended();
        Ok(())
    }

    fn progress(&mut self, ring: RingIndex) -> Option<Seqno> {
        if self.link.is_lost() {
            return None;
        }
        if self.unordered.get(usize::from(ring.0)) == Some(&true) {
            // The ring's single completions, if the message about them was lost.
            self.interrupts.handle();
        }
        self.collect(ring);
        self.link.io(|io| S::Driver::progress(io, ring.0)).ok()
    }

    /// The bus side learns of it, and its unplug loses the scheduler. A device that is gone is reported already.
    fn give_up(&mut self) {
        // Whatever comes of the dump, the device is lost.
        contained("a dump", || self.dumps.failed(Reason::GivenUp));
        self.link.lost(Loss::Crashed);
    }

    /// Handles interrupts that could not be handled where they came; lets the subsystem look; asks
    /// how the device is.
    fn look(&mut self) -> Option<Instant> {
        let interrupts = self.interrupts.look();
        if self.interrupts.take_in_memory() {
            for number in 0..self.rings.len() {
                self.collect(RingIndex(u8::try_from(number).unwrap_or(u8::MAX)));
            }
        }
        let subsystem = self.subsystem.look(&self.link);
        let health = self.health.look(&self.link, &self.dumps);
        [interrupts, subsystem, health].into_iter().flatten().min()
    }

    /// In the cut of an unplug, which sees to the rest: interrupts, DMA, mappings. Only then is the device known to be done
    /// with the jobs.
    fn quiesce(&mut self) -> AtRest {
        // Before anything is stopped, and here, because the unplug must not wait for an answer without a limit.
        contained("a dump", || self.dumps.complete());
        self.rest.bring::<S::Driver>(&self.link);
        AtRest::NotYet
    }
}
