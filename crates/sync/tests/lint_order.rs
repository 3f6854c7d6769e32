//! Tests of the lint's order graph: nested waits have one order in the whole program.
#![cfg(not(loom))]

mod lint_support;

use std::sync::Barrier;

use lifeboat_sync::lint::{self, Class, Mutex, MutexGuard, ReportKind};
use lint_support::{found, kinds, on_thread};

/// Makes three locks of three classes.
macro_rules! locks {
    ($($name:ident),*) => {
        $(
            #[allow(non_upper_case_globals)]
            static $name: Mutex<()> = {
                static CLASS: Class = Class::new(concat!(stringify!($name), ", line ", line!()));
                Mutex::sleeping(&CLASS, ())
            };
        )*
    };
}

fn both(first: &Mutex<()>, second: &Mutex<()>) {
    let _first = first.lock();
    let _second = second.lock();
}

#[test]
fn an_inversion_between_threads_is_reported_although_nothing_hangs() {
    locks!(a, b);
    let reports = found(|| {
        on_thread("forwards", || both(&a, &b));
        on_thread("backwards", || both(&b, &a));
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
    let report = &reports[0];
    assert_eq!(report.thread, "backwards");
    assert!(report.message.contains("on thread `forwards`"), "{report}");
    assert_eq!(report.backtraces.len(), 2);
    for (label, backtrace) in &report.backtraces {
        assert!(backtrace.contains("an_inversion_between_threads"), "{label}: {backtrace}");
    }
    assert!(report.backtraces[0].0.starts_with("`b") && report.backtraces[1].0.starts_with("`a"));
}

#[test]
fn an_inversion_names_both_places() {
    locks!(a, b);
    let mut lines = (0, 0);
    let reports = found(|| {
        {
            let _a = a.lock();
            let _b = b.lock();
            lines.0 = line!() - 1;
        }
        let _b = b.lock();
        let _a = a.lock();
        lines.1 = line!() - 1;
    });
    let (here, other) = (reports[0].here, reports[0].other.unwrap());
    assert_eq!((here.file(), here.line(), other.file(), other.line()), (file!(), lines.1, file!(), lines.0));
    let shown = reports[0].to_string();
    for part in [here.to_string(), other.to_string(), "order inversion".into(), "Give them one order".into()] {
        assert!(shown.contains(&part), "{part} in {shown}");
    }
}

#[test]
fn one_order_is_not_reported_however_often() {
    locks!(a, b, c);
    let reports = found(|| {
        for _ in 0..3 {
            both(&a, &b);
            both(&b, &c);
            both(&a, &c);
        }
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn a_circle_over_three_classes_is_reported_with_every_step() {
    locks!(a, b, c);
    let reports = found(|| {
        on_thread("first", || both(&a, &b));
        on_thread("second", || both(&b, &c));
        on_thread("third", || both(&c, &a));
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
    assert_eq!(reports[0].backtraces.len(), 3);
    assert_eq!(reports[0].message.matches(", then ").count(), 3);
    let at = |part| reports[0].message.find(part).unwrap();
    assert!(at("on thread `first`") < at("on thread `second`"));
}

#[test]
fn all_that_is_held_counts_not_only_the_newest() {
    locks!(a, b, c);
    let reports = found(|| {
        {
            let _a = a.lock();
            let _b = b.try_lock(); // no order between a and b
            let _c = c.lock();
        }
        both(&c, &a);
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
}

#[test]
fn an_inversion_of_two_classes_is_reported_once_wherever_it_is_seen() {
    locks!(a, b);
    let reports = found(|| {
        both(&a, &b);
        both(&b, &a);
        on_thread("another", || {
            let _b = b.lock();
            let _a = a.lock();
        });
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
}

#[test]
fn one_inversion_does_not_make_what_follows_look_wrong() {
    locks!(a, b, c);
    let reports = found(|| {
        both(&a, &b);
        both(&b, &a); // refused
        both(&a, &c);
        both(&c, &b); // would be a circle if `b → a` were followed
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
}

#[test]
fn the_same_finding_is_reported_once_also_from_many_threads_at_once() {
    locks!(a, b);
    let reports = found(|| {
        both(&a, &b);
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    (0..100).for_each(|_| both(&b, &a));
                });
            }
        });
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
}

#[test]
fn of_two_threads_that_bring_opposite_orders_at_once_one_is_told() {
    static A: Class = Class::new("at once: a");
    static B: Class = Class::new("at once: b");
    let reports = found(|| {
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for (first, second) in [(&A, &B), (&B, &A)] {
                let start = &start;
                scope.spawn(move || {
                    // Each pair has its own locks, so nothing hangs: only the classes matter.
                    let (first, second) = (Mutex::new(first, ()), Mutex::new(second, ()));
                    start.wait();
                    both(&first, &second);
                });
            }
        });
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
}

#[test]
fn other_classes_at_the_same_places_are_another_finding() {
    locks!(a, b, c);
    let reports = found(|| {
        for lock in [&b, &c] {
            both(&a, lock);
            both(lock, &a);
        }
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion; 2]);
}

#[test]
fn two_locks_of_one_class_nest_only_by_lock_nested() {
    static CLASS: Class = Class::new("buffer");
    let (a, b) = (Mutex::new(&CLASS, ()), Mutex::new(&CLASS, ()));
    let reports = found(|| {
        let guard = a.lock();
        drop(b.lock_nested());
        drop(guard);
        drop(b.lock());
    });
    assert_eq!(kinds(&reports), []);
    let reports = found(|| {
        let _a = a.lock();
        let _b = b.lock();
    });
    assert_eq!(kinds(&reports), [ReportKind::SameClass]);
    assert_eq!(reports[0].here.line(), reports[0].other.unwrap().line() + 1);
    assert!(reports[0].message.contains("`lock_nested`"));
}

#[test]
fn a_nested_lock_has_its_order_with_others() {
    locks!(a, b);
    let reports = found(|| {
        {
            let _a = a.lock();
            let _b = b.lock_nested();
        }
        both(&b, &a);
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
}

#[test]
fn an_attempt_has_no_order_but_what_is_waited_for_while_it_is_held_has() {
    locks!(a, b);
    let reports = found(|| {
        let _b = b.lock();
        drop(a.try_lock());
    });
    assert_eq!(kinds(&reports), []);
    let reports = found(|| {
        {
            let _a = a.try_lock();
            let _b = b.lock();
        }
        both(&b, &a);
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion], "a, b is the order");
}

#[test]
fn locks_are_released_in_any_order() {
    locks!(a, b, c);
    let reports = found(|| {
        let (guard_a, guard_b) = (a.lock(), b.try_lock());
        drop(guard_a);
        let guard_c = c.lock(); // b, c
        drop(guard_b);
        drop(a.lock()); // c, a
        drop(guard_c);
        both(&a, &c);
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion], "between c and a only");
    assert!(reports[0].message.starts_with("`c, line"));
}

#[test]
fn while_unlocked_it_is_not_held_and_afterwards_it_was_taken_again() {
    locks!(a, b, c, d, e);
    let reports = found(|| {
        let mut guard = a.lock();
        MutexGuard::unlocked(&mut guard, || drop(b.lock()));
        drop(guard);
        both(&b, &a);
    });
    assert_eq!(kinds(&reports), []);
    let reports = found(|| {
        let mut guard = a.lock();
        let _c = c.lock();
        MutexGuard::unlocked(&mut guard, || ());
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion], "a, c; then c, a");
    let reports = found(|| {
        let mut guard = d.lock();
        MutexGuard::unlocked(&mut guard, || ());
        let _e = e.lock();
        drop(guard);
        let _d = d.lock();
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion], "it is held again");
}

#[test]
fn a_fence_wait_under_a_lock_that_the_signalling_path_takes() {
    locks!(a, b);
    let wait = || {
        let _a = a.lock();
        lint::fence_wait();
    };
    let signal = || {
        let _signalling = lint::signalling();
        drop(a.lock());
    };
    assert_eq!(kinds(&found(wait)), []);
    let reports = found(signal);
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
    assert!(reports[0].message.contains("To hold a fence is to be on the path that signals it."));
    let reports = found(|| {
        let signalling = lint::signalling();
        drop(b.lock());
        drop(signalling);
        let _b = b.lock();
        lint::fence_wait();
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion], "also in this order");
}

#[test]
fn a_fence_wait_on_a_signalling_path_is_reported_and_after_it_is_not() {
    let reports = found(|| {
        let signalling = lint::signalling();
        lint::fence_wait();
        drop(signalling);
        lint::fence_wait();
    });
    assert_eq!(kinds(&reports), [ReportKind::FenceWaitWhileSignalling]);
    assert_eq!(reports[0].here.line(), reports[0].other.unwrap().line() + 1);
}
