//! The display and its events: on a live device, at the moment of loss, and after it.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod interrupts;
mod leases;
mod live;
mod loss;
#[path = "../machine/mod.rs"]
mod machine;
mod overdue;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{CallError, Event, Fence, Module, Policy, ProbeError, WaitError};
use lifeboat_gpu::{Card, Fault, Trigger};
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{
    Buffer, Change, Commit, CommitKind, ConnectorStatus, Device, DisplayEvent, Handle, Lease, Objects, Placement,
};
use machine::bound::{self, Bound, no_hook, options};
use machine::interposer::Access;
use machine::{BYTES, Client, JOB_TIMEOUT, LONG, Machine};

/// A buffer in VRAM full of one byte, as large as a picture of 64 by 64 pixels four times over.
fn painted(client: &Client, shade: u8) -> Buffer {
    let buffer = client.handle.create_buffer(Placement::Vram, BYTES.into()).unwrap();
    buffer.write(0, &vec![shade; BYTES as usize]).unwrap();
    buffer
}

fn shade(card: &Card) -> Option<u8> {
    let shown = card.picture()?;
    assert!(shown.pixels.iter().all(|byte| *byte == shown.pixels[0]));
    Some(shown.pixels[0])
}

fn errno<T>(result: Result<T, CallError>) -> Option<Errno> {
    result.err().map(CallError::errno)
}

/// A commit of this picture that does not wait.
fn of(picture: &Buffer) -> Commit<'_> {
    Commit { plane: Change::To(picture), kind: CommitKind::NonBlocking, ..Commit::default() }
}

fn is_flip(event: Option<DisplayEvent>, wanted: u64) -> bool {
    matches!(event, Some(DisplayEvent::Flip { token, .. }) if token == wanted)
}

/// How often each token was answered.
type Answers = BTreeMap<u64, usize>;

/// Reads all events; how many hotplugs there were.
fn read(handle: &Handle, answers: &mut Answers) -> usize {
    let mut hotplugs = 0;
    while let Some(event) = handle.events().try_next() {
        match event {
            DisplayEvent::Flip { token, .. } | DisplayEvent::Vblank { token, .. } => {
                *answers.entry(token).or_insert(0) += 1;
            }
            DisplayEvent::Hotplug { connected } => {
                assert!(!connected);
                hotplugs += 1;
            }
            other => panic!("an event that nothing is known of: {other:?}"),
        }
    }
    hotplugs
}

/// How often each token was answered, and how many hotplugs there were.
fn tally(handle: &Handle) -> (Answers, usize) {
    let mut answers = Answers::new();
    let hotplugs = read(handle, &mut answers);
    (answers, hotplugs)
}

/// The device of the card that was plugged in last. So many are that on a starved machine a reset of one may be late.
fn plugged(machine: &mut Machine) -> Device {
    loop {
        match machine.next_event() {
            Event::Added { minor, .. } => return machine.bus().device(minor).unwrap(),
            Event::ProbeFailed { error: ProbeError::ResetTimedOut, .. } => {
                machine.slot.remove();
                machine.plug();
            }
            other => panic!("expected a device, got {other:?}"),
        }
    }
}
