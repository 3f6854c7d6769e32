//! One fence made of several.
//!
//! The combined fence is registered as a waiter with each of its *members*, and is withdrawn from
//! them when its result is known or when it is dropped. A member refers to it weakly, so that
//! members do not keep it.

use std::sync::{Arc, Weak};

use super::waiters::{Key, Node, Waiter, Work};
use super::{Fence, FenceInner, Outcome, calls};

/// The members of a combined fence.
pub(super) struct Combination {
    /// Members that have not signalled, and one more until the fence is registered with all of
    /// them: the count cannot reach zero before.
    left: usize,
    /// `None` until the fence is registered with all of them.
    members: Option<Box<Node<Members>>>,
}

/// Withdraws the combined fence from its members when it is dropped. This may drop members, and
/// then theirs: so it goes through the queue (see `calls`), where drops do not nest.
#[derive(Default)]
struct Members(Vec<Member>);

struct Member {
    fence: Fence,
    /// `None` if the member had signalled before.
    key: Option<Key>,
}

/// The waiter that a member has for a combined fence.
struct Part {
    whole: Weak<FenceInner>,
    /// What the signal of a member does.
    told: fn(&FenceInner, Outcome),
}

impl Work for Part {
    fn run(&mut self, outcome: Outcome) {
        if let Some(whole) = self.whole.upgrade() {
            (self.told)(&whole, outcome);
        }
    }
}

impl Work for Members {
    fn run(&mut self, _outcome: Outcome) {}
}

impl Drop for Members {
    fn drop(&mut self) {
        for Member { fence, key } in self.0.drain(..) {
            if fence.status().is_none() {
                // This gives a `Part`, whose drop runs no code of a user.
                key.map(|key| fence.0.withdraw(key));
            }
        }
    }
}

impl Combination {
    /// To be dropped when no lock is held.
    pub(super) fn into_members(self) -> Option<Waiter> {
        self.members.map(|members| members as Waiter)
    }

    fn members(&self) -> &[Member] {
        self.members.as_ref().map_or(&[], |members| &members.work.0)
    }
}

impl Fence {
    /// Signals when all of them have; at once if there are none. Its error is that of the first, in
    /// the order given, that failed.
    ///
    /// # Examples
    /// ```
    /// # fn both(upload: lifeboat::Fence, flip: lifeboat::Fence) -> lifeboat::Fence {
    /// lifeboat::Fence::all([upload, flip])
    /// # }
    /// assert_eq!(lifeboat::Fence::all([]).status(), Some(Ok(())));
    /// ```
    pub fn all(fences: impl IntoIterator<Item = Self>) -> Self {
        let whole = Self::combined(fences.into_iter().collect(), FenceInner::one_less);
        whole.0.one_less(Ok(()));
        whole
    }

    /// Signals when the first of them does, with its outcome; never if there are none, which is
    /// therefore an error of the caller.
    ///
    /// # Panics
    /// If there are none: nobody could ever signal it.
    pub fn any(fences: impl IntoIterator<Item = Self>) -> Self {
        let fences: Vec<Self> = fences.into_iter().collect();
        assert!(!fences.is_empty(), "one of no fences would never signal");
        Self::combined(fences, FenceInner::signal)
    }

    fn combined(fences: Vec<Self>, told: fn(&FenceInner, Outcome)) -> Self {
        let whole = Self::pending(None);
        let combination = Combination { left: fences.len() + 1, members: None };
        whole.0.waiting.lock().others().made_of = Some(combination);
        let mut members = Node::boxed(Members(Vec::with_capacity(fences.len())));
        for fence in fences {
            let part = Node::boxed(Part { whole: Arc::downgrade(&whole.0), told });
            let key = fence.0.add(part).map_err(|mut part| part.due.map(|outcome| part.work.run(outcome))).ok();
            members.work.0.push(Member { fence, key });
        }
        whole.0.keep(members);
        whole
    }

    /// The pending ones among the first `limit` members.
    pub(super) fn pending_members(&self, limit: usize) -> Vec<Self> {
        let waiting = self.0.waiting.lock();
        let made_of = waiting.others.as_ref().and_then(|others| others.made_of.as_ref());
        let members = made_of.map_or(&[][..], Combination::members).iter().take(limit);
        members.map(|member| &member.fence).filter(|fence| fence.status().is_none()).cloned().collect()
    }

    /// This one and another: [`Fence::all`] of the two, or this one alone if they are the same.
    #[must_use = "a new fence"]
    pub fn merge(&self, other: &Self) -> Self {
        if Arc::ptr_eq(&self.0, &other.0) { self.clone() } else { Self::all([self.clone(), other.clone()]) }
    }
}

impl FenceInner {
    /// Counts one of the members that must all signal; and, once, the end of the registration.
    fn one_less(&self, _outcome: Outcome) {
        let mut waiting = self.waiting.lock();
        let made_of = waiting.others.as_mut().and_then(|others| others.made_of.as_mut());
        let Some(made_of) = made_of else { return };
        made_of.left -= 1;
        if made_of.left == 0 {
            let outcome = made_of.members().iter().filter_map(|member| member.fence.status()).collect();
            drop(waiting);
            self.signal(outcome);
        }
    }

    /// Stores the members. If the fence has signalled during the registration, withdraws it from
    /// them.
    fn keep(&self, members: Box<Node<Members>>) {
        let mut waiting = self.waiting.lock();
        if let Some(made_of) = waiting.others.as_mut().and_then(|others| others.made_of.as_mut()) {
            made_of.members = Some(members);
        } else {
            drop(waiting);
            calls::owe([members as Waiter]);
        }
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::fence::FenceError;

    use super::*;
    use crate::fence::{Timeline, Unsignalled};
    use crate::ledger::Ledger;

    fn fences<const N: usize>() -> ([Fence; N], Vec<Unsignalled>) {
        let timeline = Timeline::new(&Ledger::default(), "test", "arrays");
        let mut promises = Vec::new();
        let fences = [(); N].map(|()| {
            let (fence, promise) = timeline.fence();
            promises.push(promise);
            fence
        });
        (fences, promises)
    }

    #[test]
    fn all_signals_last_with_the_first_error_in_order() {
        let (fences, mut promises) = fences::<3>();
        let all = Fence::all(fences);
        promises.pop().unwrap().fail(FenceError::Guilty);
        promises.remove(0).signal();
        assert_eq!(all.status(), None);
        promises.remove(0).fail(FenceError::Lost);
        assert_eq!(all.status(), Some(Err(FenceError::Lost)));
    }

    #[test]
    fn any_signals_first_and_once() {
        let (fences, mut promises) = fences::<2>();
        let any = Fence::any(fences);
        assert_eq!(any.status(), None);
        promises.pop().unwrap().fail(FenceError::Guilty);
        promises.pop().unwrap().signal();
        assert_eq!(any.status(), Some(Err(FenceError::Guilty)));
    }

    #[test]
    fn a_chain_of_any_length_signals_without_a_stack_of_that_length() {
        let ([first], promises) = fences::<1>();
        let mut last = first;
        for _ in 0..100_000 {
            last = last.merge(&Fence::signalled(Ok(())));
        }
        assert_eq!(last.status(), None);
        drop(promises);
        assert_eq!(last.error(), Some(FenceError::Canceled));
    }

    #[test]
    #[should_panic(expected = "never signal")]
    fn any_of_none_is_a_mistake() {
        Fence::any([]);
    }

    #[test]
    fn merging_with_itself_changes_nothing_and_with_another_waits_for_both() {
        let ([one, other], mut promises) = fences::<2>();
        assert!(Arc::ptr_eq(&one.merge(&one).0, &one.0));
        let both = one.merge(&other);
        promises.pop().unwrap().signal();
        assert_eq!(both.status(), None);
        promises.pop().unwrap().signal();
        assert_eq!(both.status(), Some(Ok(())));
    }

    #[test]
    fn fence_1_what_is_made_of_a_dropped_promise_signals_too() {
        let (fences, promises) = fences::<4>();
        let (all, any) = (Fence::all(fences.clone()), Fence::any(fences));
        drop(promises);
        assert_eq!(all.error(), Some(FenceError::Canceled));
        assert_eq!(any.error(), Some(FenceError::Canceled));
    }
}
