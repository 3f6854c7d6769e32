//! Fences as futures: `fence.await`.

use std::future::IntoFuture;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiters::{Key, Node, Waiter};
use super::{Fence, Outcome, calls};

/// Becomes the [`Outcome`] of a fence. Dropped before that, it leaves nothing behind.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Signalled {
    fence: Fence,
    /// The place of its waker, once it has been asked.
    key: Option<Key>,
}

impl IntoFuture for Fence {
    type Output = Outcome;
    type IntoFuture = Signalled;

    fn into_future(self) -> Signalled {
        Signalled { fence: self, key: None }
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
        if let Some(outcome) = self.fence.status() {
            return Poll::Ready(outcome);
        }
        // Cloned before anything has changed: a waker is somebody else's code.
        let waker = Node::boxed(Some(context.waker().clone()));
        let mut waiting = self.fence.0.waiting.lock();
        if let Some(outcome) = self.fence.status() {
            drop(waiting);
            calls::owe([waker as Waiter]);
            return Poll::Ready(outcome);
        }
        let (key, unneeded) = waiting.others().waiters.register(self.key, waker);
        drop(waiting);
        self.key = Some(key);
        calls::owe(unneeded);
        Poll::Pending
    }
}

impl Drop for Signalled {
    fn drop(&mut self) {
        calls::owe(self.key.and_then(|key| self.fence.0.withdraw(key)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Wake, Waker};

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
    fn a_future_that_is_dropped_leaves_nothing_and_one_that_is_polled_again_has_one_waker() {
        let (fence, _promise) = Timeline::new(&Ledger::default(), "test", "futures").fence();
        let count = Arc::new(Counting::default());
        let waker = Waker::from(count.clone());
        let mut future = (&fence).into_future();
        for _ in 0..100 {
            assert!(poll(&mut future, &waker).is_pending());
        }
        assert_eq!(Arc::strong_count(&count), 3);
        drop(future);
        assert_eq!(Arc::strong_count(&count), 2);
        assert!(fence.0.waiting.lock().others.is_none());
    }
}
