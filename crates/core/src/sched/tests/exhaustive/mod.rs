//! Every order of events, in small configurations: what proptest may miss because it has to guess it.
//!
//! - [`world`]: the scheduler and its surroundings: users who submit in two steps, kill queues and may stop at any
//!   point; rings that complete, hang, fault, and are reset; a shell that carries out one action at a time and reports
//!   what it saw late or never. Whatever is possible next is an [`Event`], and each is tried in each state.
//! - [`engine`]: a ring in that world; [`firmware`]: what holds something of queues.
//! - [`steps`]: what each event does.
//! - [`properties`]: what is asserted of each action when it comes, of each state, and of how it can end from there.
//! - [`canonical`]: which states are the same.
//! - [`search`]: breadth first through all of them. A failed property prints the shortest way to it.
//!
//! The states are finite although events may repeat for ever, because times and sequence numbers are counted from the
//! last one that matters; so nothing is cut off at some depth. That leaves out one thing: the wrap of sequence numbers,
//! which the tests of [`crate::fence`] look at.
//!
//! Why not stateright: half of the properties are about a transition (this action, now), and it evaluates properties
//! of states only; it tells states apart by 64 bits; and its web interface would bring an HTTP server and some forty
//! crates, second versions of several among them, to the one crate here that depends on nothing.

mod canonical;
mod engine;
mod firmware;
mod properties;
mod search;
mod steps;
mod world;

use super::super::list::{Linked, Links};
use super::super::slots::{Blame, DeviceState, Hold, JobState, RingState, Stands, Tried};
use super::*;
use engine::{Engine, Reset, Vain};
use firmware::{Held, Question};
use search::explore;
use world::{After, Config, Event, Place, Plan, Progress, Stage, Wait, World};

const QUEUES: usize = 2;
const JOBS: usize = 3;

/// Something that must have happened somewhere, or the search has not looked there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notable {
    Refused(SubmitError),
    Ran,
    RanAgain,
    Signalled(Result<(), FenceError>),
    Released,
    /// It was overdue, and then it completed.
    NoHang,
    /// It was overdue, and then the driver saw it move.
    Vouched,
    ResetAsked,
    DeviceResetAsked,
    GaveUp,
    NotStarted,
    /// It was overdue, or the ring stopped, and it never began.
    Acquitted,
    /// A ring that was reset did not work.
    Unproven,
    /// A job completed before an older one.
    Overtook,
    /// One was overdue, and it was not the oldest.
    YoungerOverdue,
    /// Its completion was reported when the device was lost already.
    ReportedLate,
    /// The ring has given up a job alone.
    Aborted,
    /// It was asked to, and did not in time.
    AbortInVain,
    /// A second reset of the ring would have been in vain.
    RingResetInVain,
    /// The same for the device.
    DeviceResetInVain,
    /// A firmware was asked to let go of a queue, and then looked at once more.
    AskedFirmware,
    LastLook,
    /// That look found that it has let go.
    AnsweredAtLast,
    /// It has let go before it was reset for not doing so.
    AnsweredLate,
    /// What a queue kept alive.
    QueueReleased,
    /// A job was run by the thread that has submitted it.
    RanNow,
}

/// What happens in every configuration.
const ALWAYS: [Notable; 12] = [
    Notable::Refused(SubmitError::StaleQueue),
    Notable::Refused(SubmitError::Ended(FenceError::Lost)),
    Notable::Ran,
    Notable::Signalled(Ok(())),
    Notable::Signalled(Err(FenceError::Guilty)),
    Notable::Signalled(Err(FenceError::Canceled)),
    Notable::Signalled(Err(FenceError::Lost)),
    Notable::Released,
    Notable::NoHang,
    Notable::ResetAsked,
    Notable::DeviceResetAsked,
    Notable::GaveUp,
];
const INNOCENT: Notable = Notable::Signalled(Err(FenceError::Innocent));

/// Two queues of one ring; the second queue's job waits for the first queue's second.
const ONE_RING: Config = Config {
    rings: [0, 0],
    credits: [2; 2],
    slots: 3,
    jobs: [plan(0, false, After::Nothing), plan(0, true, After::Nothing), plan(1, true, After::Job(1))],
    submitted: JOBS,
    faults: true,
    slow_hands: false,
    vouched: false,
    unbegun: false,
    proofs: false,
    event_slots: None,
    firmware: None,
    out_of_order: false,
    unordered: false,
    by_submitter: false,
    aborts: false,
    ticks: 1,
};

/// A queue on each of two rings. The first queue's second job waits for the second queue's job.
const TWO_RINGS: Config = Config {
    rings: [0, 1],
    jobs: [plan(0, true, After::Nothing), plan(1, true, After::Nothing), plan(0, false, After::Job(1))],
    ..ONE_RING
};

const fn plan(queue: usize, restartable: bool, after: After) -> Plan {
    Plan { queue, cost: 1, limit: None, restartable, after }
}

/// Explores a configuration, and makes sure that `also` was seen besides what is seen always.
fn explore_all(config: &Config, also: &[Notable]) {
    let explored = explore(config);
    std::println!("{explored:?}");
    for notable in ALWAYS.iter().chain(also) {
        assert!(explored.notable.contains(notable), "never seen: {notable:?}");
    }
    assert!(explored.ends > 0, "it never ends");
}

/// 1,800,000 states, depth 40.
#[test]
fn fence_1_and_2_and_4_and_sched_1_and_2_and_4_and_5_and_6_and_8_hold_in_every_order_of_events_on_one_ring() {
    explore_all(&ONE_RING, &[Notable::RanAgain, INNOCENT]);
}

/// Two rings that hang, are reset and are given up each by itself. 2,060,000 states, depth 44.
#[test]
fn every_order_of_events_on_two_rings() {
    explore_all(&Config { faults: false, ..TWO_RINGS }, &[INNOCENT]);
}

/// A slot is used again while the shell still has a handle of its last job. 1,030,000 states, depth
/// 41.
#[test]
fn every_order_of_events_with_fewer_slots_than_jobs() {
    let jobs = [plan(0, true, After::Nothing), plan(0, true, After::Nothing), plan(1, true, After::Job(0))];
    explore_all(&Config { credits: [1; 2], slots: 2, jobs, ..ONE_RING }, &[Notable::Refused(SubmitError::Full)]);
}

/// All jobs in one queue and on the ring at once, one of them held by a fence from elsewhere that may fail at any
/// moment. 1,150,000 states, depth 38.
#[test]
fn every_order_of_events_in_one_queue() {
    let large = Plan { cost: 2, ..plan(0, true, After::Nothing) };
    let jobs = [plan(0, true, After::Nothing), plan(0, true, After::Foreign), large];
    explore_all(&Config { credits: [4; 2], jobs, faults: false, ..ONE_RING }, &[Notable::RanAgain, INNOCENT]);
}

/// Two queues on two rings share one event slot, and a job of one waits for one of the other. 850,000 states, depth 44.
#[test]
fn every_order_of_events_with_one_event_slot() {
    explore_all(&Config { event_slots: Some(1), faults: false, ..TWO_RINGS }, &[INNOCENT]);
}

/// The driver sees jobs move that are overdue, once each. 1,990,000 states, depth 46.
#[test]
fn every_order_of_events_with_a_driver_that_vouches() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, true, After::Nothing)];
    explore_all(&Config { jobs, vouched: true, ..ONE_RING }, &[Notable::RanAgain, Notable::Vouched, INNOCENT]);
}

/// The shell writes jobs to the ring when it comes to it, or cannot, and says so later: meanwhile they may complete, hang,
/// or be lost. 780,000 states, depth 44.
#[test]
fn sched_4_and_10_hold_in_every_order_of_events_with_a_slow_shell() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, false, After::Job(1))];
    explore_all(&Config { jobs, faults: false, slow_hands: true, ..ONE_RING }, &[Notable::NotStarted, INNOCENT]);
}

/// What the driver knows of a ring: that it has not begun its suspect, and whether it works after
/// its reset. No job is guilty that never began; what was reset in vain is not reset again. 220,000
/// states, depth 44.
#[test]
fn recov_5_holds_in_every_order_of_events_on_one_ring() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, true, After::Nothing)];
    let config = Config { jobs, submitted: 2, unbegun: true, proofs: true, ..ONE_RING };
    explore_all(&config, &[Notable::RanAgain, INNOCENT]);
}

/// The same on two rings with a job each: neither is reset for what the other has not begun.
/// 500,000 states, depth 42.
#[test]
fn recov_5_holds_in_every_order_of_events_on_two_rings() {
    let jobs = [plan(0, true, After::Nothing), plan(1, true, After::Nothing), plan(0, false, After::Nothing)];
    let config =
        Config { jobs, submitted: 2, credits: [1; 2], unbegun: true, proofs: true, faults: false, ..TWO_RINGS };
    explore_all(&config, &[Notable::RanAgain]);
}

/// Two rings that fault, with a job each: with a third that waits for another ring's there are more
/// states than the search allows. 2,230,000 states, depth 48.
#[test]
fn every_order_of_events_on_two_rings_that_fault() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, false, After::Nothing)];
    explore_all(&Config { jobs, submitted: 2, credits: [1; 2], ..TWO_RINGS }, &[INNOCENT]);
}

/// Time passes in half timeouts, so that a ring's clock starts while the other's has run for a while. 2,070,000
/// states, depth 47.
#[test]
#[ignore = "takes a minute"]
fn every_order_of_events_on_two_rings_with_deadlines_of_different_age() {
    explore_all(&Config { faults: false, ticks: 2, ..TWO_RINGS }, &[INNOCENT]);
}

/// Jobs of one ring with different limits: each has its own, from when it is the oldest. 480,000
/// states, depth 37.
#[test]
fn sched_11_a_limit_of_each_job_holds_in_every_order_of_events() {
    let short = Plan { limit: Some(TIMEOUT.checked_div(2).unwrap()), ..plan(1, true, After::Nothing) };
    let jobs = [plan(0, true, After::Nothing), short, plan(0, false, After::Nothing)];
    explore_all(&Config { jobs, faults: false, ticks: 2, ..ONE_RING }, &[Notable::RanAgain, INNOCENT]);
}

/// Two rings, of which the second has room for one job and the first for two. 1,790,000 states,
/// depth 41.
#[test]
#[ignore = "takes a minute"]
fn sched_11_credits_of_each_ring_hold_in_every_order_of_events() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(1, true, After::Nothing)];
    explore_all(&Config { jobs, credits: [2, 1], faults: false, ..TWO_RINGS }, &[INNOCENT]);
}

/// A firmware that keeps the order within each queue, and none between them: a ring completes jobs
/// one by one, and reports each in time, late, or when the device is lost already. 750,000 states,
/// depth 36.
#[test]
fn sched_11_holds_in_every_order_of_events_with_completion_out_of_order() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, true, After::Nothing)];
    let config = Config { jobs, credits: [3; 2], out_of_order: true, faults: false, ..ONE_RING };
    explore_all(&config, &[Notable::RanAgain, INNOCENT, Notable::Overtook, Notable::ReportedLate]);
}

/// Hardware that keeps no order: the ring has one job of each queue at a time, and each job's own
/// limit counts from when the ring has it. 590,000 states, depth 37.
#[test]
fn sched_11_holds_in_every_order_of_events_on_an_unordered_ring() {
    let short = Plan { limit: Some(TIMEOUT.checked_div(2).unwrap()), ..plan(1, true, After::Nothing) };
    let jobs = [plan(0, true, After::Nothing), short, plan(0, false, After::Nothing)];
    let config =
        Config { jobs, credits: [2; 2], out_of_order: true, unordered: true, faults: false, ticks: 2, ..ONE_RING };
    explore_all(&config, &[Notable::RanAgain, INNOCENT, Notable::Overtook, Notable::YoungerOverdue]);
}

/// The same with a driver that sees jobs move, or not begin. 70,000 states, depth 37.
#[test]
fn sched_11_holds_in_every_order_of_events_on_an_unordered_ring_that_is_looked_at() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, true, After::Nothing)];
    let config = Config {
        jobs,
        submitted: 2,
        credits: [3; 2],
        out_of_order: true,
        unordered: true,
        faults: false,
        vouched: true,
        unbegun: true,
        ..ONE_RING
    };
    explore_all(&config, &[Notable::RanAgain, INNOCENT, Notable::Overtook, Notable::Vouched, Notable::Acquitted]);
}

/// The same with a shell that is slow to write jobs, or cannot. 830,000 states, depth 40.
#[test]
fn sched_10_and_11_hold_in_every_order_of_events_on_an_unordered_ring_with_a_slow_shell() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, false, After::Nothing)];
    let config = Config {
        jobs,
        credits: [3; 2],
        out_of_order: true,
        unordered: true,
        faults: false,
        slow_hands: true,
        ..ONE_RING
    };
    explore_all(&config, &[Notable::NotStarted, INNOCENT, Notable::Overtook]);
}

/// Rings that can give up a job alone, or cannot, or say so and do not. 160,000 states, depth 42.
#[test]
fn sched_4_holds_in_every_order_of_events_with_aborts() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, true, After::Nothing)];
    let config = Config {
        jobs,
        submitted: 2,
        credits: [2; 2],
        out_of_order: true,
        aborts: true,
        vouched: true,
        unbegun: true,
        faults: false,
        ..ONE_RING
    };
    explore_all(&config, &[Notable::RanAgain, INNOCENT, Notable::Aborted, Notable::AbortInVain]);
}

/// The same on a ring that keeps no order. 70,000 states, depth 35.
#[test]
fn sched_4_and_11_hold_in_every_order_of_events_with_aborts_on_an_unordered_ring() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, true, After::Nothing)];
    let config = Config {
        jobs,
        submitted: 2,
        credits: [2; 2],
        out_of_order: true,
        unordered: true,
        aborts: true,
        faults: false,
        ..ONE_RING
    };
    explore_all(&config, &[Notable::RanAgain, INNOCENT, Notable::Aborted, Notable::AbortInVain]);
}

/// The thread that submits a job runs it if nothing is in its way, and else the worker does; whatever happens meanwhile.
/// 660,000 states, depth 34.
#[test]
fn sched_8_and_9_hold_in_every_order_of_events_with_jobs_that_are_run_by_their_submitter() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, false, After::Job(1))];
    let config = Config { jobs, credits: [1; 2], by_submitter: true, slow_hands: true, faults: false, ..ONE_RING };
    explore_all(&config, &[Notable::RanNow, Notable::NotStarted]);
}

/// What is seen where a firmware holds something of queues.
const FIRMWARE: [Notable; 5] =
    [Notable::AskedFirmware, Notable::LastLook, Notable::AnsweredAtLast, Notable::AnsweredLate, Notable::QueueReleased];

/// A firmware that lets go of two queues of one ring, in time, late or never, in the midst of faults, hangs, resets and
/// the loss. 200,000 states, depth 39.
#[test]
fn sched_12_holds_in_every_order_of_events_with_a_firmware_of_each_ring() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, false, After::Nothing)];
    explore_all(&Config { jobs, submitted: 1, firmware: Some(Firmware::OfEachRing), ..ONE_RING }, &FIRMWARE);
}

/// The same with a job in each queue. 1,870,000 states, depth 42.
#[test]
#[ignore = "takes a minute"]
fn sched_12_holds_in_every_order_of_events_with_a_firmware_of_each_ring_and_two_jobs() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, false, After::Nothing)];
    explore_all(&Config { jobs, submitted: 2, firmware: Some(Firmware::OfEachRing), ..ONE_RING }, &FIRMWARE);
}

/// Two rings with one firmware, for which only a reset of the device helps. 620,000 states, depth 42.
#[test]
fn sched_12_holds_in_every_order_of_events_with_a_firmware_of_the_device() {
    let jobs = [plan(0, true, After::Nothing), plan(1, false, After::Nothing), plan(0, false, After::Nothing)];
    let firmware = Some(Firmware::OfTheDevice);
    explore_all(&Config { jobs, submitted: 2, firmware, faults: false, ..TWO_RINGS }, &FIRMWARE);
}

/// Two kinds of waiting at once. 4,110,000 states, depth 45.
#[test]
#[ignore = "takes two minutes"]
fn every_order_of_events_with_two_dependencies() {
    let large = Plan { cost: 2, ..plan(1, false, After::Job(0)) };
    let jobs = [plan(0, true, After::Nothing), plan(0, true, After::Foreign), large];
    explore_all(&Config { credits: [3; 2], jobs, ..ONE_RING }, &[Notable::RanAgain, INNOCENT]);
}
