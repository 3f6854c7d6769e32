// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Only the bring-up says that a device works.
//!
//! error[E0423]

use kernel::{device::Bound, pci, prelude::*, sync::Arc};

use crate::bringup::{self, Working};
use crate::device::Device;
use crate::drive::Stopped;

pub(crate) fn proven(function: &pci::Device<Bound>, device: &Arc<Device>) -> Result<Working, Stopped> {
    bringup::start(function, device)
}

#[cfg(mistake)]
pub(crate) fn forged(device: Arc<Device>) -> Working {
    Working(device)
}
