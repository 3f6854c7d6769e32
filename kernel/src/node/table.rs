// SPDX-License-Identifier: GPL-2.0 OR MIT

//! All ioctls of this module: the structure, which has the number, the class, and the handler.

use super::call::{always, driver, Row};
use super::{buffer, info};

/// The ioctls, by number.
pub(super) const TABLE: &[Row] = &[
    always!(Info, info::info),
    // Its caller sees the class Device. But an allocation, or the caller's own pages, must not delay an unplug.
    driver!(BufferCreate, buffer::create),
    always!(BufferMmap, buffer::mmap),
    always!(BufferWait, buffer::wait),
    always!(BufferAdvise, buffer::advise),
];
