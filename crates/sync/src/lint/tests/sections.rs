//! Tests of calls that are allowed inside sections.

use super::*;
use crate::lint::{FENCE, GATE, REVOCABLE, fence_wait, interrupt, might_block, reclaim, register_access};

#[test]
fn gate_2_blocking_in_a_revocable_section_names_both_places() {
    let reports = found("gate_2_both", || {
        let section = enter(SectionKind::Revocable, &REVOCABLE);
        might_block("reading a file");
        hooks::left(section);
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
    let (here, other) = (reports[0].here, reports[0].other.unwrap());
    assert_eq!((here.file(), other.file()), (file!(), file!()));
    assert_eq!(here.line(), other.line() + 1);
    assert!(reports[0].message.contains("reading a file may block, but the non-sleeping section of `revocable`"));
    assert!(reports[0].backtraces[0].1.contains("gate_2_blocking"), "{}", reports[0]);
}

#[test]
fn gate_2_the_section_is_seen_under_others_and_no_longer_than_it_is_open() {
    let reports = found("gate_2_under", || {
        let section = enter(SectionKind::Revocable, &REVOCABLE);
        let gate = enter(SectionKind::Gate, &GATE);
        might_block("reading");
        hooks::left(section);
        might_block("writing");
        hooks::left(gate);
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
    assert!(reports[0].message.starts_with("reading"));
}

#[test]
fn gate_3_blocking_is_allowed_in_the_sections_of_gates_and_bus_callbacks() {
    let reports = found("gate_3_blocking", || {
        for kind in [SectionKind::Gate, SectionKind::Bound] {
            let section = enter(kind, &GATE);
            might_block("reading a file");
            hooks::left(section);
        }
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn gate_5_a_fence_wait_inside_a_gate_section_is_reported_at_the_first_run() {
    let reports = found("gate_5_wait", || {
        let section = enter(SectionKind::Gate, &GATE);
        fence_wait();
        hooks::left(section);
        fence_wait();
    });
    assert_eq!(kinds(&reports), [ReportKind::FenceWaitInSection]);
    assert_eq!(reports[0].here.line(), reports[0].other.unwrap().line() + 1);
    assert!(reports[0].backtraces[0].1.contains("gate_5_a_fence_wait"));
}

#[test]
fn gate_5_a_fence_wait_is_allowed_in_a_bus_callback_and_blocks_in_a_revocable_section() {
    let reports = found("gate_5_others", || {
        for kind in [SectionKind::Bound, SectionKind::Revocable] {
            let section = enter(kind, &REVOCABLE);
            fence_wait();
            hooks::left(section);
        }
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking]);
    assert!(reports[0].message.starts_with("waiting for a fence may block"));
}

#[test]
fn gate_5_registers_are_accessed_inside_of_every_kind_of_section() {
    let reports = found("gate_5_access", || {
        for kind in [SectionKind::Revocable, SectionKind::Gate, SectionKind::Bound] {
            let section = enter(kind, &GATE);
            register_access();
            hooks::left(section);
        }
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn gate_6_sections_are_allowed_in_interrupts_and_reclaim() {
    let access = || {
        for kind in [SectionKind::Revocable, SectionKind::Gate] {
            let section = enter(kind, &GATE);
            register_access();
            hooks::left(section);
        }
    };
    let reports = found("gate_6_sections", || {
        interrupt(access);
        reclaim(access);
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn gate_6_a_gate_section_does_not_allow_blocking_in_an_interrupt_or_reclaim() {
    let reports = found("gate_6_blocking", || {
        let block = || {
            let section = enter(SectionKind::Gate, &GATE);
            might_block("reading");
            hooks::left(section);
        };
        interrupt(block);
        reclaim(block);
        block();
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking, ReportKind::Blocking]);
    assert!(reports[0].message.contains("interrupt context"));
    assert!(reports[1].message.contains("reclaim context"));
}

#[test]
fn sections_of_one_class_nest_and_end_in_any_order() {
    static NESTED: Class = Class::new("nested");
    let reports = found("nesting", || {
        let tokens = [SectionKind::Gate; 3].map(|kind| enter(kind, &NESTED));
        hooks::left(tokens[1]);
        hooks::left(tokens[0]);
        register_access();
        hooks::left(tokens[2]);
        fence_wait();
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn a_section_under_a_lock_and_the_lock_in_a_section_are_no_inversion() {
    static LOCK: Class = Class::new("around and inside");
    static SECTION: Class = Class::new("inside and around");
    let mutex = crate::lint::Mutex::sleeping(&LOCK, ());
    let reports = found("seed_2_free_nesting", || {
        let guard = mutex.lock();
        let section = enter(SectionKind::Gate, &SECTION);
        hooks::left(section);
        drop(guard);
        let section = enter(SectionKind::Gate, &SECTION);
        drop(mutex.lock());
        hooks::left(section);
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn the_classes_without_an_owner_are_told_apart() {
    let ids = [&GATE, &REVOCABLE, &FENCE].map(Class::id);
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2] && !ids.contains(&0));
}
