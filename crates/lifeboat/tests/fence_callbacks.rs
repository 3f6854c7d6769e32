//! SCHED-13: callbacks can be withdrawn, whatever they wait for, and leave nothing behind. Then
//! they never run.
//!
//! Memory is counted for each thread.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod withdrawal;

use std::cell::RefCell;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use lifeboat::core::fence::FenceError;
use lifeboat::{Callback, Fence, Signalled};
use withdrawal::{MANY, STACK, left, pair};

/// Uses a fence when it is dropped.
struct Asks(Fence);

impl Drop for Asks {
    fn drop(&mut self) {
        self.0.on_signal(drop).withdraw();
    }
}

#[test]
fn sched_13_a_withdrawn_callback_never_runs_and_drops_what_it_captured() {
    let (fence, promise) = pair();
    let captured = Arc::new(());
    let callbacks: Vec<_> = (0..100)
        .map(|_| {
            let captured = captured.clone();
            fence.on_signal(move |_| {
                unreachable!("{captured:?}");
            })
        })
        .collect();
    assert_eq!(Arc::strong_count(&captured), 101);
    for (withdrawn, callback) in callbacks.into_iter().enumerate() {
        assert!(callback.withdraw());
        assert_eq!(Arc::strong_count(&captured), 100 - withdrawn);
    }
    // With no lock held: what is dropped may use the fence.
    let asks = Asks(fence.clone());
    assert!(fence.on_signal(move |_| drop(asks)).withdraw());
    let run = fence.on_signal(drop);
    promise.signal();
    assert!(!run.withdraw() && !fence.on_signal(drop).withdraw());
    let many = |never: &Fence| {
        let callbacks: Vec<_> =
            (0..MANY).map(|number| never.on_signal(move |_| assert_ne!(black_box(number), MANY))).collect();
        assert!(callbacks.into_iter().all(Callback::withdraw));
    };
    assert_eq!(left(many), 0);
}

#[test]
fn sched_13_a_callback_that_is_running_or_due_is_not_withdrawn() {
    let (fence, promise) = pair();
    let mine = Arc::new(Mutex::new(Vec::<Callback>::new()));
    let told = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let (told, others) = (told.clone(), mine.clone());
        // The first withdraws itself and the second, too late.
        let callback = fence.on_signal(move |_| {
            told.fetch_add(1, SeqCst);
            let others = std::mem::take(&mut *others.lock().unwrap());
            assert!(!others.into_iter().any(Callback::withdraw));
            told.fetch_add(1, SeqCst);
        });
        mine.lock().unwrap().push(callback);
    }
    promise.signal();
    assert_eq!(told.load(SeqCst), 4);
}

#[test]
fn sched_13_a_callback_on_a_combination_that_nobody_has_is_run_or_withdrawn() {
    let told = Arc::new(AtomicUsize::new(0));
    let count = |fence: Fence| {
        let told = told.clone();
        fence.on_signal(move |_| {
            told.fetch_add(1, SeqCst);
        })
    };
    let ((one, first), (two, second)) = (pair(), pair());
    count(Fence::all([one.clone(), two.clone()]));
    count(Fence::any([Fence::all([one.clone(), two.clone()])]));
    count(Fence::any([two.clone(), one.clone()]));
    assert!(count(Fence::all([one.clone(), two.clone()])).withdraw());
    let late = count(one.merge(&two));
    first.signal();
    assert_eq!(told.load(SeqCst), 1);
    second.signal();
    assert_eq!(told.load(SeqCst), 4);
    assert!(!late.withdraw());
    let withdrawn = |never: &Fence| {
        for _ in 0..MANY {
            assert!(Fence::all([never.clone(), Fence::any([never.clone()])]).on_signal(drop).withdraw());
        }
    };
    assert_eq!(left(withdrawn), 0);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[test]
fn sched_13_a_panic_in_what_is_withdrawn_is_contained() {
    let told = Arc::new(AtomicUsize::new(0));
    let (fence, promise) = pair();
    let bomb = Bomb;
    assert!(fence.on_signal(move |_| drop(bomb)).withdraw());
    let counted = told.clone();
    fence.on_signal(move |_| {
        counted.fetch_add(1, SeqCst);
    });
    promise.signal();
    assert_eq!(told.load(SeqCst), 1);
}

fn poll(future: &mut Signalled, waker: &Waker) {
    assert!(Pin::new(future).poll(&mut Context::from_waker(waker)).is_pending());
}

/// Withdraws a callback when it is dropped.
struct Withdraws(Option<Callback>);

impl Drop for Withdraws {
    fn drop(&mut self) {
        self.0.take().map(Callback::withdraw);
    }
}

/// Drops a future when it is dropped.
struct Awaits(#[allow(dead_code)] Mutex<Option<Signalled>>);

impl Wake for Awaits {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn sched_13_withdrawals_that_lead_to_one_another_cost_no_stack() {
    let callbacks = |never: &Fence| {
        let last = (0..MANY).fold(Withdraws(None), |last, _| {
            let callback = never.on_signal(move |_| {
                black_box(&last);
            });
            Withdraws(Some(callback))
        });
        drop(last);
    };
    let combinations = |never: &Fence| {
        let last = (0..MANY).fold(Withdraws(None), |last, _| {
            let callback = never.merge(&pair().0).on_signal(move |_| {
                black_box(&last);
            });
            Withdraws(Some(callback))
        });
        drop(last);
    };
    let wakers = |never: &Fence| {
        let last = (0..MANY).fold(None, |last, _| {
            let mut future = never.into_future();
            poll(&mut future, &Waker::from(Arc::new(Awaits(last.into()))));
            Some(future)
        });
        drop(last);
    };
    assert_eq!((left(callbacks), left(combinations), left(wakers)), (0, 0, 0));
}

#[test]
fn fence_1_promises_in_the_captures_of_a_withdrawn_callback_signal() {
    let (never, _promise) = pair();
    let (first, promise) = pair();
    let withdrawn = never.on_signal(move |_| {
        black_box(&promise);
    });
    let last = (0..MANY).fold(first, |last, _| {
        let (next, promise) = pair();
        last.on_signal(move |_| {
            black_box(&promise);
        });
        next
    });
    let small = std::thread::Builder::new().stack_size(STACK).spawn(move || assert!(withdrawn.withdraw()));
    small.unwrap().join().unwrap();
    assert_eq!(last.error(), Some(FenceError::Canceled));
}

thread_local! {
    static HELD: RefCell<Option<Withdraws>> = const { RefCell::new(None) };
}

#[test]
fn sched_13_a_chain_is_withdrawn_while_thread_locals_are_destroyed() {
    let (never, _promise) = pair();
    let token = Arc::new(());
    let (kept, fence) = (token.clone(), never.clone());
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        // All that is left of the chain is a callback.
        let chain = (0..MANY).fold(fence.clone(), |last, _| Fence::any([fence.clone(), last.merge(&fence)]));
        let callback = chain.on_signal(move |_| drop(kept));
        HELD.with(|held| held.replace(Some(Withdraws(Some(callback)))));
    });
    thread.unwrap().join().unwrap();
    assert_eq!((never.status(), Arc::strong_count(&token)), (None, 1));
}
