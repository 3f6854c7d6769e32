//! Call classes: what a user's call may touch, and what becomes of it when the device is gone.
//!
//! All drivers have one rule instead of a flag per driver, as Daniel Vetter asks in the dri-devel thread
//! on `drm_dev_enter` around ioctls (April 2021; S2 in docs/conformance.md): a call that never fails in
//! normal operation does not fail after an unplug, a call that may fail anyway says so, and a call that
//! owes an event still delivers it. The class of a call is declared once, next to its name.

use core::fmt;

use crate::wedge::Failure;

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
    /// The driver is bound.
    Live,
    /// The loss has been announced. There is no way back: a device that returns is a new one.
    Gone,
    /// The device is there and out of use, until somebody recovers it (CALL-5). What returns is a new one, too.
    Wedged(Failure),
}

/// The decision about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Go on without the hardware.
    Proceed,
    /// Go on inside a section of the gate; if the gate is shut by then, decide again with the presence of then.
    EnterGate,
    /// Report success, deliver the owed events, touch nothing.
    Pretend,
    /// Fail.
    Refuse(Refusal),
}

/// The reason why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `open` of a device that is gone.
    Vanished,
    /// The device behind this handle is gone.
    Gone,
    /// The device behind this handle has failed for good.
    Wedged(Failure),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vanished => "the device has vanished and cannot be opened",
            Self::Gone => "the device is gone; close this handle and open the device that returns",
            Self::Wedged(Failure::Hung) => {
                "the device hangs; close this handle and open it again when it was recovered"
            }
            Self::Wedged(Failure::ResetFailed) => {
                "the device cannot be reset; close this handle and open it again when it was recovered"
            }
            Self::Wedged(Failure::Nonsense) => {
                "the device answers nonsense; close this handle and open it again when it was recovered"
            }
        })
    }
}

impl core::error::Error for Refusal {}

impl Class {
    /// Decides about a call of this class on a device in this state.
    pub const fn entry(self, presence: Presence) -> Entry {
        match (self, presence) {
            // A wedged device can be opened, to ask for the reason and to help it.
            (Self::Always | Self::Driver, _) | (Self::Open, Presence::Live | Presence::Wedged(_)) => Entry::Proceed,
            (Self::Device | Self::Complete, Presence::Live) => Entry::EnterGate,
            (Self::Complete, Presence::Gone | Presence::Wedged(_)) => Entry::Pretend,
            (Self::Device, Presence::Wedged(failure)) => Entry::Refuse(Refusal::Wedged(failure)),
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
    fn call_5_a_wedged_device_refuses_work_with_what_failed_and_nothing_else() {
        let failures = [
            (Failure::Hung, Errno::ETIME),
            (Failure::ResetFailed, Errno::ECANCELED),
            (Failure::Nonsense, Errno::EPROTO),
        ];
        for (failure, errno) in failures {
            let wedged = |class: Class| class.entry(Presence::Wedged(failure));
            assert_eq!(wedged(Class::Device), Entry::Refuse(Refusal::Wedged(failure)));
            assert_eq!(Errno::from(Refusal::Wedged(failure)), errno);
            assert_eq!(wedged(Class::Complete), Entry::Pretend);
            assert!([Class::Always, Class::Driver, Class::Open].map(wedged) == [Entry::Proceed; 3]);
        }
    }

    #[test]
    fn nothing_is_refused_or_pretended_on_a_live_device() {
        for class in [Class::Always, Class::Device, Class::Complete, Class::Driver, Class::Open] {
            assert!(matches!(class.entry(Presence::Live), Entry::Proceed | Entry::EnterGate));
        }
    }
}
