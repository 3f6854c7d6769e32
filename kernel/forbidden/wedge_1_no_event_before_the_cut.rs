// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The event of a wedged device is sent when the device has been cut off, and not before.
//!
//! error[E0308]

use kernel::prelude::*;
use lifeboat_core::unplug::{Cut, Swept};
use lifeboat_core::wedge::Methods;

use crate::glue::{wedged_event, DrmDevice};
use crate::teardown::Shell;

pub(crate) fn after(cut: &Cut<Shell>, drm: &DrmDevice) -> Result {
    wedged_event(cut, drm, Methods::UNKNOWN, None)
}

#[cfg(mistake)]
pub(crate) fn before(swept: &Swept<Shell>, drm: &DrmDevice) -> Result {
    wedged_event(swept, drm, Methods::UNKNOWN, None)
}
