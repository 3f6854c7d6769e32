//! Tests of the lint's rules about sections, with this crate's own sections.
#![cfg(not(loom))]

mod lint_support;

use std::time::Duration;

use lifeboat_sync::lint::{self, Class, Mutex, ReportKind};
use lifeboat_sync::{Gate, Reader, Revocable};
use lint_support::{found, kinds, on_thread};

const LONG: Duration = Duration::from_secs(10);

#[test]
fn gate_2_blocking_inside_a_revocable_is_reported_with_both_places() {
    let registers = Revocable::new(());
    let reports = found(|| {
        registers.try_access_with(|()| lint::might_block("reading"));
        let access = registers.try_access();
        lint::might_block("reading");
        drop(access);
        lint::might_block("reading");
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking; 2]);
    assert_eq!(reports[0].here.line(), reports[0].other.unwrap().line());
    assert_eq!(reports[1].here.line(), reports[1].other.unwrap().line() + 1);
    assert_eq!(reports[1].other.unwrap().file(), file!());
}

#[test]
fn gate_5_a_fence_wait_inside_a_gate_is_reported_and_register_access_outside() {
    let (gate, registers) = (Gate::new(), Revocable::new(()));
    let reports = found(|| {
        gate.run(lint::fence_wait);
        gate.run(lint::register_access);
        registers.try_access_with(|()| lint::register_access());
        lint::register_access();
    });
    assert_eq!(kinds(&reports), [ReportKind::FenceWaitInSection, ReportKind::NoSection]);
}

#[test]
fn gate_6_sections_are_allowed_in_interrupts_and_reclaim() {
    let (gate, registers) = (Gate::new(), Revocable::new(7));
    let reports = found(|| {
        let access = || gate.run(|| registers.try_access_with(|r| *r));
        assert_eq!(lint::interrupt(access), Some(Some(7)));
        assert_eq!(lint::reclaim(access), Some(Some(7)));
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn gate_10_a_proof_allows_blocking_and_may_move() {
    let registers = Revocable::new(7);
    let reports = found(|| {
        let bound = registers.bound().unwrap();
        lint::might_block("reading");
        lint::register_access();
        on_thread("elsewhere", move || drop(bound));
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn a_task_carries_its_section_to_another_thread() {
    let (gate, reader) = (Gate::new(), Reader::new("task"));
    let reports = found(|| {
        let section = gate.enter_with(&reader).unwrap();
        lint::fence_wait(); // the lint must assume that another task waits
        on_thread("elsewhere", move || drop(section));
    });
    assert_eq!(kinds(&reports), []);
}

#[test]
fn a_lock_held_while_draining_and_taken_inside_is_an_inversion() {
    static DEVICE: Class = Class::new("device");
    static LOCK: Class = Class::new("lock");
    let (gate, mutex) = (Gate::with_class(&DEVICE), Mutex::sleeping(&LOCK, ()));
    let reports = found(|| {
        gate.run(|| drop(mutex.lock()));
        let _guard = mutex.lock();
        gate.run(|| ()).unwrap(); // entering waits for nothing
        gate.drain(LONG).unwrap();
    });
    assert_eq!(kinds(&reports), [ReportKind::Inversion]);
    assert_eq!(reports[0].here.file(), file!());
}
