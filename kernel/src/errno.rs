// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The one mapping from errors to numbers that the kernel returns.

use kernel::prelude::*;
use lifeboat_driver::DriverError;
pub(crate) use lifeboat_jobqueue::from_core;

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
