//! The ways a fence can end, and the sequence numbers by which hardware reports progress.

use core::fmt;

/// Error of a fence that signals although its work was not done (FENCE-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FenceError {
    /// The device is gone (ENODEV).
    Lost,
    /// The job itself hung or faulted (ETIME).
    Guilty,
    /// Another job hung or faulted, and the work of this job was lost with it (ECANCELED).
    Innocent,
    /// The work never ran (ECANCELED): its queue was killed, a dependency failed, another request
    /// took its place, or the signalling side was dropped.
    Canceled,
    /// The hardware has not acted within its limit (ETIME): a flip never takes effect, or a
    /// vertical blank never comes. In contrast to [`Guilty`](Self::Guilty) no job and no context is
    /// blamed: the hardware is at fault.
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

/// Sequence number of a ring.
///
/// Numbers are compared modulo 2^32, so at most 2^31 of them may be outstanding. All-ones is never
/// used, because a register of a vanished device reads all-ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seqno(u32);

impl Seqno {
    /// The number of a ring that has completed nothing yet.
    pub const ZERO: Self = Self(0);

    /// The number before [`ZERO`](Self::ZERO).
    pub const BEFORE_ZERO: Self = Self(u32::MAX - 1);

    /// Converts the value of a register. All-ones is no sequence number and gives `None`.
    pub const fn from_register(value: u32) -> Option<Self> {
        if value == u32::MAX {
            None
        } else {
            Some(Self(value))
        }
    }

    /// Returns the value to be written to a register of the ring.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Returns the number after this number.
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
        assert_eq!(Seqno::BEFORE_ZERO, last);
    }

    #[test]
    fn numbers_count_up_by_one_and_are_ordered_within_half_of_their_range() {
        let number = |value| Seqno::from_register(value).unwrap();
        assert_eq!([0, 1, 41].map(|value| number(value).next().value()), [1, 2, 42]);
        let (nearest, farthest, too_far) = (number(8), number(7 + (1 << 31) - 1), number(7 + (1 << 31)));
        assert_eq!([nearest, farthest, too_far].map(|other| other.is_after(number(7))), [true, true, false]);
    }
}
