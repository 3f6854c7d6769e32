//! Limit for reports of the display, and the steps when it has passed.
//!
//! A flip and a vertical blank are reported by the hardware, and hardware can fail to report them. The
//! shell looks at the hardware when the limit has passed, and asks [`Silence::judge`] with the moment at which that
//! look began: a report that is only late is found by the look, so no verdict depends on how busy the machine is.

use core::time::Duration;

use crate::Timestamp;

/// Fewest frames of the limit: at a low refresh rate a second has few of them.
const FRAMES: u64 = 10;

/// The limit for one report: as long as `wanted`, and ten frames at least.
pub const fn report_limit(wanted: Duration, refresh_millihertz: u32) -> Duration {
    // The number of nanoseconds fits: 10^13 is far below 2^64. A rate of 0 has no frames.
    let frames = match (FRAMES * 1_000_000_000_000).checked_div(refresh_millihertz as u64) {
        Some(nanoseconds) => Duration::from_nanos(nanoseconds),
        None => Duration::ZERO,
    };
    if wanted.as_nanos() > frames.as_nanos() {
        wanted
    } else {
        frames
    }
}

/// The step for a report that a look has not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the report is in time, or none is awaited.
    InTime,
    /// Turn the display off and on; then [`Silence::reset_done`].
    Reset,
    /// The display was reset and has been silent for the limit again: end what waits, as not done.
    GiveUp,
}

/// Watch over one kind of report.
#[derive(Debug, Clone, Copy)]
pub struct Silence {
    limit: Duration,
    since: Option<Timestamp>,
    reset: bool,
}

impl Silence {
    /// Nothing is awaited. `limit` is a [`report_limit`].
    pub const fn new(limit: Duration) -> Self {
        Self { limit, since: None, reset: false }
    }

    /// A report is awaited from now on.
    pub fn begun(&mut self, now: Timestamp) {
        (self.since, self.reset) = (Some(now), false);
    }

    /// The report came, or nobody wants it any more.
    pub fn ended(&mut self) {
        (self.since, self.reset) = (None, false);
    }

    /// The device as a whole was reset, and asked again: what is awaited has all its time again.
    pub fn asked_again(&mut self, now: Timestamp) {
        self.since = self.since.map(|_| now);
    }

    /// The display was turned off and on. What is still awaited has the limit once more, and no second reset.
    pub fn reset_done(&mut self, now: Timestamp) {
        if self.since.is_some() {
            (self.since, self.reset) = (Some(now), true);
        }
    }

    /// The time of the next look; `None` if nothing is awaited.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.since.map(|since| since.plus(self.limit))
    }

    /// Decides after a look that began at `looked_at` and has found no report.
    pub fn judge(&self, looked_at: Timestamp) -> Verdict {
        match (self.next_deadline(), self.reset) {
            (Some(due), false) if due <= looked_at => Verdict::Reset,
            (Some(due), true) if due <= looked_at => Verdict::GiveUp,
            _ => Verdict::InTime,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::new(Duration::from_millis(millis))
    }

    #[test]
    fn kms_5_the_limit_is_ten_frames_at_least() {
        assert_eq!(report_limit(LIMIT, 60_000), LIMIT);
        assert_eq!(report_limit(LIMIT, 1_000), Duration::from_secs(10));
        assert_eq!(report_limit(Duration::ZERO, 100_000), Duration::from_millis(100));
        assert_eq!(report_limit(Duration::MAX, 1), Duration::MAX);
        assert_eq!(report_limit(LIMIT, 0), LIMIT);
    }

    #[test]
    fn kms_5_silence_is_answered_by_one_reset_and_then_by_an_end() {
        let mut silence = Silence::new(LIMIT);
        assert_eq!((silence.next_deadline(), silence.judge(at(9000))), (None, Verdict::InTime));
        silence.reset_done(at(1));
        assert_eq!(silence.next_deadline(), None, "nothing was awaited");
        silence.begun(at(100));
        assert_eq!(silence.next_deadline(), Some(at(1100)));
        assert_eq!((silence.judge(at(1099)), silence.judge(at(1100))), (Verdict::InTime, Verdict::Reset));
        silence.reset_done(at(1200));
        assert_eq!((silence.judge(at(2199)), silence.judge(at(2200))), (Verdict::InTime, Verdict::GiveUp));
        silence.ended();
        assert_eq!(silence.judge(at(9000)), Verdict::InTime);
        silence.begun(at(9000));
        assert_eq!(silence.judge(at(10_000)), Verdict::Reset, "the next one has a reset of its own");
    }

    #[test]
    fn a_reset_of_the_device_gives_all_the_time_again() {
        let mut silence = Silence::new(LIMIT);
        silence.asked_again(at(5));
        assert_eq!(silence.next_deadline(), None);
        silence.begun(at(0));
        silence.asked_again(at(900));
        assert_eq!((silence.judge(at(1899)), silence.judge(at(1900))), (Verdict::InTime, Verdict::Reset));
    }
}
