//! What is left of a device in a fence of somebody else, who may never signal it: next to nothing.
//!
//! All allocations of the process are counted, so that this file has one test.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::alloc::System;

use lifeboat::{Fence, Module};
use lifeboat_lb1_hosted::{Change, Commit, CommitKind};
use machine::LONG;
use machine::bound::{Bound, no_hook};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const DEVICES: usize = 8;
/// Of each device at most: a callback, and what the test's own tools remember of a run.
const LEFT: usize = 16 << 10;

/// A device whose display waits for the fence when it goes.
fn come_and_go(never: &Fence) {
    let bound = Bound::new(no_hook());
    let client = bound.client();
    client.show(&client.vram).unwrap();
    let (plane, kind) = (Change::To(&client.vram), CommitKind::NonBlocking);
    let commit = Commit { plane, kind, in_fence: Some(never), ..Commit::default() };
    let shown = client.handle.atomic(&commit).unwrap();
    assert_eq!(shown.status(), None);
    let job = client.submit(0, &[lifeboat_lb1_hosted::command::Work::Nop], std::slice::from_ref(never));
    bound.binding.unplug(lifeboat::core::unplug::Loss::Unbound).unwrap();
    shown.wait(LONG).unwrap();
    assert!(job.wait(LONG).is_err());
    drop(client);
    bound.finish();
}

#[test]
fn life_3_a_fence_that_nobody_signals_keeps_nothing_of_the_devices_that_wait_for_it() {
    let others = Module::new();
    let (never, promise) = others.timeline("test", "never").fence();
    // What is made once for the process.
    come_and_go(&never);
    let region = Region::new(ALLOCATOR);
    (0..DEVICES).for_each(|_| come_and_go(&never));
    let change = region.change();
    let left = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    assert!(left < DEVICES * LEFT, "{left} bytes are left of {DEVICES} devices: {change:?}");
    // Nor does whoever signals it at last find anything there.
    drop(promise);
}
