//! Tests of drains and revokes as futures.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used)] // an error here fails the test

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use lifeboat_sync::{Drain, Gate, Reader, Revocable, Revoke};

/// Waker that counts its calls.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll(future: &mut (impl Future<Output = ()> + Unpin), waker: &Arc<Count>) -> Poll<()> {
    Pin::new(future).poll(&mut Context::from_waker(&Waker::from(waker.clone())))
}

/// Object that counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn gate_7_a_drain_wakes_once_after_the_last_section_and_names_those_that_are_open() {
    let (gate, waker) = (Gate::new(), Arc::new(Count::default()));
    let readers = [Reader::new("first"), Reader::new("second")];
    let [first, second] = readers.each_ref().map(|reader| gate.enter_with(reader).unwrap());
    let mut drain = gate.drain_async();
    assert!(gate.is_shut(), "before it is polled");
    assert_eq!(drain.holdouts().len(), 2);
    assert!(poll(&mut drain, &waker).is_pending());
    drop(first);
    assert_eq!(waker.0.load(SeqCst), 0, "one is still inside");
    assert_eq!(drain.holdouts().iter().next().unwrap().thread, "second");
    std::thread::scope(|scope| {
        scope.spawn(move || drop(second));
    });
    assert_eq!(waker.0.load(SeqCst), 1);
    assert!(poll(&mut drain, &waker).is_ready() && poll(&mut drain, &waker).is_ready());
    assert!(drain.holdouts().is_empty());
}

#[test]
fn life_7_a_revoke_drops_the_object_where_it_is_polled_and_no_earlier() {
    let drops = Arc::new(AtomicUsize::new(0));
    let (revocable, waker) = (Revocable::new(Counted(drops.clone())), Arc::new(Count::default()));
    let access = revocable.try_access().unwrap();
    let mut revoke = revocable.revoke_async();
    assert!(revocable.try_access().is_none());
    assert!(poll(&mut revoke, &waker).is_pending());
    drop(access);
    assert_eq!((waker.0.load(SeqCst), drops.load(SeqCst)), (1, 0));
    assert!(poll(&mut revoke, &waker).is_ready());
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn a_dropped_future_leaves_its_duty_to_the_last_section_or_does_it() {
    let drops = Arc::new(AtomicUsize::new(0));
    let revocable = Revocable::new(Counted(drops.clone()));
    let access = revocable.try_access().unwrap();
    drop(revocable.revoke_async());
    assert!(revocable.is_revoked() && drops.load(SeqCst) == 0);
    drop(access);
    assert_eq!(drops.load(SeqCst), 1, "by the last section");

    let revocable = Revocable::new(Counted(drops.clone()));
    drop(revocable.revoke_async());
    assert_eq!(drops.load(SeqCst), 2, "nobody was inside");
    let gate = Gate::new();
    drop(gate.drain_async());
    assert!(gate.enter().is_none());
}

#[test]
fn futures_go_between_threads_as_their_objects_do() {
    fn is_send<T: Send>(_: T) {}
    fn check(drain: Drain<'_>, revoke: Revoke<'_, Vec<u32>>) {
        is_send(drain);
        is_send(revoke);
    }
    check(Gate::new().drain_async(), Revocable::new(vec![1]).revoke_async());
}
