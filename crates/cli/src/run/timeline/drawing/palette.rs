//! Colours, dark on light; told apart also by those who do not see all of them (after Okabe and Ito).

use super::super::{MarkKind, Outcome};

pub(super) const PAPER: &str = "#ffffff";
pub(super) const TEXT: &str = "#1f2933";
pub(super) const FAINT_TEXT: &str = "#65717d";
pub(super) const GRID: &str = "#e3e7eb";
/// Behind a track.
pub(super) const ROW: &str = "#f5f7f9";
/// Behind all tracks while there is no device.
pub(super) const OUTAGE: &str = "#f9d9cc";

/// The colour of a span.
pub(super) const fn fill(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "#4e93c4",
        Outcome::Present => "#3aa17e",
        Outcome::Waiting => "#c3c9cf",
        Outcome::Step => "#8e6bb0",
        Outcome::Faulted => "#e6a117",
        Outcome::Lost => "#d1410c",
    }
}

/// The colour of text on a span.
pub(super) const fn on(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Waiting | Outcome::Faulted => TEXT,
        _ => PAPER,
    }
}

/// The colour of a mark's line and label.
pub(super) const fn line(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Unplug => "#b3350a",
        MarkKind::Replug => "#1f7a5c",
        MarkKind::Fault => "#a06c00",
    }
}
