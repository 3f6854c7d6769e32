//! Time limit for reports of the display, and the steps after the limit has passed.
//!
//! The hardware reports flips and vertical blanks, and may fail to report them. The shell looks at
//! the hardware after the limit has passed, and passes the moment at which this look began to
//! [`Silence::judge`]. The look finds a report that is only late, so no verdict depends on how busy
//! the machine is.

use core::time::Duration;

use crate::Timestamp;

/// Smallest limit in frames. At a low refresh rate a second holds only a few frames.
const FRAMES: u64 = 10;

/// Returns the limit for one report: `wanted`, but at least the time of ten frames.
pub const fn report_limit(wanted: Duration, refresh_millihertz: u32) -> Duration {
    // The number of nanoseconds fits, because 10^13 is far below 2^64. A rate of 0 has no frames.
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

/// Step for a report that a look has not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Do nothing: the report is in time, or no report is awaited.
    InTime,
    /// Turn the display off and on, then call [`Silence::reset_done`].
    Reset,
    /// End the awaited flips and events as not done: the display was reset and has been silent for
    /// the limit again.
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
    /// Creates a watch that awaits no report. `limit` comes from [`report_limit`].
    pub const fn new(limit: Duration) -> Self {
        Self { limit, since: None, reset: false }
    }

    /// A report is awaited from now on.
    pub fn begun(&mut self, now: Timestamp) {
        (self.since, self.reset) = (Some(now), false);
    }

    /// Ends the wait: the report came, or it is no longer wanted.
    pub fn ended(&mut self) {
        (self.since, self.reset) = (None, false);
    }

    /// Restarts the limit after a reset of the whole device, when the awaited report was requested
    /// again.
    pub fn asked_again(&mut self, now: Timestamp) {
        self.since = self.since.map(|_| now);
    }

    /// Reports that the display was turned off and on. An awaited report gets the limit once more,
    /// but no second reset.
    pub fn reset_done(&mut self, now: Timestamp) {
        if self.since.is_some() {
            (self.since, self.reset) = (Some(now), true);
        }
    }

    /// Returns the time of the next look, or `None` if no report is awaited.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.since.map(|since| since.plus(self.limit))
    }

    /// Decides after a look that began at `looked_at` and found no report.
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
