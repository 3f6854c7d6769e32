//! Tests of the texts of errors, reasons and names: no text is missing, and no two texts of one
//! kind are the same.

use std::fmt::Display;

use lifeboat_core::class::Refusal;
use lifeboat_core::fence::FenceError;
use lifeboat_core::kms::{CommitError, LeaseError};
use lifeboat_core::recovery::{GivenUp, Remedy};
use lifeboat_core::sched::{QueueError, SubmitError};
use lifeboat_core::unplug::Loss;
use lifeboat_core::wedge::Failure;

/// Checks that each value has a text, and a text of its own.
fn have_texts_of_their_own(values: &[impl Display]) {
    let mut texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    assert!(texts.iter().all(|text| text.len() > 2), "{texts:?}");
    texts.sort_unstable();
    assert!(texts.windows(2).all(|two| two[0] != two[1]), "{texts:?}");
}

const FAILURES: [Failure; 3] = [Failure::Hung, Failure::ResetFailed, Failure::Nonsense];

#[test]
fn reasons_of_a_lost_or_failed_device_have_texts_of_their_own() {
    have_texts_of_their_own(&FAILURES);
    let losses = [Loss::Unplugged, Loss::Unbound, Loss::FellOff, Loss::Crashed, Loss::Hung, Loss::Nonsense];
    let rest = [Loss::LinkDown, Loss::Replaced, Loss::Wedged(Failure::Hung)];
    have_texts_of_their_own(&[&losses[..], &rest].concat());
    have_texts_of_their_own(&[GivenUp::Recoveries, GivenUp::Link]);
    let remedies = [Remedy::Rebind, Remedy::BusReset, Remedy::Reseat, Remedy::Replace];
    have_texts_of_their_own(&remedies);
    assert_eq!(remedies.map(Remedy::name), ["rebind", "bus-reset", "reseat", "replace"]);
    assert_eq!([GivenUp::Recoveries, GivenUp::Link].map(GivenUp::name), ["recoveries", "link"]);
}

#[test]
fn errors_of_calls_have_texts_of_their_own() {
    let refusals = [Refusal::Vanished, Refusal::Gone].into_iter().chain(FAILURES.map(Refusal::Wedged));
    have_texts_of_their_own(&refusals.collect::<Vec<_>>());
    let fences =
        [FenceError::Lost, FenceError::Guilty, FenceError::Innocent, FenceError::Canceled, FenceError::TimedOut];
    have_texts_of_their_own(&fences);
    let submits = [
        SubmitError::Full,
        SubmitError::OverShare,
        SubmitError::StaleQueue,
        SubmitError::Banned,
        SubmitError::Cycle,
        SubmitError::TooLarge,
    ];
    let submits: Vec<_> = submits.into_iter().chain(fences.map(SubmitError::Ended)).collect();
    have_texts_of_their_own(&submits);
    have_texts_of_their_own(&[
        QueueError::NoSuchRing,
        QueueError::TooLarge,
        QueueError::StaleContext,
        QueueError::StaleQueue,
        QueueError::Full,
        QueueError::OverShare,
    ]);
}

#[test]
fn errors_of_the_display_have_texts_of_their_own() {
    have_texts_of_their_own(&[
        CommitError::Pending,
        CommitError::NoSuchMode,
        CommitError::PictureTooSmall,
        CommitError::NeedsModeset,
        CommitError::HalfOn,
        CommitError::Off,
    ]);
    have_texts_of_their_own(&[
        LeaseError::Incomplete,
        LeaseError::Leased,
        LeaseError::Sublease,
        LeaseError::NoSuchLessee,
        LeaseError::Revoked,
    ]);
}
