//! Test of the lint's hook: it may lock and block, and its own mistakes are not reported.
#![cfg(not(loom))]

mod lint_support;

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lifeboat_sync::lint::{self, Class, Mutex, MutexGuard, Reaction, ReportKind};
use lint_support::{found, kinds};

static CLASS: Class = Class::new("hook");
static HEARD: Mutex<Vec<String>> = Mutex::new(&CLASS, Vec::new());
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Breaks every rule.
fn hook(report: &lint::Report) {
    CALLS.fetch_add(1, Relaxed);
    let mut heard = HEARD.lock();
    lint::might_block("writing a log under a short lock");
    lint::fence_wait();
    lint::register_access();
    lint::interrupt(|| lint::might_block("writing a log in an interrupt"));
    MutexGuard::unlocked(&mut heard, lint::fence_wait);
    heard.push(report.to_string());
    lint::set_hook(Box::new(hook)); // the lint holds no lock of its own meanwhile
    assert_eq!(lint::take_reports().len(), 1);
    drop(heard);
    assert!(!report.message.starts_with("failing"), "the hook fails");
}

#[test]
fn a_hook_does_not_recurse_and_leaves_nothing_behind() {
    let reports = found(|| {
        lint::set_hook(Box::new(hook));
        lint::interrupt(|| lint::might_block("reading"));
        lint::might_block("something outside");
        assert!(catch_unwind(|| lint::interrupt(|| lint::might_block("failing"))).is_err());
        lint::might_block("something outside");
        lint::interrupt(|| lint::might_block("reading on"));
    });
    assert_eq!(kinds(&reports), [], "the hook has taken them");
    assert_eq!(CALLS.load(Relaxed), 3);
    let heard = HEARD.lock();
    assert_eq!(heard.len(), 3);
    assert!(heard[0].contains("reading may block") && heard[2].contains("reading on may block"));
}

#[test]
fn what_a_hook_does_teaches_no_order() {
    static OUTER: Class = Class::new("held at a report");
    static INNER: Class = Class::new("taken by a hook");
    static TAKEN: Mutex<()> = Mutex::new(&INNER, ());
    let outer = Mutex::new(&OUTER, ());
    let reports = found(|| {
        lint::set_hook(Box::new(|_| drop(TAKEN.lock())));
        {
            let _outer = outer.lock();
            lint::might_block("reading");
        }
        let _taken = TAKEN.lock();
        let _outer = outer.lock();
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
}

#[test]
fn a_hook_replaces_the_reaction() {
    let reports = found(|| {
        lint::force(Reaction::Panic);
        lint::set_hook(Box::new(|_| ()));
        lint::interrupt(|| lint::might_block("reading"));
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
}

#[test]
fn a_guard_that_a_report_releases_is_forgotten() {
    static TAKEN: Class = Class::new("taken");
    static MUTEX: Mutex<()> = Mutex::new(&TAKEN, ());
    thread_local!(static GUARD: std::cell::RefCell<Option<MutexGuard<'static, ()>>> = const { std::cell::RefCell::new(None) });
    let reports = found(|| {
        lint::set_hook(Box::new(|_| drop(GUARD.take())));
        GUARD.set(Some(MUTEX.lock()));
        lint::might_block("reading");
        lint::might_block("reading, with nothing held");
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
}
