//! Which answers a call may give, by its class and by how it stands with the device.

use lifeboat::calls::CallInfo;
use lifeboat::core::class::Class;
use lifeboat::core::errno::Errno;

/// Most wrongs that are kept of one point.
const KEPT: usize = 8;
/// A flip is pending, or the handle's events are unread.
const TOO_FAST: &[Errno] = &[Errno::EBUSY, Errno::ENOMEM];

/// The answers that are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    success: bool,
    errors: &'static [Errno],
}

impl Verdict {
    const SUCCESS: Self = Self { success: true, errors: &[] };

    pub(super) fn fits(self, answer: Result<(), Errno>) -> bool {
        match answer {
            Ok(()) => self.success,
            Err(errno) => self.errors.contains(&errno),
        }
    }

    /// Nothing has happened to the device, or nothing that a call need know of.
    pub(super) fn while_it_is_there(class: Class) -> Self {
        match class {
            // Who asks the display for more than it can show is told so.
            Class::Complete => Self { success: true, errors: TOO_FAST },
            Class::Device => Self { success: true, errors: &[Errno::EBUSY] },
            Class::Always | Class::Driver | Class::Open => Self::SUCCESS,
        }
    }

    /// It goes at some moment of the call.
    pub(super) fn while_it_goes(class: Class) -> Self {
        match class {
            Class::Always => Self::SUCCESS,
            Class::Complete => Self { success: true, errors: TOO_FAST },
            Class::Device => Self { success: true, errors: &[Errno::ENODEV, Errno::EBUSY] },
            Class::Driver => Self { success: true, errors: &[Errno::ENODEV] },
            Class::Open => Self { success: true, errors: &[Errno::ENXIO] },
        }
    }

    /// It may be lost at some moment of the call, or found wedged, or come back as another one.
    pub(super) fn in_trouble(class: Class) -> Self {
        const WEDGED: &[Errno] = &[Errno::ENODEV, Errno::EBUSY, Errno::ETIME, Errno::ECANCELED, Errno::EPROTO];
        match class {
            Class::Device | Class::Driver => Self { success: true, errors: WEDGED },
            Class::Always | Class::Complete | Class::Open => Self::while_it_goes(class),
        }
    }

    /// Nothing kept the call from trying. That it fails well is all that is asked.
    pub(super) fn past_the_entry(class: Class) -> Self {
        match class {
            Class::Always => Self::SUCCESS,
            _ => Self { success: true, errors: &[Errno::ENODEV, Errno::EBUSY, Errno::ENOMEM] },
        }
    }

    /// It is gone.
    pub(super) fn after_loss(call: &CallInfo) -> Self {
        let only = |errors| Self { success: false, errors };
        match call.class {
            Class::Device => only(&[Errno::ENODEV]),
            Class::Open => only(&[Errno::ENXIO]),
            // New work is refused; what needs no device is done.
            Class::Driver if call.name == "submit" => only(&[Errno::ENODEV]),
            Class::Always | Class::Complete | Class::Driver => Self::SUCCESS,
        }
    }
}

/// What was wrong at one point.
#[derive(Debug, Default)]
pub(super) struct Wrongs(Vec<String>);

impl Wrongs {
    pub(super) fn add(&mut self, what: impl Into<String>) {
        if self.0.len() < KEPT {
            self.0.push(what.into());
        }
    }

    pub(super) fn into_list(self) -> Vec<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_depends_on_the_device() {
        let gone = Err(Errno::ENODEV);
        for class in [Class::Always, Class::Device, Class::Complete, Class::Driver, Class::Open] {
            assert!(Verdict::while_it_is_there(class).fits(Ok(())));
            assert!(!Verdict::while_it_is_there(class).fits(gone));
            assert_eq!(Verdict::while_it_goes(class).fits(gone), matches!(class, Class::Device | Class::Driver));
            let after = Verdict::after_loss(&CallInfo { number: 0, name: "any", class });
            assert_eq!(after.fits(Ok(())), !matches!(class, Class::Device | Class::Open));
        }
    }
}
