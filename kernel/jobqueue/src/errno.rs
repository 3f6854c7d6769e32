// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The core's error numbers as the kernel's.

use kernel::prelude::*;
use lifeboat_core::errno::Errno;

/// The kernel's error for one of the core.
pub fn from_core(error: impl Into<Errno>) -> Error {
    Error::from_errno(-error.into().code())
}
