//! One fence made of several.

use std::sync::Arc;
use std::sync::atomic::Ordering::AcqRel;

use super::{Fence, Outcome};
use crate::primitive::atomic::AtomicUsize;

impl Fence {
    /// Signals when all of them have; at once if there are none. Its error is that of the first, in the order given,
    /// that failed.
    ///
    /// # Examples
    /// ```
    /// # fn both(upload: lifeboat::Fence, flip: lifeboat::Fence) -> lifeboat::Fence {
    /// lifeboat::Fence::all([upload, flip])
    /// # }
    /// assert_eq!(lifeboat::Fence::all([]).status(), Some(Ok(())));
    /// ```
    pub fn all(fences: impl IntoIterator<Item = Self>) -> Self {
        let fences: Arc<[Self]> = fences.into_iter().collect();
        let whole = Self::pending(None);
        // One more than there are fences: it cannot reach zero before all have been asked.
        let left = Arc::new(AtomicUsize::new(fences.len() + 1));
        let done = {
            let (fences, whole) = (fences.clone(), whole.clone());
            move || {
                // Acquire and release: who is last sees what all others have said.
                if left.fetch_sub(1, AcqRel) == 1 {
                    let outcomes = fences.iter().filter_map(Self::status);
                    whole.0.signal(outcomes.collect::<Outcome>());
                }
            }
        };
        for fence in &*fences {
            let done = done.clone();
            fence.on_signal(move |_| done());
        }
        done();
        whole
    }

    /// Signals when the first of them does, with its outcome; never if there are none, which is therefore an error of
    /// the caller.
    ///
    /// # Panics
    /// If there are none: nobody could ever signal it.
    pub fn any(fences: impl IntoIterator<Item = Self>) -> Self {
        let mut fences = fences.into_iter().peekable();
        assert!(fences.peek().is_some(), "one of no fences would never signal");
        let first = Self::pending(None);
        for fence in fences {
            let first = first.clone();
            fence.on_signal(move |outcome| first.0.signal(outcome));
        }
        first
    }

    /// This one and another: [`Fence::all`] of the two, or this one alone if they are the same.
    #[must_use = "a new fence"]
    pub fn merge(&self, other: &Self) -> Self {
        if Arc::ptr_eq(&self.0, &other.0) { self.clone() } else { Self::all([self.clone(), other.clone()]) }
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
