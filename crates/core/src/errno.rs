//! Conversion of errors to the error numbers that user space knows, all in one place.

use core::fmt;

use crate::class::Refusal;
use crate::fence::FenceError;
use crate::kms::{CommitError, LeaseError};
use crate::sched::{QueueError, SubmitError};
use crate::wedge::Failure;

/// Linux error number. The discriminant is the number itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Errno {
    /// The object does not exist.
    ENOENT = 2,
    /// The device to be opened has vanished (CALL-3).
    ENXIO = 6,
    /// No room for now: try again when work has completed.
    EAGAIN = 11,
    /// No memory, or no room in another resource of fixed size.
    ENOMEM = 12,
    /// The object is in use.
    EBUSY = 16,
    /// The device is gone.
    ENODEV = 19,
    /// An argument is wrong.
    EINVAL = 22,
    /// The process has reached its limit of open files.
    EMFILE = 24,
    /// The request would make several parties wait for one another.
    EDEADLK = 35,
    /// The job hung or faulted.
    ETIME = 62,
    /// The device does not answer as it should.
    EPROTO = 71,
    /// The device lacks the feature that the call needs.
    EOPNOTSUPP = 95,
    /// The time limit of a wait has passed.
    ETIMEDOUT = 110,
    /// The client has used up its share of a resource that other clients need, too (SCHED-9).
    EDQUOT = 122,
    /// The work was canceled through no fault of its own.
    ECANCELED = 125,
}

impl Errno {
    /// Returns the number, which is positive.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// Returns the name, as in `errno.h`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ENOENT => "ENOENT",
            Self::ENXIO => "ENXIO",
            Self::EAGAIN => "EAGAIN",
            Self::ENOMEM => "ENOMEM",
            Self::EBUSY => "EBUSY",
            Self::ENODEV => "ENODEV",
            Self::EINVAL => "EINVAL",
            Self::EMFILE => "EMFILE",
            Self::EDEADLK => "EDEADLK",
            Self::ETIME => "ETIME",
            Self::EPROTO => "EPROTO",
            Self::EOPNOTSUPP => "EOPNOTSUPP",
            Self::ETIMEDOUT => "ETIMEDOUT",
            Self::EDQUOT => "EDQUOT",
            Self::ECANCELED => "ECANCELED",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Converts the error of a fence (FENCE-4).
impl From<FenceError> for Errno {
    fn from(error: FenceError) -> Self {
        match error {
            FenceError::Lost => Self::ENODEV,
            FenceError::Guilty | FenceError::TimedOut => Self::ETIME,
            FenceError::Innocent | FenceError::Canceled => Self::ECANCELED,
        }
    }
}

impl From<Refusal> for Errno {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Vanished => Self::ENXIO,
            Refusal::Gone => Self::ENODEV,
            // Not EIO: users take EIO for a broken disk or network, not for a GPU (CALL-6).
            Refusal::Wedged(Failure::Hung) => Self::ETIME,
            Refusal::Wedged(Failure::ResetFailed) => Self::ECANCELED,
            Refusal::Wedged(Failure::Nonsense) => Self::EPROTO,
        }
    }
}

impl From<SubmitError> for Errno {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Full => Self::EAGAIN,
            SubmitError::OverShare => Self::EDQUOT,
            SubmitError::StaleQueue => Self::ENOENT,
            SubmitError::TooLarge => Self::EINVAL,
            SubmitError::Cycle => Self::EDEADLK,
            // The same number as amdgpu and xe return. Not EIO, which users take for a dead device.
            SubmitError::Banned => Self::ECANCELED,
            SubmitError::Ended(error) => error.into(),
        }
    }
}

impl From<QueueError> for Errno {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::StaleQueue | QueueError::StaleContext => Self::ENOENT,
            QueueError::NoSuchRing | QueueError::TooLarge => Self::EINVAL,
            QueueError::Full => Self::ENOMEM,
            QueueError::OverShare => Self::EDQUOT,
        }
    }
}

impl From<LeaseError> for Errno {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Incomplete | LeaseError::Sublease => Self::EINVAL,
            LeaseError::Leased => Self::EBUSY,
            LeaseError::NoSuchLessee | LeaseError::Revoked => Self::ENOENT,
        }
    }
}

impl From<CommitError> for Errno {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Pending => Self::EBUSY,
            CommitError::NoSuchMode
            | CommitError::PictureTooSmall
            | CommitError::NeedsModeset
            | CommitError::HalfOn
            | CommitError::Off => Self::EINVAL,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// Compares numbers and names with those of the C library.
    macro_rules! as_in_libc {
        ($($name:ident)*) => {
            [$((Errno::$name, libc::$name, stringify!($name))),*]
        };
    }

    #[test]
    fn numbers_and_names_are_those_of_the_c_library() {
        let all = as_in_libc!(
            ENOENT ENXIO EAGAIN ENOMEM EBUSY ENODEV EINVAL EMFILE EDEADLK ETIME EPROTO EOPNOTSUPP ETIMEDOUT EDQUOT
            ECANCELED
        );
        for (errno, number, name) in all {
            assert_eq!((errno.code(), errno.name()), (number, name));
            assert_eq!(std::format!("{errno}"), name);
        }
    }
}
