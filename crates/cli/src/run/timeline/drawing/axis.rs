//! Where a time axis has its ticks, and what stands at them.

use std::ops::Range;
use std::time::Duration;

/// A tick of the axis.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    /// Seconds from the axis's zero; negative before it.
    pub(super) at: f64,
    /// Time with its unit.
    pub(super) label: String,
}

/// Steps between ticks, in a decade.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// Ticks within `range`, at round times counted from `zero`, as many as fit but at most `most`.
pub(super) fn ticks(range: &Range<Duration>, zero: Duration, most: u8) -> Vec<Tick> {
    let (start, end) = (seconds(range.start, zero), seconds(range.end, zero));
    if end <= start {
        return Vec::new();
    }
    let step = step((end - start) / f64::from(most.max(1)));
    let mut ticks = Vec::new();
    let mut n = (start / step).ceil();
    while n * step <= end {
        ticks.push(Tick { at: n * step, label: label(n * step, step) });
        n += 1.0;
    }
    ticks
}

/// A time as the distance from a zero.
pub(super) fn seconds(at: Duration, zero: Duration) -> f64 {
    at.as_secs_f64() - zero.as_secs_f64()
}

/// The smallest round number of seconds that is at least `least`.
fn step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    STEPS.into_iter().map(|step| step * decade).find(|&step| step >= least * 0.999_999).unwrap_or(10.0 * decade)
}

fn label(at: f64, step: f64) -> String {
    // Half a step either way decides, so that rounding errors do not.
    let (scale, unit) = match step {
        step if step >= 0.09 => (1.0, "s"),
        step if step >= 0.000_9 => (1e3, "ms"),
        _ => (1e6, "\u{b5}s"),
    };
    let decimals = usize::from(unit == "s" && step < 0.9);
    let value = at * scale;
    // No minus before a zero.
    let value = if value.abs() < 1e-9 { 0.0 } else { value };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(start: u64, end: u64, zero: u64) -> Vec<String> {
        let us = Duration::from_micros;
        ticks(&(us(start)..us(end)), us(zero), 10).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn round_times_in_the_unit_that_suits() {
        assert_eq!(labels(0, 4_000_000, 0).join(" "), "0.0 s 0.5 s 1.0 s 1.5 s 2.0 s 2.5 s 3.0 s 3.5 s 4.0 s");
        assert_eq!(labels(0, 20_000_000, 0).len(), 11);
        assert_eq!(labels(0, 20_000_000, 0)[1], "2 s");
        assert_eq!(labels(0, 200_000, 0)[..2], ["0 ms", "20 ms"]);
        assert_eq!(
            labels(900, 1_500, 1_000).join(" "),
            "-100 \u{b5}s 0 \u{b5}s 100 \u{b5}s 200 \u{b5}s 300 \u{b5}s 400 \u{b5}s 500 \u{b5}s"
        );
        assert_eq!(labels(5, 5, 0), [""; 0]);
    }

    proptest! {
        #[test]
        fn never_too_many_nor_too_few_nor_outside(start in 0_u64..10_000_000, length in 10_u64..100_000_000, most in 4_u8..20) {
            let us = Duration::from_micros;
            let range = us(start)..us(start + length);
            let ticks = ticks(&range, Duration::ZERO, most);
            prop_assert!(ticks.len() <= usize::from(most) + 1 && ticks.len() >= usize::from(most / 3), "{ticks:?}");
            for tick in &ticks {
                prop_assert!(tick.at >= range.start.as_secs_f64() - 1e-9 && tick.at <= range.end.as_secs_f64() + 1e-9);
            }
            prop_assert!(ticks.windows(2).all(|pair| pair[0].label != pair[1].label), "{ticks:?}");
        }
    }
}
