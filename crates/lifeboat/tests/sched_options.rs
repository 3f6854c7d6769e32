//! Options of a scheduler: what is wrong with them is said before anything is touched.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod model;

use std::process::Command;
use std::time::Duration;

use lifeboat::Priority;
use lifeboat::core::sched::QueueError;
use lifeboat::sched::{Limits, OpenError, Options, OptionsError, RingIndex};
use model::{Hardware, LONG, Mode, queue, until};

type Change = fn(&mut Options);

fn with(change: impl FnOnce(&mut Options)) -> Options {
    let mut options = Options::default();
    change(&mut options);
    options
}

/// How a scheduler is refused, and that nobody brought anything up for it.
fn refused(options: &Options) -> OptionsError {
    let hardware = Hardware::new();
    let opened = hardware.try_open(Mode::AtOnce, options);
    assert!(!hardware.brought_up(), "the rings were brought up for {options:?}");
    match opened {
        Err(OpenError::Options(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sched_1_bad_options_are_refused_before_anything_is_touched() {
    assert_eq!(refused(&with(|options| options.name = "gpu\0".into())), OptionsError::Name);
    let zeros: [(&str, Change); 6] = [
        ("jobs", |options| options.jobs = 0),
        ("queues", |options| options.queues = 0),
        ("job_share", |options| options.job_share = Some(0)),
        ("queue_share", |options| options.queue_share = Some(0)),
        ("limits.ring_credits", |options| options.limits = Limits::new(0, LONG)),
        ("ring_credits", |options| options.ring_credits = vec![0]),
    ];
    for (what, change) in zeros {
        assert_eq!(refused(&with(change)), OptionsError::Zero { what });
    }
    let large: [(&str, Change); 6] = [
        ("jobs", |options| options.jobs = usize::MAX),
        ("queues", |options| options.queues = usize::MAX),
        ("contexts", |options| options.contexts = usize::MAX),
        ("own_jobs", |options| options.own_jobs = u32::MAX),
        ("own_queues", |options| options.own_queues = u32::MAX),
        ("ring_credits", |options| options.ring_credits = vec![1; 1 + usize::from(options.rings)]),
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

const CHILD: &str = "LIFEBOAT_TEST_WITHOUT_THREADS";

/// Runs once more in a process of its own, in which no thread can be started: their stacks would be too large.
#[test]
fn sched_2_without_a_thread_the_rings_are_brought_to_rest() {
    if std::env::var_os(CHILD).is_some() {
        let hardware = Hardware::new();
        let opened = hardware.try_open(Mode::ByHand, &Options::default());
        assert!(matches!(opened, Err(OpenError::Thread(_))), "{opened:?}");
        assert!(hardware.brought_up() && hardware.quiesced());
        hardware.assert_nothing_left();
        return;
    }
    let name = "sched_2_without_a_thread_the_rings_are_brought_to_rest";
    let child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--test-threads=1"])
        .envs([(CHILD, "1"), ("RUST_MIN_STACK", "70368744177664")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&child.stderr));
}
