//! Distinguishes a dead device from a register that holds all-ones (HEALTH-1).
//!
//! A bus returns all-ones for a device that is not there, but some registers may legally hold the
//! same value. So an all-ones read is only a suspicion. A second read, of a register that can never
//! hold all-ones, decides.

/// Classification of a value that was read from a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The value is not all-ones, so the device answered.
    Answered(u32),
    /// The value is all-ones: the device is gone, or the register holds this value. Read a register
    /// that cannot hold all-ones to decide.
    Suspicious,
}

impl Reading {
    /// Classifies the value of a register.
    pub const fn of(value: u32) -> Self {
        if value == u32::MAX {
            Self::Suspicious
        } else {
            Self::Answered(value)
        }
    }
}

/// Result of a check of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The device answered as only a living device can.
    Alive,
    /// The device is not there: its fixed registers read all-ones or zero.
    Dead,
    /// Something answers, but not like this device. This does not prove a loss, but such a device
    /// must not be given work.
    Unsure,
}

/// Judges an identity register, which must read its fixed value.
pub const fn judge_identity(read: u32, expected: u32) -> Verdict {
    if read == expected {
        Verdict::Alive
    } else if read == u32::MAX || read == 0 {
        // Zero counts as well: an emulated device was seen to read zero after its ejection.
        Verdict::Dead
    } else {
        Verdict::Unsure
    }
}

/// Combines the verdicts of configuration space and of an identity register.
///
/// A device is gone only if both say so, because either may be silent for a while without the
/// other: configuration space while a port recovers, and registers while memory decoding is off.
pub const fn judge_presence(config: Verdict, register: Verdict) -> Verdict {
    match (config, register) {
        (Verdict::Alive, Verdict::Alive) => Verdict::Alive,
        (Verdict::Dead, Verdict::Dead) => Verdict::Dead,
        _ => Verdict::Unsure,
    }
}

/// Counts how long the heartbeat of a device stands still. The heartbeat is a counter that a living
/// device keeps moving; registers that answer prove the bus, but not progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heartbeat {
    last: Option<u32>,
    still: u32,
}

impl Heartbeat {
    /// Creates a heartbeat that was never read.
    pub const fn new() -> Self {
        Self { last: None, still: 0 }
    }

    /// Takes the next value of the counter. Returns the number of successive looks, including this
    /// look, at which the counter had not moved.
    pub fn look(&mut self, read: u32) -> u32 {
        self.still = if self.last == Some(read) { self.still.saturating_add(1) } else { 0 };
        self.last = Some(read);
        self.still
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ones_is_a_suspicion_and_the_identity_decides() {
        assert_eq!(Reading::of(u32::MAX), Reading::Suspicious);
        assert_eq!(Reading::of(7), Reading::Answered(7));
        assert_eq!(judge_identity(5, 5), Verdict::Alive);
        assert_eq!(judge_identity(u32::MAX, 5), Verdict::Dead);
        assert_eq!(judge_identity(0, 5), Verdict::Dead);
        assert_eq!(judge_identity(6, 5), Verdict::Unsure);
    }

    #[test]
    fn health_1_a_device_is_gone_only_if_configuration_space_and_a_register_say_so() {
        let verdicts = [Verdict::Alive, Verdict::Dead, Verdict::Unsure];
        for config in verdicts {
            for register in verdicts {
                let expected = if config == register { config } else { Verdict::Unsure };
                assert_eq!(judge_presence(config, register), expected, "{config:?} and {register:?}");
            }
        }
    }

    #[test]
    fn a_heartbeat_that_stands_still_is_counted_until_it_moves() {
        let mut heartbeat = Heartbeat::default();
        assert_eq!(heartbeat.look(0), 0, "the first look has nothing to compare with");
        assert_eq!([7, 7, 7, 8, 8].map(|read| heartbeat.look(read)), [0, 1, 2, 0, 1]);
        assert_eq!(heartbeat.look(0), 0, "it may wrap, and begins anew after a reset");
    }
}
