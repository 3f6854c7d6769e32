// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GET_CAP of DRM, where the core would not ask: it says EOPNOTSUPP of dumb buffers for every driver without a display.

use kernel::{ffi::c_uint, prelude::*};

use crate::glue::Command;

/// `DRM_IOCTL_GET_CAP`, and its structure: a capability, and room for its value.
pub(super) const GET_CAP: c_uint = 0xc010_640c;
const BYTES: usize = 16;
/// `DRM_CAP_DUMB_BUFFER`.
const DUMB_BUFFER: u64 = 1;
/// Whether there are dumb buffers.
const DUMB_BUFFERS: u64 = 0;

/// Answers for the capabilities that are answered here; `None` for the others.
pub(super) fn get(command: Command) -> Option<Result> {
    match command.user(BYTES).reader().read::<u64>() {
        Ok(DUMB_BUFFER) => Some(answer(command)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    }
}

fn answer(command: Command) -> Result {
    let mut writer = command.user(BYTES).writer();
    writer.write(&DUMB_BUFFER)?;
    writer.write(&DUMB_BUFFERS)
}
