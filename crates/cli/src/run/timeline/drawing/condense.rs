//! Merges spans that are too thin to be seen one by one.
//!
//! A run has far more jobs than a drawing has pixels. Neighbours in a lane that ended alike, with no visible gap between
//! them, become one box that says how many it stands for. Spans that ended differently never merge, so a single lost job
//! among thousands is still seen.

use std::time::Duration;

use super::super::{Outcome, Span};

/// Narrower gaps, in pixels, are not seen.
const GAP: f64 = 0.5;
/// Narrower spans, in pixels, are not told apart.
const THIN: f64 = 2.0;

/// A shape of the drawing: one or several spans.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block<'a> {
    /// Left edge in pixels.
    pub(super) left: f64,
    /// Right edge in pixels.
    pub(super) right: f64,
    pub(super) outcome: Outcome,
    /// The name of the first span.
    pub(super) name: &'a str,
    pub(super) start: Duration,
    pub(super) end: Duration,
    /// Number of spans in the shape.
    pub(super) count: u64,
}

/// Merges the spans of a lane, given in order; `x` is where a time lies, in pixels.
pub(super) fn condense<'a>(lane: impl Iterator<Item = &'a Span>, x: impl Fn(Duration) -> f64) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    for span in lane {
        let (left, right) = (x(span.start), x(span.end));
        let thin = |width: f64| width < THIN;
        match blocks.last_mut() {
            Some(last)
                if last.outcome == span.outcome
                    && left - last.right < GAP
                    && (thin(right - left) || thin(last.right - last.left)) =>
            {
                last.right = last.right.max(right);
                last.end = last.end.max(span.end);
                last.count += 1;
            }
            _ => blocks.push(Block {
                left,
                right,
                outcome: span.outcome,
                name: &span.name,
                start: span.start,
                end: span.end,
                count: 1,
            }),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::Track;
    use super::*;

    /// A lane of spans one after the other, from (gap, length, lost) in hundredths of a pixel.
    fn lane(parts: &[(u64, u64, bool)]) -> Vec<Span> {
        let mut now = Duration::ZERO;
        let mut spans = Vec::new();
        for &(gap, length, lost) in parts {
            let start = now + Duration::from_millis(gap * 10);
            now = start + Duration::from_millis(length * 10);
            let outcome = if lost { Outcome::Lost } else { Outcome::Done };
            spans.push(Span { track: Track::Client(1), name: "job".into(), start, end: now, outcome });
        }
        spans
    }

    fn counts(parts: &[(u64, u64, bool)]) -> Vec<u64> {
        // A second is a pixel here.
        condense(lane(parts).iter(), |at| at.as_secs_f64()).iter().map(|block| block.count).collect()
    }

    #[test]
    fn thin_neighbours_merge_wide_ones_do_not() {
        assert_eq!(counts(&[(0, 10, false), (1, 10, false), (1, 10, false)]), [3]);
        assert_eq!(counts(&[(0, 10, false), (60, 10, false)]), [1, 1]);
        assert_eq!(counts(&[(0, 300, false), (1, 300, false)]), [1, 1]);
    }

    #[test]
    fn what_ended_differently_stays_apart() {
        assert_eq!(counts(&[(0, 10, false), (1, 10, true), (1, 10, false)]), [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn every_span_is_in_one_block_of_its_kind(parts in proptest::collection::vec((0_u64..100, 1_u64..400, any::<bool>()), 0..50)) {
            let spans = lane(&parts);
            let blocks = condense(spans.iter(), |at| at.as_secs_f64());
            let mut rest = spans.iter();
            for block in &blocks {
                for span in rest.by_ref().take(usize::try_from(block.count).unwrap()) {
                    prop_assert_eq!(span.outcome, block.outcome);
                    prop_assert!(block.start <= span.start && span.end <= block.end);
                }
            }
            prop_assert_eq!(rest.next(), None);
        }
    }
}
