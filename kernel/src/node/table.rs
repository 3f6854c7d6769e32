// SPDX-License-Identifier: GPL-2.0 OR MIT

//! All ioctls of this module: the structure, which has the number, the class, and the handler.

use lifeboat_core::class::Class;
use lifeboat_uapi::Submit;

use super::call::{always, device, driver, Row};
use super::{buffer, context, info, map, submit, wait};

/// The ioctls, by number.
pub(super) const TABLE: &[Row] = &[
    always!(Info, info::info),
    device!(ContextCreate, context::create),
    always!(ContextDestroy, context::destroy),
    always!(ContextStatus, context::status),
    // Its caller sees the class Device. But an allocation, or the caller's own pages, must not delay an unplug.
    driver!(BufferCreate, buffer::create),
    always!(BufferMmap, buffer::mmap),
    always!(BufferWait, buffer::wait),
    always!(BufferAdvise, buffer::advise),
    // As BUFFER_CREATE: memory may be allocated at its first use.
    driver!(Map, map::map),
    always!(Unmap, map::unmap),
    Row::free::<Submit>(Class::Driver, submit::submit),
    always!(Wait, wait::wait),
];
