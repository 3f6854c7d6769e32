//! What users have closed leaves nothing behind, however much of it there was (SCHED-13).
//!
//! Memory is counted for each thread, and what these tests measure happens on their own.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::hint::black_box;

use allocation_counter::measure;
use lifeboat_lb1_hosted::{Device, Placement};
use lifeboat_sync::lint::{self, Reaction};
use machine::Machine;

const MANY: usize = 1000;

/// A device, warmed up: what a thread or a lock sets up at its first use is there.
fn device() -> (Machine, Device) {
    // It remembers what it has seen.
    lint::force(Reaction::Off);
    assert!(measure(|| drop(black_box(vec![1]))).count_total == 1, "allocations would be seen");
    let machine = Machine::new();
    let device = machine.added();
    drop(device.open().unwrap());
    (machine, device)
}

#[test]
fn sched_13_closed_handles_leave_nothing_behind() {
    let (machine, device) = device();
    let opened = measure(|| drop((0..MANY).map(|_| device.open().unwrap()).collect::<Vec<_>>()));
    assert_eq!((opened.bytes_current, opened.count_current), (0, 0), "left behind by {MANY} handles");
    drop(device);
    machine.finish();
}

#[test]
fn sched_13_closed_contexts_leave_nothing_behind() {
    let (machine, device) = device();
    let handle = device.open().unwrap();
    drop(handle.create_context().unwrap());
    // As many as a client may have.
    let contexts = measure(|| drop((0..16).map(|_| handle.create_context().unwrap()).collect::<Vec<_>>()));
    assert_eq!((contexts.bytes_current, contexts.count_current), (0, 0), "left behind by 16 contexts");
    drop((handle, device));
    machine.finish();
}

#[test]
fn sched_13_subscriptions_that_have_ended_leave_nothing_behind() {
    let (machine, device) = device();
    let told = measure(|| drop((0..MANY).map(|_| machine.bus().subscribe()).collect::<Vec<_>>()));
    assert_eq!((told.bytes_current, told.count_current), (0, 0), "left behind by {MANY} subscriptions");
    drop(device);
    let after = machine.bus().subscribe();
    machine.finish();
    assert_eq!(after.into_iter().count(), 1, "the removal; then the bus is gone");
}

#[test]
fn sched_13_maps_and_exports_that_have_ended_leave_nothing_behind() {
    let (machine, device) = device();
    let handle = device.open().unwrap();
    let buffer = handle.create_buffer(Placement::Vram, 4096).unwrap();
    drop((handle.mmap(&buffer).unwrap(), handle.export(&buffer).unwrap()));
    let maps = measure(|| drop((0..MANY).map(|_| handle.mmap(&buffer).unwrap()).collect::<Vec<_>>()));
    assert_eq!((maps.bytes_current, maps.count_current), (0, 0), "left behind by {MANY} maps");
    let exports = measure(|| drop((0..MANY).map(|_| handle.export(&buffer).unwrap()).collect::<Vec<_>>()));
    assert_eq!((exports.bytes_current, exports.count_current), (0, 0), "left behind by {MANY} exports");
    let kept: Vec<_> = (0..3).map(|_| handle.mmap(&buffer).unwrap()).collect();
    drop((0..3).map(|_| handle.mmap(&buffer).unwrap()).collect::<Vec<_>>());
    machine.slot.remove();
    let report = machine.removed();
    assert_eq!(report.maps_cut, kept.len(), "those that there are");
    drop((kept, buffer, handle, device));
    machine.finish();
}

#[test]
fn sched_13_a_handle_has_memory_for_the_events_it_is_promised_and_for_no_more() {
    let (machine, device) = device();
    let mut handles = Vec::with_capacity(MANY);
    let opened = measure(|| handles.extend((0..MANY).map(|_| device.open().unwrap())));
    let each = opened.bytes_current / i64::try_from(MANY).unwrap();
    assert!(each <= 512, "{each} bytes for a handle that has asked for nothing");
    drop((handles, device));
    machine.finish();
}
