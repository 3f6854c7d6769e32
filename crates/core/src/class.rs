//! Call classes: which calls may touch the device, and how each call ends after the device is lost.
//!
//! All drivers share one rule. It has three parts:
//!
//! - A call that never fails in normal operation does not fail after an unplug.
//! - A call that may fail anyway reports the loss.
//! - A call that owes an event still delivers the event.
//!
//! Daniel Vetter asked for such a rule, instead of a flag per driver, in the dri-devel thread on
//! `drm_dev_enter` around ioctls (April 2021; S2 in docs/conformance.md). The class of a call is
//! declared once, next to the name of the call.

use core::fmt;

use crate::wedge::Failure;

/// Class of a call (CALL-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Gets no hardware and never fails because of a loss: queries, close, waits.
    Always,
    /// Needs the device from beginning to end, inside the gate: fails with ENODEV after a loss.
    Device,
    /// Pretends success after a loss and still delivers the owed events: page flips.
    Complete,
    /// Runs before and after a loss, and enters the gate itself in small sections: submissions.
    Driver,
    /// Opens the device: fails with ENXIO after a loss (CALL-3).
    Open,
}

/// State of the device as users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The driver is bound and users may reach the hardware.
    Live,
    /// The loss has been announced. This state is final: a device that returns is a new device.
    Gone,
    /// The device is present but out of use until an operator recovers it (CALL-5). The recovered
    /// device is a new device, too.
    Wedged(Failure),
}

/// Decision about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Run the call without the hardware.
    Proceed,
    /// Run the call inside a section of the gate. If the gate has shut meanwhile, decide again with
    /// the new presence.
    EnterGate,
    /// Report success and deliver the owed events without touching the hardware.
    Pretend,
    /// Fail the call.
    Refuse(Refusal),
}

/// Reason why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The device to be opened is gone.
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
    /// Decides about a call of this class while the device is in the state `presence`.
    pub const fn entry(self, presence: Presence) -> Entry {
        match (self, presence) {
            // A wedged device can be opened: the user may read the reason and start a recovery.
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
