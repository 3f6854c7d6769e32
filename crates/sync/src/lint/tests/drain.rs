//! Tests of waits for the end of sections.

use super::*;
use crate::lint::{GATE, Mutex, fence_wait, signalling};

#[test]
fn a_lock_held_while_draining_and_taken_inside_is_an_inversion() {
    static LOCK: Class = Class::new("drain: lock");
    static DEVICE: Class = Class::new("drain: device");
    let mutex = Mutex::sleeping(&LOCK, ());
    let reports = found("drain_first", || {
        {
            let _guard = mutex.lock();
            drain(&DEVICE);
        }
        let section = enter(SectionKind::Gate, &DEVICE);
        drop(mutex.lock());
        hooks::left(section);
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
    assert!(reports[0].message.starts_with("`drain: lock` is waited for while `drain: device` is held"));
}

#[test]
fn the_same_the_other_way_round() {
    static LOCK: Class = Class::new("section: lock");
    static DEVICE: Class = Class::new("section: device");
    let mutex = Mutex::new(&LOCK, ());
    let sleeping = Mutex::sleeping(&LOCK, ());
    let reports = found("section_first", || {
        let section = enter(SectionKind::Revocable, &DEVICE);
        drop(mutex.lock());
        hooks::left(section);
        let _guard = sleeping.lock();
        drain(&DEVICE);
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
    assert_eq!(reports[0].other.unwrap().line() + 3, reports[0].here.line());
    assert_eq!(reports[0].backtraces.len(), 2);
}

#[test]
fn draining_on_a_signalling_path_is_an_inversion_if_a_section_waits_for_a_fence() {
    static DEVICE: Class = Class::new("signalling: device");
    let reports = found("drain_signalling", || {
        let section = enter(SectionKind::Gate, &DEVICE);
        fence_wait();
        hooks::left(section);
        let _signalling = signalling();
        drain(&DEVICE);
    });
    assert_eq!(kinds(&reports), [ReportKind::FenceWaitInSection, ReportKind::Inversion]);
    assert!(reports[1].message.contains("To hold a fence"));
}

#[test]
fn entering_a_section_on_a_signalling_path_is_allowed() {
    static DEVICE: Class = Class::new("signalling: entered");
    let reports = found("enter_signalling", || {
        let signalling = signalling();
        hooks::left(enter(SectionKind::Gate, &DEVICE));
        drop(signalling);
        let section = enter(SectionKind::Bound, &DEVICE);
        fence_wait();
        hooks::left(section);
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn a_drain_inside_its_own_section_is_reported() {
    static DEVICE: Class = Class::new("own device");
    let reports = found("drain_own", || {
        let section = enter(SectionKind::Gate, &DEVICE);
        drain(&DEVICE);
        hooks::left(section);
        drain(&DEVICE);
    });
    assert_eq!(kinds(&reports), [ReportKind::DrainInsideSection]);
    assert_eq!(reports[0].here.line(), reports[0].other.unwrap().line() + 1);
}

#[test]
fn gate_3_unrelated_gates_without_a_class_are_drained_inside_each_other() {
    let reports = found("drain_other", || {
        let section = enter(SectionKind::Gate, &GATE);
        drain(&GATE);
        hooks::left(section);
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn a_drain_blocks() {
    static SHORT: Class = Class::new("short around a drain");
    static DEVICE: Class = Class::new("blocking drain");
    let mutex = Mutex::new(&SHORT, ());
    let reports = found("drain_blocks", || {
        let _guard = mutex.lock();
        drain(&DEVICE);
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
    assert!(reports[0].message.contains("waiting for the sections of `blocking drain` to end may block"));
}

#[test]
fn an_inversion_by_way_of_gates_without_a_class_says_how_to_tell_them_apart() {
    static LOCK: Class = Class::new("under all gates");
    let mutex = Mutex::sleeping(&LOCK, ());
    let reports = found("drain_shared", || {
        {
            let _guard = mutex.lock();
            drain(&GATE);
        }
        let section = enter(SectionKind::Gate, &GATE);
        drop(mutex.lock());
        hooks::left(section);
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
    assert!(reports[0].message.contains("use `with_class`"));
}
