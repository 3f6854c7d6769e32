//! FENCE-1 against what users can do to delivery: panics in their code, and chains of any length.
//!
//! A thread here has a small stack, so that a chain that costs stack ends it. A stack overflow ends
//! the whole process: the test that is named last has failed.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::cell::RefCell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};

use lifeboat::{Fence, Module, Signalled, Unsignalled};

/// Links of a chain.
const LENGTH: usize = 20_000;
/// Less than ten bytes for a link.
const STACK: usize = 192 << 10;

fn pair() -> (Fence, Unsignalled) {
    Module::new().timeline("test", "chains").fence()
}

fn on_a_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let ended = std::thread::Builder::new().stack_size(STACK).spawn(f).unwrap().join();
    ended.unwrap_or_else(|payload| {
        // The payload may be one whose drop panics.
        std::mem::forget(payload);
        panic!("a panic has escaped");
    })
}

/// Runs something when it is dropped.
struct AtTheEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|f| f());
    }
}

thread_local! {
    static HELD: RefCell<AtTheEnd> = const { RefCell::new(AtTheEnd(None)) };
}

/// Runs `before` on a thread, and `f` while the thread-locals of that thread are destroyed.
fn at_the_end_of_a_thread(before: fn(), f: impl FnOnce() + Send + 'static) {
    on_a_thread(move || {
        // Used first, destroyed last: by then the thread has no other locals.
        HELD.with(|held| assert!(held.borrow().0.is_none()));
        before();
        HELD.with(|held| held.borrow_mut().0 = Some(Box::new(f)));
    });
}

/// Counts how often it is told.
fn counted(fence: &Fence, told: &Arc<AtomicUsize>) {
    let told = told.clone();
    fence.on_signal(move |_| {
        told.fetch_add(1, SeqCst);
    });
}

/// Panics when it is dropped, with such a thing again, so often.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(left) = self.0.checked_sub(1) {
            panic_any(Self(left));
        }
    }
}

/// A task that panics when it is woken, when its waker is dropped, or both.
struct Task {
    wakes: bool,
    _dropped: Bomb,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        assert!(!self.wakes);
        std::mem::forget(self);
        panic_any(Bomb(2));
    }
}

fn poll(future: &mut Signalled, waker: &Waker) {
    let _ = Pin::new(future).poll(&mut Context::from_waker(waker));
}

/// One way to panic, with a promise and its fence.
type Panics = fn(&Fence, Unsignalled);

fn in_a_callback(fence: &Fence, promise: Unsignalled) {
    fence.on_signal(|_| panic_any(Bomb(3)));
    promise.signal();
}

fn in_the_drop_of_captures(fence: &Fence, promise: Unsignalled) {
    let bomb = Bomb(3);
    fence.on_signal(move |_| drop(bomb));
    promise.signal();
}

fn in_the_drop_of_captures_that_are_not_used(fence: &Fence, promise: Unsignalled) {
    let bomb = Bomb(3);
    fence.on_signal(move |_| {
        black_box(&bomb);
    });
    promise.signal();
}

fn in_a_late_callback(fence: &Fence, promise: Unsignalled) {
    promise.signal();
    fence.on_signal(|_| panic_any(Bomb(3)));
}

fn in_a_wake(fence: &Fence, promise: Unsignalled) {
    let task = Arc::new(Task { wakes: false, _dropped: Bomb(0) });
    poll(&mut fence.into_future(), &Waker::from(task.clone()));
    let mut future = fence.into_future();
    poll(&mut future, &Waker::from(task));
    promise.signal();
}

fn in_the_drop_of_a_waker_that_is_replaced(fence: &Fence, promise: Unsignalled) {
    let mut future = fence.into_future();
    let mine = Waker::from(Arc::new(Task { wakes: true, _dropped: Bomb(3) }));
    poll(&mut future, &mine);
    drop(mine);
    poll(&mut future, Waker::noop());
    promise.signal();
}

fn in_the_drop_of_a_waker_that_is_withdrawn(fence: &Fence, promise: Unsignalled) {
    let mut future = fence.into_future();
    let mine = Waker::from(Arc::new(Task { wakes: true, _dropped: Bomb(3) }));
    poll(&mut future, &mine);
    drop(mine);
    drop(future);
    promise.signal();
}

fn in_the_drop_of_what_a_chain_holds(fence: &Fence, promise: Unsignalled) {
    let (next, next_promise) = pair();
    let all = Fence::all([fence.clone(), next.clone()]);
    all.on_signal(|_| panic_any(Bomb(3)));
    let held = (Bomb(3), next_promise);
    fence.on_signal(move |_| drop(held));
    promise.signal();
}

/// The promise is dropped by a panic, and what it signals panics, too.
fn while_another_panic_unwinds(fence: &Fence, promise: Unsignalled) {
    fence.on_signal(|_| panic_any(Bomb(3)));
    let unwinds = catch_unwind(AssertUnwindSafe(|| {
        let _promise = promise;
        panic!("on purpose");
    }));
    assert!(unwinds.is_err());
}

#[test]
fn fence_1_a_panic_in_any_code_of_a_user_leaves_delivery_whole() {
    let all: [Panics; 9] = [
        in_a_callback,
        in_the_drop_of_captures,
        in_the_drop_of_captures_that_are_not_used,
        in_a_late_callback,
        in_a_wake,
        in_the_drop_of_a_waker_that_is_replaced,
        in_the_drop_of_a_waker_that_is_withdrawn,
        in_the_drop_of_what_a_chain_holds,
        while_another_panic_unwinds,
    ];
    for (number, panics) in all.into_iter().enumerate() {
        for ends in [false, true] {
            let told = Arc::<AtomicUsize>::default();
            let counter = told.clone();
            let run = move || {
                let (fence, promise) = pair();
                counted(&fence, &counter);
                panics(&fence, promise);
                counted(&fence, &counter);
                // Another fence, on the same thread.
                let (other, promise) = pair();
                counted(&other, &counter);
                promise.signal();
            };
            if ends {
                at_the_end_of_a_thread(run_a_callback, run);
            } else {
                on_a_thread(run);
            }
            assert_eq!(told.load(SeqCst), 3, "somebody was not told, in case {number}");
        }
    }
}

#[test]
fn fence_1_a_panic_in_a_callback_tells_those_after_it() {
    on_a_thread(|| {
        let told = Arc::<AtomicUsize>::default();
        let (fence, promise) = pair();
        let (next, next_promise) = pair();
        counted(&next, &told);
        fence.on_signal(move |_| {
            let _signals_when_it_unwinds = next_promise;
            panic_any(Bomb(2));
        });
        counted(&fence, &told);
        counted(&Fence::any([fence]), &told);
        promise.signal();
        assert_eq!((told.load(SeqCst), next.status().is_some()), (3, true));
    });
}

/// One way to build a chain on a fence; its end tells.
type Chain = fn(Fence, &Arc<AtomicUsize>);

fn merged(first: Fence, told: &Arc<AtomicUsize>) {
    let last = (0..LENGTH).fold(first, |last, _| last.merge(&Fence::signalled(Ok(()))));
    counted(&last, told);
}

fn any_of_one(first: Fence, told: &Arc<AtomicUsize>) {
    let last = (0..LENGTH).fold(first, |last, _| Fence::any([last]));
    counted(&last, told);
}

/// Each callback has the promise of the next fence, and drops it.
fn promises(first: Fence, told: &Arc<AtomicUsize>) {
    let last = (0..LENGTH).fold(first, |last, _| {
        let (next, promise) = pair();
        last.on_signal(move |_| drop(promise));
        next
    });
    counted(&last, told);
}

/// Each callback captures the promise of the next fence, and does not use it.
fn captured_promises(first: Fence, told: &Arc<AtomicUsize>) {
    let last = (0..LENGTH).fold(first, |last, _| {
        let (next, promise) = pair();
        last.on_signal(move |_| {
            black_box(&promise);
        });
        next
    });
    counted(&last, told);
}

/// Each waker has the promise of the next fence.
struct Promise(std::sync::Mutex<Option<Unsignalled>>);

impl Wake for Promise {
    fn wake(self: Arc<Self>) {
        let promise = self.0.lock().unwrap().take();
        drop(promise);
    }
}

fn wakers(first: Fence, told: &Arc<AtomicUsize>) {
    let last = (0..LENGTH).fold(first, |last, _| {
        let (next, promise) = pair();
        let waker = Waker::from(Arc::new(Promise(Some(promise).into())));
        let mut future = last.into_future();
        poll(&mut future, &waker);
        // Forgetting the future leaves its waker with the fence.
        std::mem::forget(future);
        next
    });
    counted(&last, told);
}

const CHAINS: [Chain; 5] = [merged, any_of_one, promises, captured_promises, wakers];

fn run_a_callback() {
    let (fence, promise) = pair();
    fence.on_signal(drop);
    promise.signal();
}

#[test]
fn fence_1_a_chain_of_any_length_signals_while_thread_locals_are_destroyed() {
    for chain in CHAINS {
        for before in [|| (), run_a_callback] {
            let told = Arc::<AtomicUsize>::default();
            let (first, promise) = pair();
            chain(first, &told);
            at_the_end_of_a_thread(before, move || drop(promise));
            assert_eq!(told.load(SeqCst), 1);
        }
    }
}

/// Registers the next callback on a fence that has signalled, in a callback.
fn go_on(left: usize, told: Arc<AtomicUsize>) {
    Fence::signalled(Ok(())).on_signal(move |_| match left.checked_sub(1) {
        Some(left) => go_on(left, told),
        None => drop(told.fetch_add(1, SeqCst)),
    });
}

#[test]
fn fence_1_late_callbacks_of_callbacks_do_not_nest() {
    let told = Arc::<AtomicUsize>::default();
    let counted = told.clone();
    on_a_thread(move || go_on(LENGTH, counted));
    assert_eq!(told.load(SeqCst), 1);
}
