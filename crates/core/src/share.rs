//! A client's share: the most that one client may hold of a resource that others need, too
//! (SCHED-9).
//!
//! This module is the rule alone. The shell counts the units that a client holds: one more when a
//! unit is given to the client, one less when the unit is free again.

use core::num::NonZeroU32;

/// Divisor of the default share. A share of a quarter leaves room for a fourth client when three
/// clients are greedy.
const PART: u32 = 4;

/// The most units that one client may hold, at least 1. With a share of 0 a client could do
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Share {
    limit: NonZeroU32,
}

impl Share {
    /// The largest number, which means no limit.
    pub const ALL: Self = Self { limit: NonZeroU32::MAX };

    /// Creates a share of `limit` units, or `None` for 0. A share above the total number of units
    /// is no limit.
    pub const fn new(limit: u32) -> Option<Self> {
        match NonZeroU32::new(limit) {
            Some(limit) => Some(Self { limit }),
            None => None,
        }
    }

    /// Creates a share of a quarter of `total`, rounded down, but at least 1.
    pub const fn quarter_of(total: u32) -> Self {
        match Self::new(total / PART) {
            Some(share) => share,
            None => Self { limit: NonZeroU32::MIN },
        }
    }

    /// Returns the most units that one client may hold.
    pub const fn limit(self) -> u32 {
        self.limit.get()
    }

    /// Tells whether a client that holds `held` units may get another unit.
    pub const fn admits(self, held: u32) -> bool {
        held < self.limit.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sched_9_a_share_admits_up_to_its_limit_and_nothing_beyond() {
        let share = Share::new(3).unwrap();
        assert_eq!([0, 1, 2, 3, 4, u32::MAX].map(|held| share.admits(held)), [true, true, true, false, false, false]);
        assert!(Share::new(u32::MAX).unwrap().admits(u32::MAX - 1));
    }

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!(Share::new(0), None);
    }

    #[test]
    fn sched_9_by_default_a_client_leaves_room_for_three_like_it() {
        for (total, limit) in [(0, 1), (1, 1), (4, 1), (7, 1), (8, 2), (64, 16), (u32::MAX, u32::MAX / 4)] {
            assert_eq!(Share::quarter_of(total).limit(), limit, "of {total}");
        }
    }
}
