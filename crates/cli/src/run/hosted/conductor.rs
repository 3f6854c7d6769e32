//! Lets the faults happen, and puts a device in the slot afterwards where that is asked for.
//!
//! Faults that are tied to an access, a job or a reset are armed on the card itself, which counts from the moment it was
//! plugged in and tells when they happen. Those tied to progress are carried out here; one that hits a job is armed for the
//! next job then, and happens when that begins. A fault happens once: what has not happened when a card is replaced is armed on
//! the next one.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Instant;

use lifeboat_gpu as gpu;

use super::ledger::Ledger;
use super::machine::{Machine, Plugged};
use crate::run::fault_spec::{FaultKind, FaultSpec, Trigger};
use crate::run::timeline::{MarkKind, Timeline};
use crate::run::workload::Workload;

/// What the conductor is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cue {
    /// This many tiles are done.
    Progress(u64),
    /// A fault that was armed on the card has happened.
    Happened(usize),
    /// The user wants to stop.
    Interrupted,
    /// The work is over.
    End,
}

pub(super) struct Conductor<'a> {
    machine: &'a Machine,
    timeline: &'a Timeline,
    workload: &'a Workload,
    /// Given to the card, to tell of faults.
    cues: Sender<Cue>,
    ledger: Ledger,
    /// Which of the faults that are tied to progress wait on this card for their job.
    waiting: Vec<bool>,
    card: Plugged,
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
        ledger: Ledger,
        cues: Sender<Cue>,
    ) -> io::Result<Self> {
        let waiting = vec![false; ledger.faults().len()];
        let card = machine.plug(|card| arm_all(card, &ledger, &cues))?;
        Ok(Self { machine, timeline, workload, cues, ledger, waiting, card, replug_at: None })
    }

    /// Follows the cues until the end.
    ///
    /// # Errors
    /// If the system has no room for another card.
    pub(super) fn conduct(&mut self, cues: &Receiver<Cue>) -> io::Result<()> {
        let mut done = 0;
        // A fault at 0 % needs no tile.
        self.progress(done);
        loop {
            let cue = match self.replug_at {
                None => cues.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => cues.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match cue {
                Ok(Cue::Progress(now)) => done = done.max(now),
                Ok(Cue::Happened(fault)) => self.happened(fault),
                Ok(Cue::Interrupted) => self.workload.close(),
                Err(RecvTimeoutError::Timeout) => self.replug()?,
                Ok(Cue::End) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.progress(done);
        }
    }

    /// Carries out what is due when this many tiles are done. With the device away it waits for the next one.
    fn progress(&mut self, done: u64) {
        for fault in 0..self.waiting.len() {
            let spec = self.ledger.faults()[fault];
            let Trigger::Progress(percent) = spec.at else { continue };
            let due = !self.ledger.has_fired(fault) && percent.of(self.workload.total()) <= done;
            if !due || self.waiting[fault] {
                continue;
            }
            if hits_a_job(spec.what) {
                self.waiting[fault] = true;
                arm(&self.card, &self.ledger, &self.cues, fault, gpu::Trigger::Job(1));
            } else if self.ledger.fires(fault, self.card.number, &self.card.weak()) {
                self.happened(fault);
                self.card.card.inject(spec.what.into());
            }
        }
    }

    fn happened(&mut self, fault: usize) {
        let spec = self.ledger.faults()[fault];
        self.timeline.mark(spec.what.to_string(), Instant::now(), MarkKind::Fault);
        // If two faults ask for a device, the earlier time serves both.
        let due = spec.replug.map(|after| Instant::now() + after);
        self.replug_at = self.replug_at.into_iter().chain(due).min();
    }

    fn replug(&mut self) -> io::Result<()> {
        self.replug_at = None;
        self.card = self.machine.plug(|card| arm_all(card, &self.ledger, &self.cues))?;
        self.waiting.fill(false);
        Ok(())
    }
}

/// Whether the fault waits for a job that it can hit.
const fn hits_a_job(what: FaultKind) -> bool {
    matches!(what, FaultKind::Hang | FaultKind::JobFault | FaultKind::LostIrq)
}

/// Arms on the card what it counts itself and what has not happened.
fn arm_all(card: &Plugged, ledger: &Ledger, cues: &Sender<Cue>) {
    for (fault, spec) in ledger.faults().iter().enumerate().filter(|(fault, _)| !ledger.has_fired(*fault)) {
        if let Some(at) = spec.at.on_card() {
            arm(card, ledger, cues, fault, at);
        }
    }
}

fn arm(card: &Plugged, ledger: &Ledger, cues: &Sender<Cue>, fault: usize, at: gpu::Trigger) {
    let spec: FaultSpec = ledger.faults()[fault];
    let (weak, number, ledger, cues) = (card.weak(), card.number, ledger.clone(), cues.clone());
    let tell = Box::new(move || {
        if ledger.fires(fault, number, &weak) {
            // After the end nobody listens.
            let _ = cues.send(Cue::Happened(fault));
        }
    });
    card.card.schedule_and_tell(at, spec.what.into(), tell);
}
