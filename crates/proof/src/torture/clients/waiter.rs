//! Waits for the fences of others, in every way there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use fastrand::Rng;
use lifeboat::{Fence, Outcome};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};

use super::desk::Desk;
use crate::torture::tortured::Tortured;

/// How long to wait for somebody who submits.
const LOOK_AROUND: Duration = Duration::from_millis(1);

/// A callback of a fence: how often it was called, and with what.
struct Told {
    fence: Fence,
    times: Arc<AtomicU32>,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

pub(crate) fn work<S: Tortured>(desk: &Desk<'_, S>, random: &mut Rng) {
    while desk.goes_on() {
        desk.does("waits for fences to wait for");
        let fences = desk.round.shared(LOOK_AROUND);
        let told: Vec<Told> = fences.iter().map(Told::new).collect();
        match random.u8(..4) {
            0 => fences.iter().for_each(|fence| {
                let _ = desk.wait(fence);
            }),
            1 => fences.iter().for_each(|fence| wait_by_descriptor(desk, fence)),
            2 if !fences.is_empty() => wait_for_any(desk, &fences),
            _ => wait_for_all(desk, &fences),
        }
        for told in told {
            told.check(desk);
        }
    }
}

impl Told {
    fn new(fence: &Fence) -> Self {
        let told = Self { fence: fence.clone(), times: Arc::default(), outcome: Arc::default() };
        let (times, outcome) = (told.times.clone(), told.outcome.clone());
        fence.on_signal(move |ended| {
            *outcome.lock() = Some(ended);
            times.fetch_add(1, SeqCst);
        });
        told
    }

    /// Its fence signals; the callback is run after that, once.
    fn check<S: Tortured>(self, desk: &Desk<'_, S>) {
        let outcome = desk.wait(&self.fence);
        desk.does("waits for a callback");
        while self.times.load(SeqCst) == 0 {
            std::thread::sleep(Duration::from_micros(100));
        }
        let (times, told) = (self.times.load(SeqCst), *self.outcome.lock());
        if (times, told) != (1, Some(outcome)) {
            desk.wrong(format!(
                "a callback was called {times} times, with {told:?}; {:?} had ended with {outcome:?}",
                self.fence
            ));
        }
    }
}

fn wait_by_descriptor<S: Tortured>(desk: &Desk<'_, S>, fence: &Fence) {
    let descriptor = match fence.eventfd() {
        Ok(descriptor) => descriptor,
        Err(error) => return desk.wrong(format!("a fence has no descriptor: {error}")),
    };
    desk.does("polls the descriptor of a fence");
    // Without a limit: the watchdog has one.
    if let Err(error) = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], None) {
        return desk.wrong(format!("the descriptor of a fence cannot be polled: {error}"));
    }
    if fence.status().is_none() {
        desk.wrong(format!("the descriptor of {fence:?} is readable, and it is pending"));
    }
}

fn wait_for_any<S: Tortured>(desk: &Desk<'_, S>, fences: &[Fence]) {
    let outcome = desk.wait(&Fence::any(fences.iter().cloned()));
    if !fences.iter().any(|fence| fence.status() == Some(outcome)) {
        desk.wrong(format!("one of several fences ended with {outcome:?}, and none of them did"));
    }
}

fn wait_for_all<S: Tortured>(desk: &Desk<'_, S>, fences: &[Fence]) {
    let outcome = desk.wait(&Fence::all(fences.iter().cloned()));
    let outcomes: Option<Vec<Outcome>> = fences.iter().map(Fence::status).collect();
    if outcomes.map(|outcomes| outcomes.into_iter().collect::<Outcome>()) != Some(outcome) {
        desk.wrong(format!("several fences together ended with {outcome:?}, and they did not"));
    }
}
