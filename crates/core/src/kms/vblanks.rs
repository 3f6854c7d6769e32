//! Counting vertical blanks.

/// Number of vertical blanks. It never goes back, although the hardware's counter does: the counter begins
/// anew whenever the display is turned on, and after a reset of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vblanks {
    count: u64,
    register: u32,
}

impl Vblanks {
    /// Takes up what the hardware's counter reads, and says how many there were. To be told at least once in 2^31 blanks, a
    /// year of them at 60 Hz: a counter that has gone further than that has begun anew.
    pub fn observe(&mut self, register: u32) -> u64 {
        let ahead = register.wrapping_sub(self.register);
        self.count += u64::from(if ahead < 1 << 31 { ahead } else { register });
        self.register = register;
        self.count
    }

    /// The hardware's counter has begun anew with 0.
    pub fn restarted(&mut self) {
        self.register = 0;
    }

    /// The hardware's counter goes on from this, and no blank was missed: after the display was turned off and on. A counter
    /// that stands still is not taken for one that has begun anew and gone on.
    pub fn continued_from(&mut self, register: u32) {
        self.register = register;
    }

    /// The number when the hardware was asked last.
    pub const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_goes_on_when_the_register_wraps_or_begins_anew() {
        let mut blanks = Vblanks::default();
        assert_eq!((blanks.observe(3), blanks.observe(3), blanks.observe(10)), (3, 3, 10));
        blanks.restarted();
        assert_eq!((blanks.observe(2), blanks.count()), (12, 12));
        // This time the shell has not said so.
        assert_eq!(blanks.observe(1), 13);
        blanks.continued_from(7);
        assert_eq!((blanks.observe(7), blanks.observe(8)), (13, 14));
        let mut wraps = Vblanks { count: 5, register: u32::MAX };
        assert_eq!(wraps.observe(1), 7);
    }
}
