//! Models of waits without a thread, against sections, against other waits, and against their own
//! drop.

use std::pin::pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use lifeboat_sync::{Gate, Revocable};
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::{Counted, GIVE_UP, WAIT, bounded};

/// Smallest executor. If a wake-up is lost it hangs, which loom reports as a deadlock.
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Signal {
    fn wake(self: StdArc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

fn signal() -> StdArc<Signal> {
    StdArc::new(Signal { woken: Mutex::new(false), changed: Condvar::new() })
}

fn block_on(future: impl Future<Output = ()>) {
    let signal = signal();
    let waker = Waker::from(signal.clone());
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        let mut woken = signal.woken.lock().unwrap();
        while !std::mem::take(&mut *woken) {
            woken = signal.changed.wait(woken).unwrap();
        }
    }
}

/// Polls the future once, and drops it.
fn poll_once(future: impl Future<Output = ()>) -> Poll<()> {
    pin!(future).as_mut().poll(&mut Context::from_waker(&Waker::from(signal())))
}

fn reading(revocable: &Arc<Revocable<Counted>>) -> thread::JoinHandle<()> {
    let revocable = revocable.clone();
    thread::spawn(move || {
        revocable.try_access_with(Counted::assert_there);
    })
}

/// Explores all interleavings.
#[test]
fn gate_4_a_drain_as_a_future_waits_for_the_section_and_is_woken() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let inside = Arc::new(AtomicUsize::new(0));
        let reader = {
            let (gate, inside) = (gate.clone(), inside.clone());
            thread::spawn(move || {
                if let Some(_section) = gate.enter() {
                    inside.store(1, SeqCst);
                    inside.store(0, SeqCst);
                }
            })
        };
        block_on(gate.drain_async());
        assert_eq!(inside.load(SeqCst), 0);
        assert!(gate.enter().is_none());
        reader.join().unwrap();
    });
}

/// Explores up to three preemptions of a thread.
#[test]
fn gate_4_a_revoke_as_a_future_drops_the_object_once_after_two_readers() {
    bounded(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let readers = [reading(&revocable), reading(&revocable)];
        block_on(revocable.revoke_async());
        assert_eq!(drops.load(SeqCst), 1);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

/// Explores up to three preemptions of a thread.
#[test]
fn life_7_a_future_and_a_thread_wait_for_the_same_object() {
    bounded(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let reader = reading(&revocable);
        let other = {
            let revocable = revocable.clone();
            thread::spawn(move || revocable.revoke(WAIT).unwrap())
        };
        block_on(revocable.revoke_async());
        assert_eq!(drops.load(SeqCst), 1);
        reader.join().unwrap();
        other.join().unwrap();
    });
}

/// Explores up to three preemptions of a thread.
#[test]
fn life_7_two_futures_wait_for_the_same_object() {
    bounded(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let reader = reading(&revocable);
        let other = {
            let revocable = revocable.clone();
            thread::spawn(move || block_on(revocable.revoke_async()))
        };
        block_on(revocable.revoke_async());
        assert_eq!(drops.load(SeqCst), 1);
        reader.join().unwrap();
        other.join().unwrap();
    });
}

/// Explores all interleavings.
#[test]
fn a_future_that_is_dropped_leaves_the_object_revoked_and_its_drop_to_the_last_section() {
    loom::model(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let reader = reading(&revocable);
        let _ = poll_once(revocable.revoke_async());
        assert!(revocable.try_access_with(|_| ()).is_none());
        reader.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1, "all have left");
    });
}

/// Explores up to three preemptions of a thread.
#[test]
fn a_future_is_dropped_while_another_waits_and_a_thread_gives_up() {
    bounded(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let reader = reading(&revocable);
        let hasty = {
            let revocable = revocable.clone();
            thread::spawn(move || {
                let _ = poll_once(revocable.revoke_async());
                drop(revocable.revoke(GIVE_UP));
            })
        };
        block_on(revocable.revoke_async());
        assert_eq!(drops.load(SeqCst), 1);
        reader.join().unwrap();
        hasty.join().unwrap();
    });
}
