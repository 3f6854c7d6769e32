//! Call classes: what a user's call may touch, and what becomes of it when the device is gone.
//!
//! Seed 2 asks for one rule for all drivers instead of a flag per driver: what never fails in normal operation must not
//! fail after an unplug, what may fail anyway says so, and what owes an event still delivers it. The class of a call
//! is declared once, next to its name, and decides here.

use core::fmt;

/// The class of a call (CALL-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Never fails because of loss; gets no hardware. Queries, close, waits.
    Always,
    /// Needs the device from beginning to end, inside the gate; ENODEV after loss.
    Device,
    /// After loss pretends success and still delivers the events it owes. Flips.
    Complete,
    /// Runs on both sides of a loss and enters the gate itself, in small sections. Submissions.
    Driver,
    /// Opening the device: ENXIO after loss (CALL-3).
    Open,
}

/// Whether users may still reach the hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The binding is in place.
    Live,
    /// The loss has been announced. There is no way back: a device that returns is a new one.
    Gone,
}

/// What a call is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Go on without the hardware.
    Proceed,
    /// Go on inside a section of the gate; if the gate is shut by then, decide again with [`Presence::Gone`].
    EnterGate,
    /// Report success, deliver the owed events, touch nothing.
    Pretend,
    /// Fail.
    Refuse(Refusal),
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no such device any more; for `open`.
    Vanished,
    /// The device behind this handle is gone.
    Gone,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vanished => "the device has vanished and cannot be opened",
            Self::Gone => "the device is gone; close this handle and open the device that returns",
        })
    }
}

impl core::error::Error for Refusal {}

impl Class {
    /// What a call of this class does on a device in this state.
    pub const fn entry(self, presence: Presence) -> Entry {
        match (self, presence) {
            (Self::Always | Self::Driver, _) | (Self::Open, Presence::Live) => Entry::Proceed,
            (Self::Device | Self::Complete, Presence::Live) => Entry::EnterGate,
            (Self::Complete, Presence::Gone) => Entry::Pretend,
            (Self::Device, Presence::Gone) => Entry::Refuse(Refusal::Gone),
            (Self::Open, Presence::Gone) => Entry::Refuse(Refusal::Vanished),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::Errno;

    #[test]
    fn call_1_and_3_only_device_and_open_fail_after_loss() {
        let after = |class: Class| class.entry(Presence::Gone);
        assert_eq!(after(Class::Always), Entry::Proceed);
        assert_eq!(after(Class::Driver), Entry::Proceed);
        assert_eq!(after(Class::Complete), Entry::Pretend);
        assert_eq!(after(Class::Device), Entry::Refuse(Refusal::Gone));
        assert_eq!(after(Class::Open), Entry::Refuse(Refusal::Vanished));
        assert_eq!(Errno::from(Refusal::Vanished), Errno::ENXIO);
        assert_eq!(Errno::from(Refusal::Gone), Errno::ENODEV);
    }

    #[test]
    fn nothing_is_refused_or_pretended_on_a_live_device() {
        for class in [Class::Always, Class::Device, Class::Complete, Class::Driver, Class::Open] {
            assert!(matches!(class.entry(Presence::Live), Entry::Proceed | Entry::EnterGate));
        }
    }
}
