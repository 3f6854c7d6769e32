//! What users have closed leaves nothing behind, however much of it there was (SCHED-13).
//!
//! Memory is counted for each thread, and what these tests measure happens on their own.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::hint::black_box;

use allocation_counter::measure;
use lifeboat_sync::lint::{self, Reaction};
use machine::bound::{Bound, no_hook};

const MANY: usize = 1000;

/// A device, warmed up: what a thread or a lock sets up at its first use is there.
fn device() -> (Bound, lifeboat::Device) {
    // It remembers what it has seen.
    lint::force(Reaction::Off);
    assert!(measure(|| drop(black_box(vec![1]))).count_total == 1, "allocations would be seen");
    let bound = Bound::new(no_hook());
    let device = bound.binding.device().unwrap();
    drop(device.open().unwrap());
    (bound, device)
}

#[test]
fn sched_13_closed_handles_leave_nothing_behind() {
    let (bound, device) = device();
    let opened = measure(|| drop((0..MANY).map(|_| device.open().unwrap()).collect::<Vec<_>>()));
    assert_eq!((opened.bytes_current, opened.count_current), (0, 0), "left behind by {MANY} handles");
    drop(device);
    bound.finish();
}

#[test]
fn sched_13_a_handle_has_memory_for_the_events_it_is_promised_and_for_no_more() {
    let (bound, device) = device();
    let mut handles = Vec::with_capacity(MANY);
    let opened = measure(|| handles.extend((0..MANY).map(|_| device.open().unwrap())));
    let each = opened.bytes_current / i64::try_from(MANY).unwrap();
    assert!(each <= 512, "{each} bytes for a handle that has asked for nothing");
    drop((handles, device));
    bound.finish();
}
