use lifeboat_sync::{Reader, Revocable};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;

use crate::{Counted, GIVE_UP, WAIT, bounded};

fn shared() -> (Arc<Revocable<Counted>>, Arc<AtomicUsize>) {
    let (object, drops) = Counted::new();
    (Arc::new(Revocable::new(object)), drops)
}

fn reading(revocable: &Arc<Revocable<Counted>>) -> thread::JoinHandle<()> {
    let revocable = revocable.clone();
    thread::spawn(move || {
        revocable.try_access_with(Counted::assert_there);
    })
}

#[test]
fn gate_4_enter_against_revoke() {
    loom::model(|| {
        let (revocable, drops) = shared();
        let reader = reading(&revocable);
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1, "revoke returned before the drop");
        assert!(revocable.try_access_with(|_| ()).is_none());
        reader.join().unwrap();
        drop(revocable);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn gate_4_two_readers_against_revoke() {
    bounded(|| {
        let (revocable, drops) = shared();
        let readers = [reading(&revocable), reading(&revocable)];
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn life_7_revoke_against_revoke() {
    loom::model(|| {
        let (revocable, drops) = shared();
        let other = {
            let (revocable, drops) = (revocable.clone(), drops.clone());
            thread::spawn(move || {
                revocable.revoke(WAIT).unwrap();
                assert_eq!(drops.load(SeqCst), 1);
            })
        };
        revocable.try_access_with(Counted::assert_there);
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        other.join().unwrap();
    });
}

#[test]
fn who_gives_up_leaves_the_drop_to_the_last_section() {
    loom::model(|| {
        let (revocable, drops) = shared();
        let reader = reading(&revocable);
        let _ = revocable.revoke(GIVE_UP);
        reader.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1, "all have left");
    });
}

#[test]
fn a_section_ends_while_one_gives_up_and_another_waits() {
    bounded(|| {
        let (revocable, drops) = shared();
        let reader = reading(&revocable);
        let hasty = {
            let revocable = revocable.clone();
            thread::spawn(move || drop(revocable.revoke(GIVE_UP)))
        };
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        reader.join().unwrap();
        hasty.join().unwrap();
    });
}

#[test]
fn gate_10_a_proof_holds_the_object_and_ends_anywhere() {
    loom::model(|| {
        let (revocable, drops) = shared();
        let callback = {
            let revocable = revocable.clone();
            thread::spawn(move || {
                if let Some(bound) = revocable.bound() {
                    revocable.access(&bound).assert_there();
                }
            })
        };
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        callback.join().unwrap();
    });
}

#[test]
fn gate_10_a_proof_on_behalf_of_a_reader_holds_the_object() {
    loom::model(|| {
        let (revocable, drops) = shared();
        let callback = {
            let revocable = revocable.clone();
            thread::spawn(move || {
                let mut reader = Reader::new("callback");
                if let Some(bound) = revocable.bound_by(&mut reader) {
                    revocable.access(&bound).assert_there();
                }
            })
        };
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        callback.join().unwrap();
    });
}

#[test]
fn a_nested_section_borrows_a_slot() {
    bounded(|| {
        let (revocable, drops) = shared();
        let reader = {
            let revocable = revocable.clone();
            thread::spawn(move || {
                revocable.try_access_with(|_| revocable.try_access_with(Counted::assert_there));
            })
        };
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        reader.join().unwrap();
    });
}

#[test]
fn what_a_section_did_happens_before_the_drop_though_its_place_is_used_again() {
    loom::model(|| {
        let (revocable, drops) = shared();
        let other = Arc::new(Revocable::new(()));
        let reader = {
            let (revocable, other) = (revocable.clone(), other.clone());
            thread::spawn(move || {
                let reader = Reader::new("one slot, two objects");
                revocable.try_access_by(&reader, Counted::assert_there);
                other.try_access_by(&reader, |()| ());
            })
        };
        revocable.revoke(WAIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
        reader.join().unwrap();
    });
}

#[test]
fn dropped_by_whoever_holds_it_last() {
    loom::model(|| {
        let (revocable, drops) = shared();
        let reader = reading(&revocable);
        let _ = revocable.revoke(GIVE_UP);
        drop(revocable);
        reader.join().unwrap();
        assert_eq!(drops.load(SeqCst), 1);
    });
}
