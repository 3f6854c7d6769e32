//! Tests of the lint's rules about blocking (GATE-2, GATE-6), where no section is needed.
#![cfg(not(loom))]

mod lint_support;

use std::time::{Duration, Instant};

use lifeboat_sync::lint::{self, Class, Condvar, Mutex, ReportKind};
use lint_support::{found, kinds};

#[test]
fn blocking_under_a_short_lock_is_reported_with_both_places() {
    static CLASS: Class = Class::new("short");
    let mutex = Mutex::new(&CLASS, ());
    let reports = found(|| {
        let guard = mutex.lock();
        lint::might_block("reading");
        drop(guard);
        lint::might_block("writing");
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
    assert_eq!(reports[0].here.line(), reports[0].other.unwrap().line() + 1);
    assert!(reports[0].message.contains("reading may block, but the short lock `short` is held"));
}

#[test]
fn blocking_under_a_sleeping_lock_is_allowed() {
    static CLASS: Class = Class::new("sleeping");
    let mutex = Mutex::sleeping(&CLASS, ());
    let reports = found(|| {
        let _guard = mutex.lock();
        lint::might_block("reading");
        lint::fence_wait();
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn a_sleeping_lock_is_not_taken_under_a_short_one() {
    static SHORT: Class = Class::new("short outside");
    static SLEEPING: Class = Class::new("sleeping inside");
    let (short, sleeping) = (Mutex::new(&SHORT, ()), Mutex::sleeping(&SLEEPING, ()));
    let reports = found(|| {
        let _short = short.lock();
        drop(sleeping.try_lock());
        let _sleeping = sleeping.lock();
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
    assert!(reports[0].message.contains("taking the sleeping lock `sleeping inside` may block"));
}

#[test]
fn gate_6_interrupts_and_reclaim_take_short_locks_and_no_sleeping_ones() {
    static SHORT: Class = Class::new("short in context");
    static SLEEPING: Class = Class::new("sleeping in context");
    let (short, sleeping) = (Mutex::new(&SHORT, 1), Mutex::sleeping(&SLEEPING, 2));
    let reports = found(|| {
        assert_eq!(lint::interrupt(|| *short.lock()), 1);
        assert_eq!(lint::reclaim(|| *short.lock()), 1);
    });
    assert_eq!(kinds(&reports), []);
    let reports = found(|| assert_eq!(lint::interrupt(|| *sleeping.lock()) + lint::reclaim(|| *sleeping.lock()), 4));
    assert_eq!(kinds(&reports), [ReportKind::Blocking, ReportKind::Blocking]);
    assert_eq!(reports[0].other.unwrap().file(), file!());
}

#[test]
fn gate_6_a_context_ends_also_by_a_panic() {
    let reports = found(|| {
        let caught = std::panic::catch_unwind(|| lint::interrupt(|| panic!("a handler fails")));
        assert!(caught.is_err());
        lint::might_block("reading");
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn waiting_for_a_condition_is_allowed_under_its_own_short_lock_only() {
    static OWN: Class = Class::new("own");
    static OTHER: Class = Class::new("other");
    let (own, other, changed) = (Mutex::new(&OWN, ()), Mutex::new(&OTHER, ()), Condvar::new());
    let soon = || Instant::now() + Duration::from_millis(1);
    let reports = found(|| {
        let mut own = own.lock();
        assert!(changed.wait_until(&mut own, soon()).timed_out());
        assert!(changed.wait_while_for(&mut own, |()| true, Duration::from_millis(1)).timed_out());
    });
    assert_eq!(kinds(&reports), []);
    let reports = found(|| {
        let _other = other.lock();
        let mut own = own.lock();
        changed.wait_until(&mut own, soon());
        changed.wait_while_for(&mut own, |()| true, Duration::from_millis(1));
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking; 2]);
    assert!(reports[0].message.contains("waiting for a condition of `own` may block, but the short lock `other`"));
}

#[test]
fn waiting_for_a_condition_takes_its_lock_again_after_what_is_held() {
    static OUTER: Class = Class::new("outer");
    static INNER: Class = Class::new("inner");
    let (outer, inner, changed) = (Mutex::sleeping(&OUTER, ()), Mutex::sleeping(&INNER, ()), Condvar::new());
    let reports = found(|| {
        let mut outer = outer.lock();
        let _inner = inner.lock();
        changed.wait_until(&mut outer, Instant::now());
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
    assert!(reports[0].message.starts_with("`outer` is waited for while `inner` is held"));
}

#[test]
fn a_condition_is_waited_for_and_its_lock_is_held_afterwards() {
    static CLASS: Class = Class::new("condition");
    static OTHER: Class = Class::new("other of the condition");
    let (mutex, other, changed) = (Mutex::new(&CLASS, 0), Mutex::new(&OTHER, ()), Condvar::new());
    let reports = found(|| {
        std::thread::scope(|scope| {
            let _other = other.lock();
            let mut value = mutex.lock();
            scope.spawn(|| {
                *mutex.lock() = 1;
                changed.notify_one();
                *mutex.lock() = 2;
                changed.notify_all();
            });
            while *value < 2 {
                changed.wait(&mut value);
            }
            lint::might_block("reading");
        });
    });
    // One report comes before the wait, because of the other lock. The second comes at the end,
    // because the wait takes its own lock again.
    assert_eq!(kinds(&reports), [ReportKind::Blocking; 2]);
    assert!(reports[0].message.contains("the short lock `other of the condition`"));
    assert!(reports[1].message.contains("reading may block, but the short lock `condition` is held"));
    assert!(mutex.into_inner() == 2);
}

#[test]
fn gate_5_a_register_access_outside_of_any_section_is_reported() {
    let reports = found(lint::register_access);
    assert_eq!(kinds(&reports), [ReportKind::NoSection]);
    assert_eq!(reports[0].other, None);
    assert!(reports[0].message.contains("Go through the device's gate or revocable"));
}

#[test]
fn gate_5_a_lock_or_a_context_is_no_section() {
    static CLASS: Class = Class::new("no section");
    let mutex = Mutex::new(&CLASS, ());
    let reports = found(|| {
        lint::interrupt(|| {
            let _guard = mutex.lock();
            lint::register_access();
        });
    });
    assert_eq!(kinds(&reports), [ReportKind::NoSection]);
}
