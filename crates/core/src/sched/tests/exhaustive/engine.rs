//! A ring as the hardware has it, and how far a reset of it has come.

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reset {
    None,
    Asked,
    /// With the number that it is to show afterwards.
    Begun(Seqno),
    Held,
    Proven,
    Failed,
}

impl Reset {
    /// The hardware reads nothing of what it was given before.
    pub(super) fn has_taken_hold(self) -> bool {
        matches!(self, Self::Held | Self::Proven)
    }

    /// The shell has it in hand.
    pub(super) fn is_under_way(self) -> bool {
        matches!(self, Self::Begun(_)) || self.has_taken_hold()
    }
}

/// The largest thing that was reset in vain: nobody was to blame, and nothing has completed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Vain {
    Nothing,
    Ring,
    Device,
}

/// A ring as the hardware has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // facts that do not exclude each other
pub(super) struct Engine {
    /// What its number reads.
    pub(super) register: Seqno,
    /// Jobs given to it whose end has not been reported, oldest first.
    pub(super) given: Vec<(Seqno, usize)>,
    /// How many of them it has completed.
    pub(super) completed: usize,
    /// The jobs among them that it has finished, on a ring that works out of order.
    pub(super) finished: Vec<usize>,
    pub(super) reset: Reset,
    /// The job that was overdue when the ring became suspect.
    pub(super) suspect: Option<usize>,
    /// It stopped with a fault, at this job if it had one.
    pub(super) stopped: bool,
    pub(super) stopped_at: Option<usize>,
    /// The scheduler was told of that.
    pub(super) told: bool,
    /// The number that was read with a fault of which nobody has been told yet.
    pub(super) news: Option<Seqno>,
    /// The youngest so many of `given` are in the shell's hand: the hardware does not have them.
    pub(super) in_hand: usize,
    /// The oldest so many of `given` the scheduler knows to be there.
    pub(super) known: usize,
    /// Its suspect completed while the shell was to find out whether it must be reset.
    pub(super) forgiven: bool,
    /// The driver has found that the ring has not begun its suspect.
    pub(super) acquitted: bool,
    /// The job that it was told to give up, and whether it has.
    pub(super) aborting: Option<(usize, bool)>,
    pub(super) vain: Vain,
}

impl Engine {
    /// Jobs that the hardware has, or had.
    pub(super) fn written(&self) -> usize {
        self.given.len() - self.in_hand
    }

    /// The job that it executes, or stopped at.
    pub(super) fn executing(&self) -> Option<usize> {
        let mut left = self.given[..self.written()].iter().skip(self.completed).map(|(_, job)| *job);
        left.find(|job| !self.finished.contains(job) && !self.has_given_up(*job))
    }

    /// Whether it has given a job up, and nobody has been told.
    pub(super) fn has_given_up(&self, job: usize) -> bool {
        self.aborting == Some((job, true))
    }

    /// The job that is guilty unless the driver finds that the ring has not begun it: the one that
    /// the ring stopped at, if anybody was told of that; else the one that was overdue, if it is
    /// still there.
    pub(super) fn accused(&self) -> Option<usize> {
        if self.told {
            self.stopped_at
        } else {
            self.suspect.filter(|job| self.given.iter().any(|(_, given)| given == job))
        }
    }

    /// The jobs that a ring which works out of order may finish next: the oldest of each queue.
    pub(super) fn may_finish<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = usize> + 'a {
        let written = self.given[..self.written()].iter().map(|(_, job)| *job);
        let left = written.filter(|job| !self.finished.contains(job) && !self.has_given_up(*job));
        left.filter(move |job| self.older_of_its_queue(config, *job).all(|other| self.finished.contains(&other)))
    }

    /// The finished jobs that the shell may be told of next: of each queue the oldest.
    pub(super) fn may_report<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = usize> + 'a {
        let finished = self.finished.iter().copied();
        finished.filter(move |job| self.older_of_its_queue(config, *job).next().is_none())
    }

    /// Jobs of the same queue that the ring was given before, and whose end has not been reported.
    fn older_of_its_queue<'a>(&'a self, config: &'a Config, job: usize) -> impl Iterator<Item = usize> + 'a {
        let before = self.given.iter().map(|(_, other)| *other).take_while(move |other| *other != job);
        before.filter(move |other| config.jobs[*other].queue == config.jobs[job].queue)
    }

    /// The job that is guilty if the ring is reset now.
    pub(super) fn guilty(&self) -> Option<usize> {
        self.accused().filter(|_| !self.acquitted)
    }
}
