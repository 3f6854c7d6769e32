// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The one mapping from errors to numbers that the kernel returns.

use kernel::prelude::*;
use lifeboat_core::errno::Errno;
use lifeboat_driver::DriverError;

use crate::drive::CUT_SHORT;

/// The error that probe returns for it.
pub(crate) fn errno(error: DriverError) -> Error {
    match error {
        DriverError::Gone | DriverError::Foreign { .. } | DriverError::Impossible(_) | DriverError::NotAlive => ENODEV,
        CUT_SHORT => ENODEV,
        DriverError::NoSuchThing => EINVAL,
        _ => EIO,
    }
}

/// The core's number as the kernel's.
pub(crate) fn from_core(error: Errno) -> Error {
    Error::from_errno(-error.code())
}
