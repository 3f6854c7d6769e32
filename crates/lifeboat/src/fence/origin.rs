//! Where a fence comes from: the scheduler and the job that will signal it.
//!
//! A scheduler needs it to lend the priority of a waiting job to the jobs that it waits for. It is
//! data, as all that a fence knows (FENCE-3): a scheduler that is gone is a number that nobody has
//! any more.

use std::collections::HashSet;
use std::sync::Arc;

use lifeboat_core::sched::JobId;

use super::{Fence, Unsignalled};

/// The fences that are visited for one, itself included. A bound, because users build combined
/// fences of any size, and far above what is built for a purpose.
const LOOKED_AT: usize = 1 << 16;

/// The job that signals a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// A number that no other scheduler of the process has.
    pub(crate) scheduler: u64,
    pub(crate) job: JobId,
}

impl Unsignalled {
    /// Sets the origin; a second call changes nothing. Takes neither a lock nor memory.
    pub(crate) fn set_origin(&self, origin: Origin) {
        let _ = self.shared().origin.set(origin);
    }
}

impl Fence {
    /// Calls `f` with the origin of this fence and of its members, however deep, as far as they are
    /// pending and have one. No lock is held meanwhile. Visits a bounded number of fences, the
    /// nearest first.
    pub(crate) fn origins(&self, f: &mut dyn FnMut(Origin)) {
        let mut tell = |fence: &Self| {
            let origin = fence.0.origin.get().filter(|_| fence.status().is_none());
            origin.copied().into_iter().for_each(&mut *f);
        };
        if self.0.timeline.is_some() {
            // Only fences without a timeline are made of others.
            return tell(self);
        }
        // One that is a member of several is visited once.
        let mut known = HashSet::from([Arc::as_ptr(&self.0)]);
        let mut seen = vec![self.clone()];
        let mut at = 0;
        while let Some(fence) = seen.get(at) {
            tell(fence);
            let members = fence.pending_members(LOOKED_AT - seen.len());
            seen.extend(members.into_iter().filter(|member| known.insert(Arc::as_ptr(&member.0))));
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::sched::{JobSpec, Limits, Priority, RingIndex, Scheduler, Sizes, Storage, Stores};

    use super::*;
    use crate::fence::Timeline;
    use crate::ledger::Ledger;

    struct Slots;

    impl Storage for Slots {
        type Fence = ();
        type Payload = ();
        type Slots<T> = Vec<T>;

        fn slots<T: Default>(count: usize) -> Option<Vec<T>> {
            Some(std::iter::repeat_with(T::default).take(count).collect())
        }
    }

    /// So many origins of one scheduler.
    fn origins(count: usize) -> Vec<Origin> {
        let stores: Stores<Slots> = Stores::new(Sizes { jobs: count, queues: 1, rings: 1, contexts: 0 }).unwrap();
        let mut core = Scheduler::new(stores, Limits::new(1, std::time::Duration::ZERO));
        let queue = core.open_queue(RingIndex(0), Priority::Normal).unwrap();
        let spec = || JobSpec { cost: 1, dependencies: 0, restartable: false, ..JobSpec::default() };
        (0..count).map(|_| Origin { scheduler: 7, job: core.reserve(queue, spec()).unwrap().job() }).collect()
    }

    fn of(fence: &Fence) -> Vec<Origin> {
        let mut found = Vec::new();
        fence.origins(&mut |origin| found.push(origin));
        found
    }

    #[test]
    fn a_fence_knows_its_origin_and_those_of_its_pending_members() {
        let timeline = Timeline::new(&Ledger::default(), "test", "origins");
        let origins = origins(4);
        let [mut one, mut two, mut three] = [0, 1, 2].map(|at| {
            let (fence, promise) = timeline.fence();
            promise.set_origin(origins[at]);
            (fence, Some(promise))
        });
        // A second origin changes nothing.
        one.1.as_ref().unwrap().set_origin(origins[3]);
        let (without, _promise) = timeline.fence();
        let whole = Fence::any([without.clone(), Fence::all([one.0.clone(), two.0]), three.0.clone()]);
        assert_eq!((of(&one.0), of(&without)), (vec![origins[0]], vec![]));
        assert_eq!(of(&whole), [origins[2], origins[0], origins[1]]);
        drop(two.1.take());
        assert_eq!(of(&whole), [origins[2], origins[0]]);
        drop((one.1.take(), three.1.take()));
        assert_eq!((of(&whole), of(&one.0)), (vec![], vec![]));
    }

    fn pending(timeline: &Timeline, count: usize) -> Vec<(Fence, Unsignalled)> {
        let origin = origins(1)[0];
        let promises: Vec<_> = (0..count).map(|_| timeline.fence()).collect();
        for (_, promise) in &promises {
            promise.set_origin(origin);
        }
        promises
    }

    #[test]
    fn each_of_many_is_visited_once_however_it_is_reached() {
        let timeline = Timeline::new(&Ledger::default(), "test", "origins");
        let promises = pending(&timeline, 1000);
        let wide = Fence::all(promises.iter().map(|(fence, _)| fence.clone()));
        let deep = promises.iter().fold(wide.clone(), |deep, (fence, _)| deep.merge(fence));
        assert_eq!((of(&wide).len(), of(&deep).len()), (1000, 1000));
    }

    #[test]
    fn there_is_a_bound() {
        let timeline = Timeline::new(&Ledger::default(), "test", "origins");
        let promises = pending(&timeline, LOOKED_AT + 10);
        let wide = Fence::all(promises.iter().map(|(fence, _)| fence.clone()));
        assert_eq!(of(&wide).len(), LOOKED_AT - 1);
    }
}
