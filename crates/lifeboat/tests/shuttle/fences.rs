//! Fences by themselves: who is told, who withdraws, who is dropped while they signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake};

use lifeboat::core::fence::FenceError;
use lifeboat::{Fence, WaitError};
use shuttle::thread;

use super::model::promise;
use super::{LIMIT, count, drop_elsewhere, explore, join};

#[test]
fn fence_1_a_fence_tells_everybody_once_whenever_they_ask() {
    explore(|| {
        let (fence, promise) = promise();
        let told = Arc::<AtomicUsize>::default();
        let asking = [0; 3].map(|_| {
            let (fence, told) = (fence.clone(), told.clone());
            thread::spawn(move || {
                count(&fence, &told);
                assert_eq!(fence.wait(LIMIT), Err(WaitError::Failed(FenceError::Canceled)));
            })
        });
        let all = Fence::all([fence.clone(), fence]);
        drop(promise);
        join(asking);
        assert_eq!(all.error(), Some(FenceError::Canceled));
        assert_eq!(told.load(SeqCst), 3);
    });
}

#[test]
fn sched_13_a_callback_is_run_or_withdrawn_and_never_both() {
    explore(|| {
        let (fence, promise) = promise();
        let all = Fence::all([fence.clone(), Fence::any([fence.clone()])]);
        // The last has no user but its callback.
        let last = Fence::any([all.clone(), fence.clone()]);
        let threads = [fence, all, last].map(|fence| {
            let told = Arc::<AtomicUsize>::default();
            let callback = count(&fence, &told);
            let withdrawer = thread::spawn(move || usize::from(callback.withdraw()));
            (told, withdrawer)
        });
        promise.signal();
        for (told, withdrawer) in threads {
            let withdrawn = withdrawer.join().unwrap();
            assert_eq!(told.load(SeqCst) + withdrawn, 1);
            assert_eq!(Arc::strong_count(&told), 1, "a callback is kept");
        }
    });
}

#[test]
fn sched_13_combinations_are_made_and_dropped_while_their_members_signal() {
    explore(|| {
        let ((one, first), (two, second)) = (promise(), promise());
        let told = Arc::<AtomicUsize>::default();
        let any = Fence::any([one.clone(), two.clone()]);
        let all = Fence::all([any.clone(), two.clone()]);
        let waits = Fence::all([all.clone()]);
        count(&Fence::any([all.clone()]), &told);
        let maker = {
            let (told, any) = (told.clone(), any.clone());
            thread::spawn(move || {
                count(&Fence::all([one, any]), &told);
                count(&Fence::any([two]), &told);
            })
        };
        let threads = [maker, drop_elsewhere(any), drop_elsewhere(all), drop_elsewhere(first), drop_elsewhere(second)];
        assert_eq!(waits.wait(LIMIT), Err(WaitError::Failed(FenceError::Canceled)));
        join(threads);
        assert_eq!((told.load(SeqCst), Arc::strong_count(&told)), (3, 1));
    });
}

#[test]
fn sched_13_a_future_is_dropped_while_its_fence_signals() {
    explore(|| {
        let (fence, promise) = promise();
        let futures = [fence.clone(), Fence::any([fence])].map(|fence| {
            let mut future = Box::pin(fence.into_future());
            let waker = Arc::new(Nobody);
            let pending = future.as_mut().poll(&mut Context::from_waker(&waker.clone().into())).is_pending();
            assert!(pending && Arc::strong_count(&waker) == 2);
            (waker, drop_elsewhere(future))
        });
        promise.signal();
        for (waker, dropper) in futures {
            dropper.join().unwrap();
            assert_eq!(Arc::strong_count(&waker), 1, "a waker is kept");
        }
    });
}

/// A task that is never polled again.
struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}
