// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A binding is begun of a device, and not of what a program holds of it.
//!
//! error[E0308]

use kernel::sync::Arc;

use crate::binding::Binding;
use crate::device::Device;

pub(crate) fn begin(device: Arc<Device>) -> Binding {
    Binding::begin(device)
}

#[cfg(mistake)]
pub(crate) fn begin_of_a_file(file: Arc<crate::node::File>) -> Binding {
    Binding::begin(file)
}
