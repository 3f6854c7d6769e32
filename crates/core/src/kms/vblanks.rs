//! Count of vertical blanks.

/// Counts vertical blanks from the hardware's counter. The hardware's counter restarts at 0 when
/// the display is turned on and when the device is reset; this count never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vblanks {
    count: u64,
    register: u32,
}

impl Vblanks {
    /// Takes a value of the hardware's counter and returns the new count.
    ///
    /// Must be called at least once in 2^31 blanks, which is about a year at 60 Hz: a counter that
    /// seems to have moved further is taken for a counter that has restarted.
    pub fn observe(&mut self, register: u32) -> u64 {
        let ahead = register.wrapping_sub(self.register);
        self.count += u64::from(if ahead < 1 << 31 { ahead } else { register });
        self.register = register;
        self.count
    }

    /// Reports that the hardware's counter has restarted at 0.
    pub fn restarted(&mut self) {
        self.register = 0;
    }

    /// Reports that the display was turned off and on without a missed blank, and that the
    /// hardware's counter goes on from `register`. Without this report a counter that stood still
    /// might be taken for a counter that has restarted.
    pub fn continued_from(&mut self, register: u32) {
        self.register = register;
    }

    /// Returns the count as of the last observation.
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
        // Here the shell has not reported the restart.
        assert_eq!(blanks.observe(1), 13);
        blanks.continued_from(7);
        assert_eq!((blanks.observe(7), blanks.observe(8)), (13, 14));
        let mut wraps = Vblanks { count: 5, register: u32::MAX };
        assert_eq!(wraps.observe(1), 7);
    }
}
