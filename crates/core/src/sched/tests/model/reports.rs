//! What rings report, and what that does to the model.

use super::*;

impl Model {
    pub(in super::super) fn hw_done(&mut self, ring: usize, seqno: Seqno, now: Timestamp) {
        if self.numbers_are_void() {
            return;
        }
        let slot = &mut self.rings[ring];
        let Some(at) = slot.numbers.iter().position(|number| *number == seqno).filter(|at| *at > slot.at) else {
            return;
        };
        if matches!(slot.is, RingIs::Resetting(_)) && at + 2 >= slot.numbers.len() {
            return; // the numbers of the reset
        }
        slot.at = at;
        let done = slot.numbers[..=at].to_vec();
        self.left(ring, &done, Ok(()), now);
        let slot = &self.rings[ring];
        if self.lost.is_some() && at + 1 == slot.numbers.len() {
            // The ring has executed all that it will ever be given, and reads nothing any more.
            for job in self.jobs.iter_mut().filter(|job| job.ring == ring) {
                job.on_hardware = false;
            }
        }
    }

    pub(in super::super) fn hw_done_one(&mut self, ring: usize, seqno: Seqno, now: Timestamp) {
        self.one_left(ring, seqno, Ok(()), now);
    }

    /// A ring has told of one job that it is done with it. Gives the job that ends so.
    pub(super) fn one_left(
        &mut self,
        ring: usize,
        seqno: Seqno,
        result: Result<(), FenceError>,
        now: Timestamp,
    ) -> Option<usize> {
        if self.numbers_are_void() {
            return None;
        }
        if self.lost.is_some() {
            let orphan = |job: &&mut Job| (job.ring, job.seqno, job.stage) == (ring, seqno, Stage::Signalled);
            // A job that was never on a ring, or has completed, is on no hardware anyway.
            self.jobs.iter_mut().filter(orphan).for_each(|job| job.on_hardware = false);
            return None;
        }
        let slot = &self.rings[ring];
        let place = slot.running.iter().position(|(number, _)| *number == seqno)?;
        let job = slot.running[place].1;
        let queue = |(_, job): &(Seqno, usize)| self.jobs[*job].queue;
        if slot.running[..place].iter().any(|older| queue(older) == queue(&slot.running[place])) {
            return None;
        }
        self.left(ring, &[seqno], result, now);
        let slot = &mut self.rings[ring];
        let announced = if matches!(slot.is, RingIs::Resetting(_)) { 2 } else { 0 };
        if slot.running.is_empty() {
            slot.at = slot.numbers.len() - 1 - announced;
        } else if place == 0 {
            slot.at = slot.numbers.iter().position(|number| *number == seqno).unwrap();
        }
        Some(job)
    }

    /// The jobs with these numbers end so, as far as they are on the ring.
    fn left(&mut self, ring: usize, numbers: &[Seqno], result: Result<(), FenceError>, now: Timestamp) {
        let slot = &mut self.rings[ring];
        let (accused, oldest) = (slot.accused(), slot.running.first().copied());
        let (done, left) =
            core::mem::take(&mut slot.running).into_iter().partition(|(seqno, _)| numbers.contains(seqno));
        slot.running = left;
        let done: Vec<(Seqno, usize)> = done;
        for (_, job) in &done {
            slot.credits += self.jobs[*job].spec.cost;
            self.jobs[*job].stage = Stage::Ended(result);
            self.jobs[*job].on_hardware = false;
        }
        if !done.is_empty() && result.is_ok() {
            slot.vain = Vain::Nothing;
        }
        slot.acquitted &= slot.accused() == accused;
        let next = slot.running.first().filter(|next| Some(**next) != oldest && !slot.unordered);
        if let Some((_, job)) = next {
            self.jobs[*job].since = now;
        }
        if let RingIs::Suspect(Cause::Overdue(job))
        | RingIs::Asked(Cause::Overdue(job))
        | RingIs::Aborting(Cause::Overdue(job), _) = slot.is
        {
            if !slot.has(job) {
                slot.is = RingIs::Running;
                self.doubt_firmware(ring);
            }
        }
    }

    pub(in super::super) fn fault(&mut self, ring: usize, seqno: Seqno, now: Timestamp) {
        self.hw_done(ring, seqno, now);
        if self.numbers_are_void() {
            return;
        }
        let slot = &mut self.rings[ring];
        let announced =
            matches!(slot.is, RingIs::Resetting(_)) && slot.numbers[slot.numbers.len() - 2..].contains(&seqno);
        if slot.numbers[..slot.at].contains(&seqno) || announced {
            return;
        }
        let is_news = match slot.is {
            RingIs::Running | RingIs::Stuck(_) | RingIs::Dead => false,
            RingIs::Suspect(cause) | RingIs::Asked(cause) | RingIs::Aborting(cause, _) | RingIs::Resetting(cause) => {
                cause != Cause::Fault
            }
        };
        slot.acquitted &= !is_news;
        match &mut slot.is {
            RingIs::Running | RingIs::Suspect(_) | RingIs::Aborting(..) => slot.is = RingIs::Suspect(Cause::Fault),
            RingIs::Asked(cause) | RingIs::Resetting(cause) => *cause = Cause::Fault,
            RingIs::Stuck(_) | RingIs::Dead => {}
        }
    }
}
