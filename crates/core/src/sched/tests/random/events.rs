//! Events that may happen to a scheduler, in any order, and how often each does.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Open {
        ring: u8,
        priority: Priority,
        /// A context that there was, or none.
        context: usize,
    },
    OpenContext {
        limit: u32,
    },
    CloseContext {
        context: usize,
    },
    Reserve {
        queue: usize,
        spec: JobSpec,
    },
    /// Of the reservations that are open, so that anything may happen since the reservation.
    Commit {
        reservation: usize,
        /// Whoever submits runs the job, if the scheduler says so.
        runs: bool,
    },
    Cancel {
        reservation: usize,
    },
    Dependency {
        job: usize,
        failed: bool,
    },
    /// The completion of the job that many places behind the oldest.
    Complete {
        ring: u8,
        place: usize,
    },
    /// The completion of that job alone.
    CompleteOne {
        ring: u8,
        place: usize,
    },
    /// A number from the past (counted from the last one given out) or the future.
    Spurious {
        ring: u8,
        back: usize,
        told: Told,
    },
    /// The driver asks whether the suspect is to be aborted.
    BeginAbort {
        ring: u8,
    },
    /// The ring answers, asked or not.
    AbortAnswered {
        ring: u8,
        answer: Abort,
    },
    /// The ring has given up the job that many places behind the oldest.
    Aborted {
        ring: u8,
        place: usize,
    },
    Fault {
        ring: u8,
        back: usize,
    },
    Pass {
        millis: u64,
    },
    Tick,
    /// Time passes until something is due, and is told.
    PassUntilDue,
    ResetDone {
        ring: u8,
        succeeded: bool,
    },
    DeviceResetDone {
        succeeded: bool,
    },
    /// The driver has looked: the ring, or the device, is to be reset.
    BeginReset {
        ring: u8,
    },
    BeginDeviceReset,
    /// The driver has looked, and says that the suspect moves.
    StillRunning {
        ring: u8,
    },
    /// The driver has looked whether the ring has begun the suspect.
    SuspectBegan {
        ring: u8,
        began: Began,
    },
    Stop,
    Start,
    Reprioritize {
        queue: usize,
        priority: Priority,
    },
    /// One more ring than there is.
    Move {
        queue: usize,
        ring: u8,
    },
    Kill {
        queue: usize,
    },
    /// A firmware is told of a queue.
    Hold {
        queue: usize,
    },
    /// The driver answers, to whatever was asked last.
    Answer {
        queue: usize,
        answer: LetGo,
    },
    FirmwareLetGo {
        queue: usize,
    },
    Lose {
        error: FenceError,
    },
    HardwareGone,
}

/// What a ring tells with a number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    DoneUpTo,
    DoneOne,
    Aborted,
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![1 => Just(Priority::High), 2 => Just(Priority::Normal), 1 => Just(Priority::Low)]
}

/// What of a job is not its size.
fn spec() -> impl Strategy<Value = JobSpec> {
    let policy = prop_oneof![3 => Just(IfDependencyFails::Cancel), 1 => Just(IfDependencyFails::Run)];
    let time_limit = prop::option::weighted(0.3, prop_oneof![Just(TIMEOUT / 2), Just(TIMEOUT * 3)]);
    (prop::bool::weighted(0.7), policy, time_limit).prop_map(|(restartable, if_dependency_fails, time_limit)| JobSpec {
        cost: 1,
        time_limit,
        dependencies: 2,
        restartable,
        if_dependency_fails,
    })
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let error = prop_oneof![Just(FenceError::Lost), Just(FenceError::Canceled)];
    let told = prop_oneof![Just(Told::DoneUpTo), Just(Told::DoneOne), Just(Told::Aborted)];
    let abort = prop_oneof![1 => Just(Abort::Cannot), 3 => Just(Abort::Asked), 1 => Just(Abort::Done)];
    prop_oneof![
        40 => (0..8usize, 1..8u32, 0..3u32, spec()).prop_map(|(queue, cost, dependencies, spec)| {
            // Most jobs wait for nothing, and are so small that several fit the ring.
            let (cost, dependencies) = (cost.saturating_sub(4).max(1), dependencies.saturating_sub(1));
            Event::Reserve { queue, spec: JobSpec { cost, dependencies, ..spec } }
        }),
        1 => (0..8usize, spec()).prop_map(|(queue, spec)| Event::Reserve { queue, spec: JobSpec { cost: 5, ..spec } }),
        3 => (0..8usize, spec()).prop_map(|(queue, spec)| Event::Reserve { queue, spec: JobSpec { cost: 1, ..spec } }),
        40 => (0..4usize, any::<bool>()).prop_map(|(reservation, runs)| Event::Commit { reservation, runs }),
        2 => (0..4usize).prop_map(|reservation| Event::Cancel { reservation }),
        20 => (0..JOBS, prop::bool::weighted(0.2)).prop_map(|(job, failed)| Event::Dependency { job, failed }),
        30 => (0..2u8, 0..3usize).prop_map(|(ring, place)| Event::Complete { ring, place }),
        30 => (0..2u8, 0..4usize).prop_map(|(ring, place)| Event::CompleteOne { ring, place }),
        12 => (0..2u8, 0..8usize, told).prop_map(|(ring, back, told)| Event::Spurious { ring, back, told }),
        6 => (0..2u8, 0..6usize).prop_map(|(ring, back)| Event::Fault { ring, back }),
        8 => (0..80u64).prop_map(|millis| Event::Pass { millis }),
        12 => Just(Event::Tick),
        24 => Just(Event::PassUntilDue),
        12 => (0..2u8).prop_map(|ring| Event::BeginReset { ring }),
        9 => Just(Event::BeginDeviceReset),
        12 => (0..2u8, prop::bool::weighted(0.9)).prop_map(|(ring, succeeded)| Event::ResetDone { ring, succeeded }),
        9 => prop::bool::weighted(0.9).prop_map(|succeeded| Event::DeviceResetDone { succeeded }),
        5 => (0..2u8).prop_map(|ring| Event::StillRunning { ring }),
        24 => (0..2u8).prop_map(|ring| Event::BeginAbort { ring }),
        24 => (0..2u8, abort).prop_map(|(ring, answer)| Event::AbortAnswered { ring, answer }),
        6 => (0..2u8, 0..3usize).prop_map(|(ring, place)| Event::Aborted { ring, place }),
        4 => (0..2u8, prop_oneof![2 => Just(Began::No), 1 => Just(Began::Yes), 1 => Just(Began::Unknown)])
            .prop_map(|(ring, began)| Event::SuspectBegan { ring, began }),
        4 => Just(Event::Stop),
        10 => Just(Event::Start),
        4 => (0..2u8, priority(), 0..3usize).prop_map(|(ring, priority, context)| Event::Open { ring, priority, context }),
        2 => (0..4u32).prop_map(|limit| Event::OpenContext { limit }),
        2 => (0..3usize).prop_map(|context| Event::CloseContext { context }),
        8 => (0..8usize, priority()).prop_map(|(queue, priority)| Event::Reprioritize { queue, priority }),
        8 => (0..8usize, 0..5u8).prop_map(|(queue, ring)| Event::Move { queue, ring: ring.div_ceil(2) }),
        3 => (0..8usize).prop_map(|queue| Event::Kill { queue }),
        12 => (0..8usize).prop_map(|queue| Event::Hold { queue }),
        20 => (0..8usize, prop_oneof![1 => Just(LetGo::Done), 3 => Just(LetGo::Asked), 1 => Just(LetGo::Cannot)])
            .prop_map(|(queue, answer)| Event::Answer { queue, answer }),
        12 => (0..8usize).prop_map(|queue| Event::FirmwareLetGo { queue }),
        1 => error.prop_map(|error| Event::Lose { error }),
        2 => Just(Event::HardwareGone),
    ]
}
