//! The ways a fence can end, and the sequence numbers by which hardware reports progress.

use core::fmt;

/// The error of a fence that signalled without its work having been done (FENCE-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FenceError {
    /// The device is gone (ENODEV).
    Lost,
    /// The job itself hung or faulted (ETIME).
    Guilty,
    /// Another job hung or faulted, and this one's work was lost with it (ECANCELED).
    Innocent,
    /// The queue was killed, a dependency failed, another request took its place, or the signalling side was dropped
    /// (ECANCELED).
    Canceled,
    /// The hardware has not done it within its limit (ETIME): a flip that never takes effect, a vertical blank that never
    /// comes. Not [`Guilty`](Self::Guilty), which blames a job and its context; here the hardware is at fault.
    TimedOut,
}

impl fmt::Display for FenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "the device is gone",
            Self::Guilty => "the job hung or faulted",
            Self::Innocent => "the work was lost when another job hung or faulted",
            Self::Canceled => "canceled before it ran",
            Self::TimedOut => "the hardware has not done it in time",
        })
    }
}

impl core::error::Error for FenceError {}

/// A sequence number of a ring. Compared modulo 2^32: at most 2^31 may be outstanding.
///
/// All-ones is never used: it is what a register of a vanished device reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seqno(u32);

impl Seqno {
    /// The number of a ring that has completed nothing yet.
    pub const ZERO: Self = Self(0);

    /// The number before [`ZERO`](Self::ZERO).
    pub const BEFORE_ZERO: Self = Self(u32::MAX - 1);

    /// Converts the value of a register; `None` for all-ones, which is no sequence number.
    pub const fn from_register(value: u32) -> Option<Self> {
        if value == u32::MAX {
            None
        } else {
            Some(Self(value))
        }
    }

    /// The value for a ring's register.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 >= u32::MAX - 1 {
            Self(0)
        } else {
            Self(self.0 + 1)
        }
    }

    /// Tells whether this number comes after `other`.
    pub const fn is_after(self, other: Self) -> bool {
        let distance = self.0.wrapping_sub(other.0);
        distance != 0 && distance < 1 << 31
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap_and_all_ones_is_skipped() {
        let last = Seqno::from_register(u32::MAX - 1).unwrap();
        assert_eq!(last.next(), Seqno::ZERO);
        assert!(last.next().is_after(last) && !last.is_after(last.next()));
        assert!(!last.is_after(last));
        assert_eq!(Seqno::from_register(u32::MAX), None);
    }
}
