//! Tests of sections that end on another thread, or at the end of a thread.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::*;
use crate::lint::{GATE, Mutex, REVOCABLE, fence_wait, might_block, register_access};

/// Ends a section on another thread, and returns the reports of that thread.
fn leave_on_another(name: &str, token: Token) -> Vec<Report> {
    found(name, move || hooks::left(token))
}

#[test]
fn a_section_left_on_another_thread_is_reported_and_forgotten_where_it_began() {
    let mut elsewhere = Vec::new();
    let reports = found("left_elsewhere_owner", || {
        let section = enter(SectionKind::Gate, &GATE);
        elsewhere = leave_on_another("left_elsewhere", section);
        fence_wait();
    });
    assert_eq!(kinds(&elsewhere), [ReportKind::LeftElsewhere]);
    assert_eq!(elsewhere[0].other.unwrap().file(), file!());
    assert_eq!(kinds(&reports), []);
}

#[test]
fn a_section_left_where_it_began_is_not_reported() {
    assert_eq!(kinds(&found("left_here", || hooks::left(enter(SectionKind::Gate, &GATE)))), []);
}

#[test]
fn gate_10_a_proof_may_end_on_another_thread() {
    static PROOF: Class = Class::new("proof");
    let mut elsewhere = Vec::new();
    let reports = found("proof_owner", || {
        let proof = enter(SectionKind::Bound, &PROOF);
        drain(&PROOF);
        elsewhere = leave_on_another("proof_left", proof);
        drain(&PROOF);
    });
    assert_eq!(kinds(&elsewhere), []);
    assert_eq!(kinds(&reports), [ReportKind::DrainInsideSection], "while it was open only");
}

#[test]
fn a_section_whose_thread_has_ended_can_be_left() {
    let mut token = None;
    assert_eq!(kinds(&found("ended", || token = Some(enter(SectionKind::Bound, &GATE)))), []);
    assert_eq!(kinds(&leave_on_another("after the end", token.unwrap())), []);
}

#[test]
fn gate_5_while_a_movable_section_is_open_a_register_access_may_be_its_own() {
    let reports = found("movable", || {
        for token in [hooks::entered_movable(), enter(SectionKind::Bound, &REVOCABLE)] {
            assert_eq!(kinds(&found("movable_elsewhere", register_access)), []);
            let left = leave_on_another("movable_left", token);
            assert_eq!(kinds(&left), []);
        }
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn gate_5_afterwards_it_is_reported_again() {
    // The two closures are two places, because the same finding is reported once.
    let first = || register_access();
    let second = || register_access();
    hooks::left(hooks::entered_movable());
    reported_at_last(first);
    hooks::left(enter(SectionKind::Bound, &REVOCABLE));
    reported_at_last(second);
}

/// Accesses a register until no other test has a movable section open.
fn reported_at_last(access: impl Fn() + Sync) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let reports = found("unmoved", || {
        while lock(&REPORTS).iter().all(|report| report.thread != "unmoved") && Instant::now() < deadline {
            access();
            std::thread::yield_now();
        }
    });
    assert_eq!(kinds(&reports), [ReportKind::NoSection]);
}

#[test]
fn a_carried_section_is_not_taken_for_the_next_tasks() {
    let reports = found("carried", || {
        let token = hooks::entered_movable();
        might_block("another task's work");
        fence_wait();
        hooks::left(token);
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn at_the_end_of_a_thread_nothing_is_recorded_and_nothing_panics() {
    static LOCK: Class = Class::new("at the end");
    static LATE_LOCK: Mutex<()> = Mutex::new(&LOCK, ());
    static ENDED: std::sync::Mutex<bool> = std::sync::Mutex::new(false);
    struct AtTheEnd(Option<Token>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            hooks::left(self.0.take().unwrap());
            let section = enter(SectionKind::Revocable, &REVOCABLE);
            let guard = LATE_LOCK.lock();
            might_block("the end");
            drop(guard);
            hooks::left(section);
            *lock(&ENDED) = true;
        }
    }
    thread_local!(static LATE: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) });

    let reports = found("at_the_end", || {
        // This thread-local is registered before the lint's own record, and so dropped after it.
        LATE.with(|late| *late.borrow_mut() = None);
        LATE.with(|late| *late.borrow_mut() = Some(AtTheEnd(Some(enter(SectionKind::Gate, &GATE)))));
    });
    assert!(*lock(&ENDED));
    assert_eq!(kinds(&reports), []);
}
