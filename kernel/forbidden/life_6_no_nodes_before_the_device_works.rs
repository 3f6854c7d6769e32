// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Nodes are registered of a device that has been proven to work.
//!
//! error[E0308]

use kernel::prelude::*;

use crate::bringup::Working;
use crate::node;

pub(crate) fn last(working: Working) -> Result {
    node::register(working)
}

#[cfg(mistake)]
pub(crate) fn first(device: kernel::sync::Arc<crate::device::Device>) -> Result {
    node::register(device)
}
