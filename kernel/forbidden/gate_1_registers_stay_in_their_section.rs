// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A register section gives registers to what runs in it, which cannot keep them.
//!
//! error: lifetime may not live long enough

use lifeboat_driver::{Driver, DriverError, Io};

use crate::device::Device;
use crate::registration::Driven;

pub(crate) fn within(device: &Device) -> Result<u32, DriverError> {
    device.io(|io| Driven::read(io, 0))
}

#[cfg(mistake)]
pub(crate) fn kept(device: &Device) -> Result<&Io<'_>, DriverError> {
    device.io(|io| Ok(io))
}
