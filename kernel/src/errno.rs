// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The one place where errors become numbers that the kernel returns.

use kernel::prelude::*;
use lifeboat_core::errno::Errno;
use lifeboat_lb1::DriverError;

/// What probe returns for it.
pub(crate) fn errno(error: DriverError) -> Error {
    match error {
        DriverError::Gone | DriverError::NotLb1 { .. } | DriverError::Impossible(_) => ENODEV,
        DriverError::ResetFailed | DriverError::Changed | DriverError::Bus(_) => EIO,
        DriverError::NoSuchThing => EINVAL,
    }
}

/// The core's number as the kernel's.
pub(crate) fn from_core(error: Errno) -> Error {
    Error::from_errno(-error.code())
}
