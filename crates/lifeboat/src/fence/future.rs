//! Fences as futures: `fence.await`.

use std::future::IntoFuture;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{Fence, Outcome};

/// Becomes the [`Outcome`] of a fence. Dropped before that, it leaves nothing behind.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Signalled {
    fence: Fence,
    /// Its place among the wakers, once it has been asked.
    place: Option<usize>,
}

/// The wakers of those who wait. A place that was given up is used again.
#[derive(Debug, Default)]
pub(super) struct Wakers(Vec<Option<Waker>>);

impl Wakers {
    /// Gives the place, and the waker that is not needed: to be dropped when no lock is held, since it is somebody
    /// else's code.
    fn register(&mut self, place: Option<usize>, waker: Waker) -> (usize, Option<Waker>) {
        let place = place.or_else(|| self.0.iter().position(Option::is_none)).unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        let unneeded = self.0.get_mut(place).and_then(|registered| registered.replace(waker));
        (place, unneeded)
    }

    fn forget(&mut self, place: usize) -> Option<Waker> {
        self.0.get_mut(place)?.take()
    }
}

impl IntoIterator for Wakers {
    type Item = Waker;
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Option<Waker>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

impl IntoFuture for Fence {
    type Output = Outcome;
    type IntoFuture = Signalled;

    fn into_future(self) -> Signalled {
        Signalled { fence: self, place: None }
    }
}

impl IntoFuture for &Fence {
    type Output = Outcome;
    type IntoFuture = Signalled;

    fn into_future(self) -> Signalled {
        self.clone().into_future()
    }
}

impl Future for Signalled {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let (place, waker) = (self.place, context.waker().clone());
        let mut waiting = self.fence.0.waiting.lock();
        if let Some(outcome) = self.fence.status() {
            return Poll::Ready(outcome);
        }
        let (place, unneeded) = waiting.others().wakers.register(place, waker);
        drop(waiting);
        drop(unneeded);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Signalled {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut waiting = self.fence.0.waiting.lock();
        // Dropped after the lock: a waker is somebody else's code. Of a fence that has signalled there are none.
        let waker = waiting.others.as_mut().and_then(|others| others.wakers.forget(place));
        drop(waiting);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Wake;

    use lifeboat_core::fence::FenceError;

    use super::*;
    use crate::fence::Timeline;
    use crate::ledger::Ledger;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn poll(future: &mut Signalled, waker: &Waker) -> Poll<Outcome> {
        Pin::new(future).poll(&mut Context::from_waker(waker))
    }

    #[test]
    fn a_task_is_woken_once_and_a_dropped_future_never() {
        let (fence, promise) = Timeline::new(&Ledger::default(), "test", "futures").fence();
        let counts = [(); 3].map(|()| Arc::new(Counting::default()));
        let wakers = counts.clone().map(Waker::from);
        let (mut waits, mut dropped) = ((&fence).into_future(), (&fence).into_future());
        assert!(poll(&mut waits, &wakers[0]).is_pending());
        assert!(poll(&mut dropped, &wakers[1]).is_pending());
        // The task has moved: only its last waker counts.
        assert!(poll(&mut waits, &wakers[2]).is_pending());
        drop(dropped);
        promise.fail(FenceError::Lost);
        assert_eq!(counts.map(|count| count.0.load(SeqCst)), [0, 0, 1]);
        assert_eq!(poll(&mut waits, &wakers[0]), Poll::Ready(Err(FenceError::Lost)));
        assert_eq!(poll(&mut fence.into_future(), &wakers[0]), Poll::Ready(Err(FenceError::Lost)));
    }

    #[test]
    fn places_are_used_again() {
        let (fence, _promise) = Timeline::new(&Ledger::default(), "test", "futures").fence();
        for _ in 0..100 {
            let mut future = (&fence).into_future();
            assert!(poll(&mut future, Waker::noop()).is_pending());
        }
        assert_eq!(fence.0.waiting.lock().others().wakers.0.len(), 1);
    }
}
