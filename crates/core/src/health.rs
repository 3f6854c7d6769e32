//! Distinction between a dead device and a register that holds all-ones (HEALTH-1).
//!
//! All-ones is what a bus returns for a device that is not there, but some registers may legally hold it. So an
//! all-ones read is a suspicion; a dedicated check of a register that can never hold it decides.

/// Meaning of a read for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Not all-ones: the device answered.
    Answered(u32),
    /// All-ones: gone, or a register that holds it. Ask a register that cannot.
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
    /// The device is not there: its fixed registers read all-ones.
    Dead,
    /// Something answers, but not like this device. Not proof of loss; not to be trusted with work either.
    Unsure,
}

/// Judges an identity register: its fixed value must come back.
pub const fn judge_identity(read: u32, expected: u32) -> Verdict {
    if read == expected {
        Verdict::Alive
    } else if read == u32::MAX || read == 0 {
        // Zero too: an ejected emulated device was seen to read 0.
        Verdict::Dead
    } else {
        Verdict::Unsure
    }
}

/// Combines the verdicts of configuration space and of an identity register: a device is gone only if
/// both say so. Either may be silent for a while without the other: configuration space while a port
/// recovers, registers without memory decoding.
pub const fn judge_presence(config: Verdict, register: Verdict) -> Verdict {
    match (config, register) {
        (Verdict::Alive, Verdict::Alive) => Verdict::Alive,
        (Verdict::Dead, Verdict::Dead) => Verdict::Dead,
        _ => Verdict::Unsure,
    }
}

/// Watches a counter that a living device keeps moving: registers that answer prove the bus, not progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heartbeat {
    last: Option<u32>,
    still: u32,
}

impl Heartbeat {
    /// A counter that was never read.
    pub const fn new() -> Self {
        Self { last: None, still: 0 }
    }

    /// Feeds the value of a look. Returns the number of looks in a row, this one included, at which the
    /// counter stood still.
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
    fn a_heartbeat_that_stands_still_is_counted_until_it_moves() {
        let mut heartbeat = Heartbeat::default();
        assert_eq!(heartbeat.look(0), 0, "the first look has nothing to compare with");
        assert_eq!([7, 7, 7, 8, 8].map(|read| heartbeat.look(read)), [0, 1, 2, 0, 1]);
        assert_eq!(heartbeat.look(0), 0, "it may wrap, and begins anew after a reset");
    }
}
