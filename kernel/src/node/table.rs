// SPDX-License-Identifier: GPL-2.0 OR MIT

//! All ioctls of this module: the structure, which has the number, the class, and the handler.

use super::call::{always, device, Row};
use super::{buffer, info};

/// The ioctls, by number.
pub(super) const TABLE: &[Row] = &[
    always!(Info, info::info),
    device!(BufferCreate, buffer::create),
    always!(BufferMmap, buffer::mmap),
    always!(BufferWait, buffer::wait),
    always!(BufferAdvise, buffer::advise),
];
