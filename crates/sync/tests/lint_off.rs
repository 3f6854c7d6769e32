//! Tests of the lint's switch: while off, the lint does nothing, and it may be switched while locks
//! are held.
#![cfg(not(loom))]

mod lint_support;

use lifeboat_sync::lint::{self, Class, Condvar, Mutex, MutexGuard, Reaction, ReportKind};
use lint_support::{found, kinds};

static A: Class = Class::new("a");
static B: Class = Class::new("b");

#[test]
fn off_it_reports_and_learns_nothing() {
    let (a, b, sleeping) = (Mutex::new(&A, 1), Mutex::new(&B, 2), Mutex::sleeping(&B, 3));
    let both = |first: &Mutex<i32>, second: &Mutex<i32>| drop((first.lock(), second.lock()));
    let reports = found(|| {
        lint::force(Reaction::Off);
        assert!(!lint::enabled());
        both(&a, &b);
        both(&b, &a);
        both(&a, &a2());
        let _signalling = lint::signalling();
        let mut guard = a.try_lock().unwrap();
        lint::interrupt(|| {
            lint::reclaim(|| lint::might_block("reading"));
            lint::fence_wait();
            lint::register_access();
            assert_eq!(*sleeping.lock_nested(), 3);
        });
        Condvar::new().wait_until(&mut guard, std::time::Instant::now());
        assert_eq!(MutexGuard::unlocked(&mut guard, || *b.lock()), 2);
        drop(guard);
        lint::force(Reaction::Keep);
        both(&b, &a); // the first order that the lint learns
    });
    assert_eq!(kinds(&reports), []);
}

fn a2() -> Mutex<i32> {
    Mutex::new(&A, 4)
}

#[test]
fn switched_off_while_held_it_is_forgotten_at_its_time() {
    let a = a2();
    let reports = found(|| {
        let guard = a.lock();
        lint::force(Reaction::Off);
        drop(guard);
        lint::force(Reaction::Keep);
        lint::might_block("reading");
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn switched_on_while_held_it_is_not_known_and_not_missed() {
    let a = a2();
    let reports = found(|| {
        lint::force(Reaction::Off);
        let unknown = a.lock();
        lint::force(Reaction::Keep);
        let known = Mutex::new(&B, ());
        let guard = known.lock();
        drop(unknown);
        lint::might_block("reading");
        drop(guard);
        lint::might_block("writing");
        lint::force(Reaction::Off);
        lint::interrupt(|| {
            lint::force(Reaction::Keep);
            lint::might_block("writing");
        });
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
    assert!(reports[0].message.contains("`b`"));
}
