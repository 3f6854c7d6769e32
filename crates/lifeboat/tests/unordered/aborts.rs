//! A job that hangs: it is given up alone, or its ring is reset, or the device.

use super::*;
use crate::model::{Aborts, Resets};

/// One job that hangs beside another on the same ring, and a third on the other ring. Nobody else has a time limit.
struct Hang {
    machine: Machine,
    device: Device,
    queues: [Queue<Job>; 3],
    hung: (u32, Fence),
    neighbour: (u32, Fence),
    elsewhere: (u32, Fence),
}

impl Hang {
    fn new(ring: u8, behaviour: Behaviour, restartable: bool) -> Self {
        let (machine, device) = Machine::behaving(SOON, behaviour);
        let queues = [ring, ring, 1 - ring].map(|ring| queue(&device, ring));
        let patient =
            |queue| machine.submit(queue, |new| (new.time_limit, new.restartable) = (Some(NEVER), restartable));
        let (neighbour, elsewhere) = (patient(&queues[1]), patient(&queues[2]));
        machine.wait_for(ring, &[neighbour.0]);
        machine.wait_for(1 - ring, &[elsewhere.0]);
        let hung = machine.plain(&queues[0]);
        Self { machine, device, queues, hung, neighbour, elsewhere }
    }

    /// The next jobs of each queue run.
    fn goes_on(self) {
        let Self { machine, device, queues, .. } = self;
        machine.card.model().behave(Behaviour::default());
        for queue in &queues {
            let (tag, fence) = machine.submit(queue, |new| new.time_limit = Some(NEVER));
            until("the device has it", || (0..RINGS).any(|ring| machine.card.model().has(ring).contains(&tag)));
            machine.complete(tag);
            ends(&fence, Ok(()));
        }
        drop((queues, device));
        machine.finish();
    }

    fn complete(&self, (tag, fence): &(u32, Fence)) {
        until("the device has it", || (0..RINGS).any(|ring| self.machine.card.model().has(ring).contains(tag)));
        self.machine.complete(*tag);
        ends(fence, Ok(()));
    }
}

fn aborting(aborts: Aborts) -> Behaviour {
    Behaviour { aborts, ..Behaviour::default() }
}

#[test]
fn sched_4_a_job_that_hangs_is_given_up_and_nothing_else_is() {
    for ring in 0..RINGS {
        for aborts in [Aborts::Reports, Aborts::AtOnce] {
            let hang = Hang::new(ring, aborting(aborts), false);
            ends(&hang.hung.1, Err(FenceError::Guilty));
            let model = hang.machine.card.model();
            assert_eq!((model.aborts(), model.resets()), (1, Resets::default()), "{aborts:?}");
            assert_eq!((hang.neighbour.1.status(), hang.elsewhere.1.status()), (None, None), "{aborts:?}");
            until("its memory is released", || !hang.machine.is_kept(hang.hung.0));
            hang.complete(&hang.neighbour);
            hang.complete(&hang.elsewhere);
            hang.goes_on();
        }
    }
}

#[test]
fn sched_4_a_job_that_completes_when_it_is_to_be_given_up_was_slow() {
    for ring in 0..RINGS {
        let hang = Hang::new(ring, aborting(Aborts::Completes), false);
        ends(&hang.hung.1, Ok(()));
        assert_eq!(hang.machine.card.model().resets(), Resets::default());
        hang.complete(&hang.neighbour);
        hang.complete(&hang.elsewhere);
        hang.goes_on();
    }
}

/// What the neighbours on the ring get if it is reset, after an abort that did not help.
fn is_reset(aborts: Aborts, restartable: bool) {
    for ring in 0..RINGS {
        let hang = Hang::new(ring, aborting(aborts), restartable);
        ends(&hang.hung.1, Err(FenceError::Guilty));
        if restartable {
            hang.complete(&hang.neighbour);
        } else {
            ends(&hang.neighbour.1, Err(FenceError::Innocent));
        }
        let mut resets = Resets::default();
        resets.ring[usize::from(ring)] = 1;
        let model = hang.machine.card.model();
        assert_eq!((model.aborts(), model.resets()), (1, resets), "{aborts:?}");
        assert_eq!(hang.elsewhere.1.status(), None, "the other ring is not concerned");
        hang.complete(&hang.elsewhere);
        hang.goes_on();
    }
}

#[test]
fn sched_4_a_ring_that_can_give_up_no_job_is_reset() {
    is_reset(Aborts::Cannot, false);
}

#[test]
fn sched_4_a_ring_that_does_not_answer_an_abort_is_reset() {
    is_reset(Aborts::Ignores, false);
}

#[test]
fn sched_6_a_job_beside_the_one_that_hangs_runs_again_if_that_is_safe() {
    is_reset(Aborts::Cannot, true);
}

#[test]
fn sched_4_a_device_whose_ring_cannot_be_reset_is_reset() {
    for ring in 0..RINGS {
        let behaviour = Behaviour { ring_resets_fail: true, ..aborting(Aborts::Cannot) };
        let hang = Hang::new(ring, behaviour, false);
        ends(&hang.hung.1, Err(FenceError::Guilty));
        ends(&hang.neighbour.1, Err(FenceError::Innocent));
        ends(&hang.elsewhere.1, Err(FenceError::Innocent));
        assert_eq!(hang.machine.card.model().resets().device, 1);
        hang.goes_on();
    }
}

#[test]
fn sched_7_a_context_is_charged_for_each_job_of_it_that_is_given_up() {
    let (machine, device) = Machine::behaving(SOON, aborting(Aborts::Reports));
    let [guilty, innocent] = [(); 2].map(|()| device.scheduler().context().unwrap());
    let queues = [&guilty, &innocent].map(|context| context.queue(RingIndex(1), Priority::Normal).unwrap());
    let other = machine.submit(&queues[1], |new| new.time_limit = Some(NEVER));
    for _ in 0..2 {
        ends(&machine.plain(&queues[0]).1, Err(FenceError::Guilty));
    }
    let stats = [guilty.reset_stats(), innocent.reset_stats()];
    assert_eq!(stats.map(|stats| (stats.guilty, stats.innocent)), [(2, 0), (0, 0)]);
    machine.complete(other.0);
    ends(&other.1, Ok(()));
    drop((queues, guilty, innocent, device));
    machine.finish();
}
