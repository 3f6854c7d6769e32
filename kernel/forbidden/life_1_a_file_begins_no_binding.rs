// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A binding is begun of a device, and not of what a program holds of it.
//!
//! error[E0308]

use kernel::{prelude::*, sync::Arc};

use crate::binding::Binding;
use crate::device::Device;

pub(crate) fn begin(device: Arc<Device>) -> Result<Arc<Binding>> {
    Binding::begin(device)
}

#[cfg(mistake)]
pub(crate) fn begin_of_a_file(file: Arc<crate::node::File>) -> Result<Arc<Binding>> {
    Binding::begin(file)
}
