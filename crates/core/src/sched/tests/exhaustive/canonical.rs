//! One representative for all states that differ only in what nobody can tell: how long ago the beginning was, how many
//! numbers a ring has used up, which slot a job got, what a popped list entry still remembers, how a job ended that
//! nobody waits for.
//!
//! Without it the same situation after one more reset would be a new state, and there would be no end of them. It takes
//! the scheduler's lists apart and builds them anew, and checks on the way that each slot is in the list it belongs to.

use super::*;

impl World {
    pub(super) fn canonical(mut self, config: &Config) -> Self {
        self.rebase_time(config);
        for ring in 0..self.engines.len() {
            if config.out_of_order {
                self.close_gaps(ring);
            }
            self.rebase_numbers(ring);
        }
        self.forget(config);
        self.rename_slots();
        self.sort_free_queues();
        self
    }

    /// Now is the beginning. What is overdue is so no matter for how long.
    fn rebase_time(&mut self, config: &Config) {
        let now = core::mem::take(&mut self.now).since_beginning();
        let rebased = |at: Timestamp| Timestamp::new(at.since_beginning().saturating_sub(now));
        let lost = self.lost;
        let rebased_answer = |due: Timestamp| if lost { Timestamp::default() } else { rebased(due) };
        for (slot, held) in self.scheduler.queues.iter_mut().zip(&mut self.held) {
            if let Hold::Asked(due) = &mut slot.hold {
                *due = rebased_answer(*due);
            }
            if let Question::Asked(due) = &mut held.question {
                *due = rebased_answer(*due);
            }
        }
        for (ring, engine) in self.scheduler.rings.iter_mut().zip(&mut self.engines) {
            ring.deadline = ring.deadline.map(rebased);
            // For shares of time, which one party alone has all of.
            ring.since = ring.since.map(|_| Timestamp::default());
            // The time of a job on a ring that is to be reset does not pass for it any more, unless another is suspect, or the firmware.
            let doubted = matches!(ring.state, RingState::Suspect | RingState::Asked);
            let passes = ring.deadline.is_some() || (ring.unordered || config.firmware.is_some()) && doubted;
            for (_, job) in &engine.given {
                let job = &mut self.jobs[*job];
                let slot = job.handle.filter(|_| !self.lost).map(|id| &mut self.scheduler.jobs[id.index as usize]);
                job.deadline = job.deadline.filter(|_| passes && !self.lost).map(rebased);
                if let Some(slot) = slot {
                    slot.deadline = slot.deadline.filter(|_| passes).map(rebased);
                }
            }
        }
    }

    /// The last reported number of each ring is 2, so that there are older ones.
    fn rebase_numbers(&mut self, index: usize) {
        let (ring, engine) = (&mut self.scheduler.rings[index], &mut self.engines[index]);
        let base = ring.completed.value();
        let rebased = |seqno: Seqno| Seqno::from_register(seqno.value().wrapping_sub(base).wrapping_add(2)).unwrap();
        if !engine.stopped {
            // Old news, however old.
            engine.news = engine.news.map(|_| Seqno::from_register(base.wrapping_sub(1)).unwrap());
        }
        let news = engine.news.iter_mut();
        for seqno in
            [&mut ring.completed, &mut ring.issued, &mut ring.given, &mut engine.register].into_iter().chain(news)
        {
            *seqno = rebased(*seqno);
        }
        for (seqno, _) in &mut engine.given {
            *seqno = rebased(*seqno);
        }
        if let Reset::Begun(announced) = &mut engine.reset {
            *announced = rebased(*announced);
        }
        let jobs = self.scheduler.jobs.iter_mut();
        for job in jobs.filter(|job| job.on_hardware && job.seqno != Seqno::ZERO && usize::from(job.ring.0) == index) {
            job.seqno = rebased(job.seqno);
        }
    }

    /// Which numbers were used by jobs that are done already is of no interest: those in use follow each other, and
    /// whatever is older than the last reported one is the one before it.
    fn close_gaps(&mut self, index: usize) {
        let (ring, engine) = (&mut self.scheduler.rings[index], &mut self.engines[index]);
        engine.finished.sort_by_key(|job| engine.given.iter().position(|(_, given)| given == job));
        let base = ring.completed.value();
        // Far less than half of all numbers is in use.
        let place = |seqno: Seqno| seqno.value().wrapping_sub(base).cast_signed();
        let ours = |job: &&mut JobSlot<u32, u32>| job.on_hardware && usize::from(job.ring.0) == index;
        let mut jobs: Vec<_> = self.scheduler.jobs.iter_mut().filter(ours).collect();
        jobs.retain(|job| job.seqno != Seqno::ZERO);
        let mut used: Vec<i32> = vec![place(ring.given), place(ring.issued)];
        used.extend(engine.given.iter().map(|(seqno, _)| place(*seqno)));
        used.extend(jobs.iter().map(|job| place(job.seqno)));
        used.retain(|place| *place > 0);
        used.sort_unstable();
        used.dedup();
        let last = place(ring.issued);
        let closed = |seqno: Seqno| {
            let before = used.iter().filter(|used| **used < place(seqno)).count();
            let closed = match place(seqno) {
                old if old < 0 => u32::MAX,
                0 => 0,
                // A number that a reset has announced.
                new if new > last => u32::try_from(used.len()).unwrap() + (new - last).cast_unsigned(),
                _ => u32::try_from(before).unwrap() + 1,
            };
            Seqno::from_register(base.wrapping_add(closed)).unwrap()
        };
        for job in jobs {
            job.seqno = closed(job.seqno);
        }
        for (seqno, _) in &mut engine.given {
            *seqno = closed(*seqno);
        }
        engine.register = closed(engine.register);
        if let Reset::Begun(announced) = &mut engine.reset {
            *announced = closed(*announced);
        }
        (ring.given, ring.issued) = (closed(ring.given), closed(ring.issued));
    }

    /// Values that are written before they are read again, and reasons that are not asked for any more.
    fn forget(&mut self, config: &Config) {
        for job in self.scheduler.jobs.iter_mut().filter(|job| job.state != JobState::Running) {
            (job.deadline, job.extensions, job.aborted) = (None, 0, false);
            // A job that is reported after a loss is looked for by its number.
            if !(config.out_of_order && matches!(job.state, JobState::Finished | JobState::Orphan) && job.on_hardware) {
                job.seqno = Seqno::ZERO;
            }
        }
        let on_rings: Vec<usize> = self.engines.iter().flat_map(|engine| &engine.given).map(|(_, job)| *job).collect();
        for (_, job) in self.jobs.iter_mut().enumerate().filter(|(index, _)| self.lost || !on_rings.contains(index)) {
            (job.deadline, job.vouched, job.aborted) = (None, 0, false);
        }
        for queue in self.scheduler.queues.iter_mut().filter(|queue| queue.in_use && queue.stands == Stands::Nowhere) {
            if !matches!(queue.hold, Hold::Nothing | Hold::Held) {
                continue; // in a list of its ring's
            }
            queue.links = Links::NONE;
        }
        for queue in self.scheduler.queues.iter_mut().filter(|queue| queue.running == 0) {
            queue.runs_on = queue.ring;
        }
        // Asked for only when a queue is moved, which nobody does here.
        self.scheduler.queues.iter_mut().for_each(|queue| queue.largest = 0);
        // Compared with a context's last one only, and there are no contexts.
        self.scheduler.resets = 0;
        for job in &mut self.scheduler.jobs {
            (job.charged, job.charged_at) = (0, Priority::Normal);
        }
        for (ring, engine) in self.scheduler.rings.iter_mut().zip(&mut self.engines) {
            let turns = &mut ring.turns;
            for level in &mut turns.unowned.at {
                (level.used, level.ahead) = (0, 0);
            }
            (turns.unowned.last, turns.last, turns.floor) = (0, 0, [0; PRIORITIES]);
            if ring.state == RingState::Running {
                assert_eq!(ring.blame, Blame::Nobody, "a suspect that is cleared is remembered");
                assert!(!ring.acquitted, "and that it was none");
                (engine.suspect, engine.acquitted) = (None, false);
            }
            if !config.faults && !config.unbegun && config.firmware.is_none() {
                // Each reset has somebody who is to blame for it.
                (ring.tried, engine.vain) = (Tried::Nothing, Vain::Nothing);
            }
            if ring.state == RingState::Dead {
                (ring.blame, engine.suspect, engine.told) = (Blame::Nobody, None, false);
                (ring.acquitted, engine.acquitted) = (false, false);
                (ring.tried, engine.vain) = (Tried::Nothing, Vain::Nothing);
            }
        }
        let before = self.jobs.clone();
        for (index, (job, plan)) in self.jobs.iter_mut().zip(&config.jobs).enumerate() {
            // The order among those of its queue that have not ended and those that may have overtaken one.
            let earlier = before.iter().zip(&config.jobs).filter(|(other, other_plan)| {
                let same = other_plan.queue == plan.queue && other.stage == Stage::Committed;
                same && other.rank < job.rank && other.signalled.is_none()
            });
            let earlier = earlier.count();
            if job.stage == Stage::Committed {
                job.rank = earlier;
            }
            if job.signalled.is_some() {
                (job.completed, job.lost) = (false, None);
                job.ran &= earlier > 0;
                if job.wait == Wait::Failed {
                    job.wait = Wait::Over;
                }
                let waiting = |(other, plan): (&Progress, &Plan)| {
                    plan.after == After::Job(index) && other.wait == Wait::Open && other.stage != Stage::Withdrawn
                };
                if !before.iter().zip(&config.jobs).any(waiting) {
                    job.signalled = Some(Ok(()));
                }
            }
            if job.wait != Wait::Open && (job.released || job.stage == Stage::Withdrawn) {
                job.handle = None;
            }
        }
    }

    /// Slots in the order of their jobs. The scheduler never compares indices, so that only their names change.
    fn rename_slots(&mut self) {
        let owners: Vec<(bool, usize)> = (0..self.scheduler.jobs.len()).map(|slot| self.owner(slot)).collect();
        let mut order: Vec<usize> = (0..owners.len()).collect();
        order.sort_by_key(|slot| owners[*slot]);
        let mut names = vec![0; order.len()];
        for (name, slot) in (0..).zip(&order) {
            names[*slot] = name;
        }

        let Scheduler { jobs, queues, rings, finished, done, free_jobs, .. } = &mut self.scheduler;
        let mut lists = vec![free_jobs, finished, done];
        lists.extend(queues.iter_mut().map(|queue| &mut queue.jobs));
        for ring in rings {
            lists.extend([&mut ring.pending, &mut ring.orphans]);
            if let Blame::Overdue(slot) = &mut ring.blame {
                *slot = names[*slot as usize];
            }
        }
        let mut members: Vec<Vec<u32>> = lists.iter_mut().map(|list| take_apart(list, jobs)).collect();
        assert!(members[0].iter().all(|slot| jobs[*slot as usize].state == JobState::Free), "a free slot is in use");
        let listed: usize = members.iter().map(Vec::len).sum();
        let reserved = jobs.iter().filter(|job| job.state == JobState::Reserved).count();
        assert_eq!(listed + reserved, jobs.len(), "a job is in no list, or in two");

        for slot in jobs.iter_mut() {
            slot.links = Links::NONE;
        }
        *jobs = order.iter().map(|slot| core::mem::take(&mut jobs[*slot])).collect();
        // Who is next among the free decides only about names.
        members[0].sort_unstable_by_key(|slot| names[*slot as usize]);
        for (list, members) in lists.into_iter().zip(members) {
            for slot in members {
                list.push_back(jobs, names[slot as usize]);
            }
        }
        for progress in &mut self.jobs {
            if let Some(handle) = &mut progress.handle {
                handle.index = names[handle.index as usize];
            }
            if let Stage::Reserved(reservation) = &mut progress.stage {
                reservation.0.index = names[reservation.0.index as usize];
            }
        }
        self.rebase_generations();
    }

    /// Whose slot it is: a job's that holds it; else a job's that still has a handle of it; else nobody's.
    fn owner(&self, slot: usize) -> (bool, usize) {
        let generation = self.scheduler.jobs[slot].generation;
        let with_handle = |current: bool| {
            let has = |job: &Progress| {
                job.handle.is_some_and(|id| id.index as usize == slot && (id.generation == generation) == current)
            };
            self.jobs.iter().position(has)
        };
        with_handle(true).map_or((true, with_handle(false).unwrap_or(JOBS)), |job| (false, job))
    }

    /// A slot to which nobody has an old handle is as good as new.
    fn rebase_generations(&mut self) {
        for (index, slot) in (0..).zip(&mut self.scheduler.jobs) {
            let mut handles = self.jobs.iter().filter_map(|job| job.handle).filter(|handle| handle.index == index);
            if handles.any(|handle| handle.generation != slot.generation) {
                continue;
            }
            slot.generation = 0;
            for progress in &mut self.jobs {
                let reserved = match &mut progress.stage {
                    Stage::Reserved(Reservation(id)) => Some(id),
                    Stage::Planned | Stage::Withdrawn | Stage::Committed => None,
                };
                for id in progress.handle.iter_mut().chain(reserved).filter(|id| id.index == index) {
                    id.generation = 0;
                }
            }
        }
    }

    /// Queues are opened only in the beginning and after the end.
    fn sort_free_queues(&mut self) {
        let Scheduler { queues, free_queues, .. } = &mut self.scheduler;
        let mut free = take_apart(free_queues, queues);
        free.sort_unstable();
        let in_use = queues.iter().filter(|queue| queue.in_use).count();
        assert!(free.iter().all(|queue| !queues[*queue as usize].in_use), "a free queue is in use");
        assert_eq!(free.len() + in_use, queues.len(), "a queue's slot is lost");
        for queue in free {
            free_queues.push_back(queues, queue);
        }
    }
}

/// Empties a list.
fn take_apart<T: Linked>(list: &mut List, slots: &mut [T]) -> Vec<u32> {
    let mut members = vec![];
    while let Some(slot) = list.pop_front(slots) {
        members.push(slot);
        assert!(members.len() <= slots.len(), "a list that has no end");
    }
    members
}
