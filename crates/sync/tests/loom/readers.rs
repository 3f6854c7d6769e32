//! Models of slots that nap, wake, leave and come back during a revoke.

use lifeboat_sync::{Gate, Reader, Revocable};
use loom::sync::Arc;
use loom::sync::atomic::Ordering::SeqCst;
use loom::thread;

use crate::{Counted, WAIT, bounded};

#[test]
fn a_napping_reader_wakes_while_its_object_is_revoked() {
    loom::model(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let reader = Reader::new("sleepy");
        drop(Gate::new().enter_with(&reader));
        // The first scan marks the slot.
        Gate::new().drain(WAIT).unwrap();
        let waking = {
            let revocable = revocable.clone();
            thread::spawn(move || {
                revocable.try_access_by(&reader, Counted::assert_there);
            })
        };
        // The second scan would drop the slot from the list.
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        waking.join().unwrap();
    });
}

#[test]
fn a_reader_works_while_others_put_it_to_sleep() {
    bounded(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let working = {
            let revocable = revocable.clone();
            thread::spawn(move || {
                let reader = Reader::new("busy");
                revocable.try_access_by(&reader, Counted::assert_there);
                revocable.try_access_by(&reader, Counted::assert_there);
            })
        };
        Gate::new().drain(WAIT).unwrap();
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        working.join().unwrap();
    });
}

#[test]
fn two_look_at_once_while_a_reader_enters() {
    bounded(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let reader = Reader::new("between");
        drop(Gate::new().enter_with(&reader));
        let other = thread::spawn(|| Gate::new().drain(WAIT).unwrap());
        let entering = {
            let revocable = revocable.clone();
            thread::spawn(move || {
                revocable.try_access_by(&reader, Counted::assert_there);
            })
        };
        // Of the two scans, one marks the reader's slot, and the other must not drop it from the
        // list yet.
        Gate::new().drain(WAIT).unwrap();
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        entering.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_slot_changes_hands_while_somebody_revokes() {
    bounded(|| {
        let (object, drops) = Counted::new();
        let revocable = Arc::new(Revocable::new(object));
        let readers = {
            let revocable = revocable.clone();
            thread::spawn(move || {
                for name in ["first", "second"] {
                    revocable.try_access_by(&Reader::new(name), Counted::assert_there);
                }
            })
        };
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        readers.join().unwrap();
    });
}
