use lifeboat_sync::{Gate, Reader};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;

use crate::{GIVE_UP, WAIT, bounded};

#[test]
fn drain_waits_for_the_section() {
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
        gate.shut();
        gate.drain(WAIT).unwrap();
        assert_eq!(inside.load(SeqCst), 0);
        assert!(gate.enter().is_none());
        reader.join().unwrap();
    });
}

#[test]
fn a_section_that_ends_on_another_thread_is_waited_for() {
    bounded(|| {
        // Loom has no scoped threads, so borrowed objects are leaked.
        let gate: &'static Gate = Box::leak(Box::new(Gate::new()));
        let inside = Arc::new(AtomicUsize::new(0));
        let task = {
            let inside = inside.clone();
            thread::spawn(move || {
                let reader = Box::leak(Box::new(Reader::new("task")));
                if let Some(section) = gate.enter_with(reader) {
                    inside.store(1, SeqCst);
                    let elsewhere = thread::spawn(move || {
                        inside.store(0, SeqCst);
                        drop(section);
                    });
                    elsewhere.join().unwrap();
                }
            })
        };
        gate.drain(WAIT).unwrap();
        assert_eq!(inside.load(SeqCst), 0);
        task.join().unwrap();
    });
}

#[test]
fn drain_against_drain() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let other = {
            let gate = gate.clone();
            thread::spawn(move || gate.drain(WAIT).unwrap())
        };
        drop(gate.enter());
        gate.drain(WAIT).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_gate_may_go_with_its_readers_still_there() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let reader = {
            let gate = gate.clone();
            thread::spawn(move || {
                drop(gate.enter());
                drop(gate);
                // The slot of the thread outlives the gate, and serves the next gate.
                assert!(Gate::new().enter().is_some());
            })
        };
        let _ = gate.drain(GIVE_UP);
        drop(gate);
        reader.join().unwrap();
    });
}
