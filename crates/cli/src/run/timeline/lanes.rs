//! Places spans that overlap in time, such as several jobs of one client, beside each other.

use std::time::Duration;

use super::Span;

/// The lane of each span, from 0. Spans are in order of their start; within a lane none overlaps another.
///
/// Each span takes the first lane that is free, which uses as few lanes as there are spans at once.
pub(super) fn assign(spans: &[Span]) -> Vec<usize> {
    let mut busy_until: Vec<Duration> = Vec::new();
    let place = |span: &Span| {
        let lane = busy_until.iter().position(|&end| end <= span.start).unwrap_or(busy_until.len());
        if lane == busy_until.len() {
            busy_until.push(span.end);
        } else {
            busy_until[lane] = span.end;
        }
        lane
    };
    spans.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Outcome, Track};
    use super::*;

    fn spans(times: &[(u64, u64)]) -> Vec<Span> {
        let mut times = times.to_vec();
        times.sort_unstable();
        let ms = Duration::from_millis;
        let span = |&(start, length): &(u64, u64)| Span {
            track: Track::Client(1),
            name: "".into(),
            start: ms(start),
            end: ms(start + length),
            outcome: Outcome::Done,
        };
        times.iter().map(span).collect()
    }

    #[test]
    fn one_after_the_other_share_a_lane() {
        assert_eq!(assign(&spans(&[(0, 5), (5, 5), (7, 1), (20, 1)])), [0, 0, 1, 0]);
    }

    proptest! {
        #[test]
        fn no_overlap_and_no_lane_too_many(times in proptest::collection::vec((0_u64..50, 1_u64..20), 0..40)) {
            let spans = spans(&times);
            let lanes = assign(&spans);
            for (a, (first, lane)) in spans.iter().zip(&lanes).enumerate() {
                for (second, other) in spans.iter().zip(&lanes).skip(a + 1) {
                    prop_assert!(lane != other || first.end <= second.start);
                }
            }
            let at_once = |at: Duration| spans.iter().filter(|span| span.start <= at && at < span.end).count();
            let most = spans.iter().map(|span| at_once(span.start)).max().unwrap_or(0);
            prop_assert_eq!(lanes.iter().max().map_or(0, |lane| lane + 1), most);
        }
    }
}
