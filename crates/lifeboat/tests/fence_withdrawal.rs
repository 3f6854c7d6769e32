//! SCHED-13: what waits for a fence can be withdrawn, is withdrawn when nobody wants it any more,
//! and leaves nothing.
//!
//! Memory is counted for each thread.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod withdrawal;

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Instant;

use allocation_counter::measure;
use lifeboat::{Fence, Signalled};
use withdrawal::{MANY, left, pair};

fn poll(future: &mut Signalled, waker: &Waker) {
    assert!(Pin::new(future).poll(&mut Context::from_waker(waker)).is_pending());
}

#[test]
fn sched_13_any_whose_result_is_known_leaves_nothing_at_its_other_members() {
    assert_eq!(measure(|| std::mem::forget(black_box(Box::new(1)))).count_current, 1, "it would be seen");
    let known_at_once = |lost: &Fence| {
        for _ in 0..MANY {
            let known = Fence::signalled(Ok(()));
            assert_eq!(Fence::any([lost.clone(), known.clone()]).status(), Some(Ok(())));
            assert_eq!(Fence::any([known, lost.clone()]).status(), Some(Ok(())));
        }
    };
    let known_later = |lost: &Fence| {
        let pairs: Vec<_> = (0..MANY).map(|_| pair()).collect();
        let any: Vec<_> = pairs.iter().map(|(fence, _)| Fence::any([lost.clone(), fence.clone()])).collect();
        drop(pairs);
        assert!(any.iter().all(|any| any.status().is_some()));
        // They are kept: what they have waited for is not.
        let kept = measure(|| drop(any)).bytes_current;
        assert!(-kept < 300 * i64::try_from(MANY).unwrap(), "{kept} bytes for {MANY} fences that have signalled");
    };
    assert_eq!((left(known_at_once), left(known_later)), (0, 0));
}

#[test]
fn sched_13_combinations_that_nobody_has_leave_nothing() {
    let dropped = |never: &Fence| {
        let (other, _promise) = pair();
        for _ in 0..MANY {
            Fence::any([never.clone(), other.clone()]);
            Fence::all([never.clone(), other.clone(), Fence::signalled(Ok(()))]);
            drop(never.merge(&other));
        }
        let all: Vec<_> = (0..MANY).map(|_| never.merge(&other)).collect();
        // Neither the oldest nor the newest last.
        let (odd, even): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(at, _)| at % 2 == 1);
        drop((even, odd));
    };
    let chained = |never: &Fence| {
        let tree = (0..MANY).fold(never.clone(), |last, at| match at % 3 {
            0 => last.merge(&Fence::signalled(Ok(()))),
            1 => Fence::any([last, never.clone()]),
            _ => Fence::all([never.clone(), last]),
        });
        drop(tree);
    };
    assert_eq!((left(dropped), left(chained)), (0, 0));
}

#[test]
fn sched_13_futures_and_descriptors_that_are_dropped_leave_nothing() {
    let futures = |never: &Fence| {
        let mut futures: Vec<_> = (0..MANY).map(|_| never.into_future()).collect();
        for future in &mut futures {
            poll(future, Waker::noop());
        }
    };
    let combinations = |never: &Fence| {
        for _ in 0..MANY {
            let mut future = never.merge(&pair().0).into_future();
            poll(&mut future, Waker::noop());
        }
    };
    // A hint stays, and no more than that.
    let hint = |never: &Fence| never.set_deadline(Instant::now());
    let beside_a_hint = move |never: &Fence| {
        hint(never);
        poll(&mut never.into_future(), Waker::noop());
    };
    assert_eq!(left(beside_a_hint), left(hint));
    // More than a process may have open.
    let descriptors = |never: &Fence| {
        for _ in 0..MANY {
            drop(never.eventfd().unwrap());
            drop(never.merge(&pair().0).eventfd().unwrap());
        }
    };
    assert_eq!((left(futures), left(combinations), left(descriptors)), (0, 0, 0));
}
