//! Lets the faults happen, and puts the device back.
//!
//! Faults that are tied to an access, a job or a reset are armed on the card itself, which counts them from the moment it
//! was plugged in. Those tied to progress are carried out here. A fault happens once: what has not happened when a card
//! goes is armed on the next one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use lifeboat_gpu::{Card, Fault, Trigger as CardTrigger};

use super::fault_spec::{FaultKind, FaultSpec, Trigger};
use super::machine::{DeviceEvent, Machine};
use super::timeline::{MarkKind, Timeline};
use super::workload::Workload;

/// What the conductor is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cue {
    /// This many tiles are done.
    Progress(u64),
    /// Something happened to the device.
    Device(DeviceEvent),
    /// The user wants to stop.
    Interrupted,
    /// The work is over.
    End,
}

pub(super) struct Conductor<'a> {
    machine: &'a Machine,
    timeline: &'a Timeline,
    workload: &'a Workload,
    /// What has not happened yet.
    pending: Vec<FaultSpec>,
    card: Arc<Card>,
    replug_at: Option<Instant>,
}

/// The numbers of tiles done at which something is to happen.
pub(super) fn milestones(faults: &[FaultSpec], total: u64) -> Vec<u64> {
    let progress = |spec: &FaultSpec| match spec.at {
        Trigger::Progress(percent) => Some(percent.of(total)),
        _ => None,
    };
    faults.iter().filter_map(progress).collect()
}

impl<'a> Conductor<'a> {
    /// Plugs in the first card, with its faults armed.
    pub(super) fn begin(
        machine: &'a Machine,
        timeline: &'a Timeline,
        workload: &'a Workload,
        faults: Vec<FaultSpec>,
    ) -> io::Result<Self> {
        let card = machine.plug(|card| arm(card, &faults))?;
        Ok(Self { machine, timeline, workload, pending: faults, card, replug_at: None })
    }

    /// Follows the cues until the end.
    ///
    /// # Errors
    /// If the system has no room for another card.
    pub(super) fn conduct(&mut self, cues: &Receiver<Cue>) -> io::Result<()> {
        // A fault at 0 % needs no tile.
        self.progress(0);
        loop {
            let cue = match self.replug_at {
                None => cues.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => cues.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match cue {
                Ok(Cue::Progress(done)) => self.progress(done),
                Ok(Cue::Device(DeviceEvent::Lost)) => self.lost(),
                Ok(Cue::Interrupted) => self.workload.close(),
                Err(RecvTimeoutError::Timeout) => self.replug()?,
                Ok(Cue::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn progress(&mut self, done: u64) {
        while let Some(at) = self.pending.iter().position(|spec| match spec.at {
            Trigger::Progress(percent) => percent.of(self.workload.total()) <= done,
            _ => false,
        }) {
            // With the device away the fault waits for the next one.
            if !self.card.is_present() {
                return;
            }
            let spec = self.pending.remove(at);
            self.timeline.mark(spec.what.to_string(), Instant::now(), MarkKind::Fault);
            self.card.inject(card_fault(spec.what));
            if spec.what == FaultKind::Unplug {
                self.plan_replug(spec.replug);
            }
        }
    }

    /// The binding has ended. If a fault of ours did it, its device may be due to come back.
    fn lost(&mut self) {
        if self.replug_at.is_some() {
            return;
        }
        let counters = self.card.counters();
        let happened = |spec: &FaultSpec| match spec.at {
            Trigger::Access(n) => n.get() <= counters.accesses,
            Trigger::Job(n) => n.get() <= counters.jobs,
            Trigger::Reset(n) => n.get() <= counters.resets,
            Trigger::Progress(_) => false,
        };
        let takes_away = |spec: &FaultSpec| spec.what.may_take_device_away() && happened(spec);
        // Of several that could have been it, the earliest was.
        let first = (0..self.pending.len()).filter(|at| takes_away(&self.pending[*at])).min_by_key(|at| {
            match self.pending[*at].at {
                Trigger::Access(n) | Trigger::Job(n) | Trigger::Reset(n) => n.get(),
                Trigger::Progress(_) => u64::MAX,
            }
        });
        if let Some(at) = first {
            let spec = self.pending.remove(at);
            self.plan_replug(spec.replug);
        }
        // What else has happened to this card will not happen to the next.
        self.pending.retain(|spec| spec.what.may_take_device_away() || !happened(spec));
    }

    fn plan_replug(&mut self, after: Option<Duration>) {
        self.replug_at = after.map(|after| Instant::now() + after);
    }

    fn replug(&mut self) -> io::Result<()> {
        self.replug_at = None;
        self.card = self.machine.plug(|card| arm(card, &self.pending))?;
        Ok(())
    }
}

/// Arms on the card what it counts itself.
fn arm(card: &Card, faults: &[FaultSpec]) {
    for spec in faults {
        let at = match spec.at {
            Trigger::Access(n) => CardTrigger::Access(n.get()),
            Trigger::Job(n) => CardTrigger::Job(n.get()),
            Trigger::Reset(n) => CardTrigger::Reset(n.get()),
            Trigger::Progress(_) => continue,
        };
        card.schedule(at, card_fault(spec.what));
    }
}

fn card_fault(what: FaultKind) -> Fault {
    match what {
        FaultKind::Unplug => Fault::Remove,
        FaultKind::Hang => Fault::Hang,
        FaultKind::JobFault => Fault::JobFault,
        FaultKind::LostIrq => Fault::LostInterrupt,
        FaultKind::SpuriousIrq => Fault::SpuriousInterrupt,
        FaultKind::StuckHeartbeat => Fault::StuckHeartbeat,
        FaultKind::Slow(by) => Fault::Slow(by),
        FaultKind::FailedReset => Fault::FailedReset,
    }
}
