//! Options of a scheduler: what is wrong with them is said before anything is touched.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod model;

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use lifeboat::Priority;
use lifeboat::core::sched::QueueError;
use lifeboat::sched::{Limits, OpenError, Options, OptionsError, RingIndex, Scheduler};
use model::{Hardware, Job, LONG, Mode, queue, until};

fn with(change: impl FnOnce(&mut Options)) -> Options {
    let mut options = Options::default();
    change(&mut options);
    options
}

/// How a scheduler is refused, and that nobody brought anything up for it.
fn refused(options: &Options) -> OptionsError {
    let touched = Cell::new(false);
    let opened = Scheduler::<Job>::open(options, |_| {
        touched.set(true);
        Err::<NoRings, Infallible>(unreachable!("the rings were brought up for {options:?}"))
    });
    assert!(!touched.get());
    match opened {
        Err(OpenError::Options(error)) => error,
        other => panic!("{other:?}"),
    }
}

type NoRings = model::ModelRings;

#[test]
fn sched_1_bad_options_are_refused_before_anything_is_touched() {
    assert_eq!(refused(&with(|options| options.name = "gpu\0".into())), OptionsError::Name);
    let zeros: [(&str, fn(&mut Options)); 5] = [
        ("jobs", |options| options.jobs = 0),
        ("queues", |options| options.queues = 0),
        ("job_share", |options| options.job_share = Some(0)),
        ("queue_share", |options| options.queue_share = Some(0)),
        ("limits.ring_credits", |options| options.limits = Limits::new(0, LONG)),
    ];
    for (what, change) in zeros {
        assert_eq!(refused(&with(change)), OptionsError::Zero { what });
    }
    let large: [(&str, fn(&mut Options)); 5] = [
        ("jobs", |options| options.jobs = usize::MAX),
        ("queues", |options| options.queues = usize::MAX),
        ("contexts", |options| options.contexts = usize::MAX),
        ("own_jobs", |options| options.own_jobs = u32::MAX),
        ("own_queues", |options| options.own_queues = u32::MAX),
    ];
    for (name, change) in large {
        let error = refused(&with(change));
        assert!(matches!(error, OptionsError::TooMany { what, .. } if what == name), "{error}");
        assert!(error.to_string().contains(name));
    }
}

#[test]
fn sched_1_a_scheduler_without_rings_opens_and_closes() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &with(|options| options.rings = 0));
    assert_eq!(scheduler.queue(RingIndex(0), Priority::Normal).unwrap_err(), QueueError::NoSuchRing);
    until(|| hardware.looks() > 0);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_7_a_guilty_limit_of_zero_is_that_of_one() {
    let hardware = Hardware::new();
    let limits = Limits::new(4, Duration::from_millis(20));
    let scheduler = hardware.open(
        Mode::ByHand,
        &with(|options| {
            (options.guilty_limit, options.limits) = (0, limits);
        }),
    );
    let context = scheduler.context().unwrap();
    let queue = context.queue(RingIndex(0), Priority::Normal).unwrap();
    let hung = queue.submit(hardware.new_job()).unwrap();
    assert!(hung.wait(LONG).is_err());
    assert!(context.reset_stats().banned);
    drop((queue, context));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_1_no_contexts_are_no_hindrance() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &with(|options| options.contexts = 0));
    assert!(scheduler.context().is_none());
    let queue = queue(&scheduler);
    assert_eq!(queue.submit(hardware.new_job()).unwrap().wait(LONG), Ok(()));
    drop(queue);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}
