//! The device goes while it has jobs, and others wait.

use super::*;
use lifeboat::sched::SubmitError;
use lifeboat::{Counts, Kind};

use crate::driver::CREDITS;
use crate::model::Aborts;

/// Jobs on both rings, jobs behind them in their queues, and jobs for which no ring has credits; the first of each ring
/// has completed.
struct Busy {
    queues: Vec<Queue<Job>>,
    fences: Vec<Fence>,
}

impl Busy {
    fn new(machine: &Machine, device: &Device) -> Self {
        let queues: Vec<_> = (0..2 * CREDITS + 4).map(|at| queue(device, u8::from(at % 2 == 1))).collect();
        let twice = queues.iter().chain(&queues);
        let fences: Vec<_> = twice.map(|queue| machine.submit(queue, |new| new.time_limit = Some(NEVER)).1).collect();
        for tag in [1, 0] {
            Self::fills_both(machine);
            machine.complete(tag);
            ends(&fences[tag as usize], Ok(()));
        }
        Self::fills_both(machine);
        Self { queues, fences }
    }

    fn fills_both(machine: &Machine) {
        let full = |ring| machine.card.model().has(ring).len() == CREDITS as usize;
        until("both rings are full", || (0..RINGS).all(full));
    }

    /// What had not completed has ended with the device, what had has not, and nothing more is taken.
    fn is_lost(&self) {
        self.fences[2..].iter().for_each(|fence| ends(fence, Err(FenceError::Lost)));
        assert_eq!([0, 1].map(|at: usize| self.fences[at].status()), [Some(Ok(())); 2]);
        for queue in &self.queues {
            assert_eq!(queue.submit(NewJob::new(job(0))).unwrap_err(), SubmitError::Ended(FenceError::Lost));
        }
    }
}

/// Whatever ends a binding while its rings are full: every fence signals, and the module holds nothing then but the
/// device that the test holds.
fn goes(how: impl FnOnce(&Machine, &Device), expected: Loss) {
    let machine = Machine::new(NEVER);
    let device = machine.added();
    let busy = Busy::new(&machine, &device);
    how(&machine, &device);
    busy.is_lost();
    let report = machine.removed();
    assert_eq!(report.loss, expected);
    assert!(report.holdouts.is_none() && report.threads_held.is_none() && report.overstay.is_none(), "{report:?}");
    assert_eq!(report.fences_retired, busy.fences.len() - 2, "{report:?}");
    until("all memory of jobs is released", || (0..).zip(&busy.fences).all(|(tag, _)| !machine.is_kept(tag)));
    machine.slot.remove();
    until("only the device is left", || machine.bus.counts() == Counts::from([(Kind::DEVICE, 1)]));
    drop((busy, device));
    machine.finish();
}

#[test]
fn life_5_pulled_out_with_jobs_on_it() {
    goes(|machine, _| machine.slot.remove(), Loss::Unplugged);
}

#[test]
fn life_5_unbound_by_hand_with_jobs_on_it() {
    goes(|machine, _| machine.bus.unbind_all(), Loss::Unbound);
}

/// A job is overdue, and nothing helps.
#[test]
fn life_5_given_up_with_jobs_on_it() {
    let behaviour =
        Behaviour { aborts: Aborts::Ignores, ring_resets_fail: true, resets_fail: true, ..Behaviour::default() };
    let (machine, device) = Machine::behaving(SOON, behaviour);
    let other = queue(&device, 1);
    let (_, elsewhere) = machine.submit(&other, |new| new.time_limit = Some(NEVER));
    let first = queue(&device, 0);
    let (_, hung) = machine.plain(&first);
    let (_, behind) = machine.submit(&first, |new| new.time_limit = Some(NEVER));
    for fence in [&hung, &behind, &elsewhere] {
        until("it signals", || fence.status().is_some());
        assert!(matches!(fence.status(), Some(Err(FenceError::Lost | FenceError::Guilty))), "{fence:?}");
    }
    assert_eq!(machine.removed().loss, Loss::Crashed);
    machine.card.model().behave(Behaviour::default());
    machine.slot.remove();
    drop((first, other, device));
    machine.finish();
}

#[test]
fn recov_1_one_that_was_given_up_is_bound_again_and_completes_jobs_in_any_order() {
    let behaviour =
        Behaviour { aborts: Aborts::Cannot, ring_resets_fail: true, resets_fail: true, ..Behaviour::default() };
    let (machine, device) = Machine::behaving(SOON, behaviour);
    let first = queue(&device, 0);
    let (_, hung) = machine.plain(&first);
    assert_eq!(machine.removed().loss, Loss::Crashed);
    until("it signals", || hung.status().is_some());
    machine.card.model().behave(Behaviour::default());
    let new = loop {
        match machine.event() {
            Event::Added { minor, .. } => break machine.bus.device(minor).unwrap(),
            Event::ProbeFailed { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    let queues = [queue(&new, 0), queue(&new, 0)];
    let jobs = queues.each_ref().map(|queue| machine.submit(queue, |new| new.time_limit = Some(NEVER)));
    for (tag, fence) in jobs.iter().rev() {
        until("the device has it", || machine.card.model().has(0).contains(tag));
        machine.complete(*tag);
        ends(fence, Ok(()));
    }
    assert!(first.submit(NewJob::new(job(0))).is_err(), "the old queue leads to the new device");
    drop((queues, first, new, device));
    machine.finish();
}

#[test]
fn fence_2_pulled_out_while_completions_come_in_every_fence_signals_once() {
    for round in 0..20_u32 {
        let machine = Machine::new(NEVER);
        let device = machine.added();
        let queues: Vec<_> = (0..8).map(|at| queue(&device, at % 2)).collect();
        let told: Vec<_> = (0..64)
            .map(|at| {
                let (_, fence) = machine.plain(&queues[at % queues.len()]);
                let times = Arc::new(std::sync::atomic::AtomicU32::new(0));
                let counted = times.clone();
                fence.on_signal(move |_| {
                    counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                });
                (fence, times)
            })
            .collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Until it has nothing any more: what is given to it when it is gone does not come.
                for at in 0..16_u32 * round {
                    let has = machine.card.model().has(u8::from(at % 2 == 1));
                    if let Some(tag) = has.get(at as usize % 3) {
                        machine.card.upstream(|engine, upstream| engine.complete(*tag, upstream));
                    }
                }
            });
            machine.slot.remove();
        });
        assert_eq!(machine.removed().loss, Loss::Unplugged);
        for (fence, times) in &told {
            let end = fence.status().expect("the unplug has returned");
            assert!(matches!(end, Ok(()) | Err(FenceError::Lost)), "{end:?}");
            until("its callback is run", || times.load(std::sync::atomic::Ordering::SeqCst) == 1);
        }
        drop((told, queues, device));
        machine.finish();
    }
}

#[test]
fn recov_3_pulled_out_while_a_job_is_given_up() {
    for ring in 0..RINGS {
        let (machine, device) = Machine::behaving(SOON, Behaviour { aborts: Aborts::Ignores, ..Behaviour::default() });
        let queues = [queue(&device, ring), queue(&device, ring)];
        // The abort goes on for the time of a job.
        let (_, patient) = machine.submit(&queues[1], |new| new.time_limit = Some(NEVER));
        let (_, hung) = machine.plain(&queues[0]);
        until("it is to give up the job", || machine.card.model().aborts() == 1);
        machine.slot.remove();
        assert_eq!(machine.removed().loss, Loss::Unplugged);
        for fence in [&hung, &patient] {
            let end = fence.status().expect("the unplug has returned");
            // On a busy machine its time may be over first.
            assert!(matches!(end, Err(FenceError::Lost | FenceError::Guilty | FenceError::Innocent)), "{end:?}");
        }
        drop((queues, device));
        machine.finish();
    }
}

#[test]
fn sched_2_jobs_that_a_living_device_reads_are_kept_until_it_is_stopped() {
    let machine = Machine::new(NEVER);
    let device = machine.added();
    let first = queue(&device, 0);
    let (tag, fence) = machine.plain(&first);
    machine.wait_for(0, &[tag]);
    let (seen, kept) = (machine.card.clone(), machine.jobs.lock().unwrap()[tag as usize].clone());
    // Called where the loss is announced, long before the device is stopped.
    let was = Arc::new(Mutex::new(None));
    let told = was.clone();
    fence.on_signal(move |_| *told.lock().unwrap() = Some((seen.model().has(0).len(), kept.strong_count() > 0)));
    machine.bus.unbind_all();
    ends(&fence, Err(FenceError::Lost));
    assert_eq!(machine.removed().loss, Loss::Unbound);
    assert_eq!(*was.lock().unwrap(), Some((1, true)), "the device had it, and so had the driver");
    until("its memory is released", || !machine.is_kept(tag));
    assert!(machine.card.model().has(0).is_empty(), "the driver has stopped the device");
    drop((first, device));
    machine.finish();
}
