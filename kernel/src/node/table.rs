// SPDX-License-Identifier: GPL-2.0 OR MIT

//! All ioctls of this module: the structure, which has the number, the class, and the handler.

use lifeboat_core::class::Class;
use lifeboat_uapi::Submit;

use super::call::{always, device, Row};
use super::{context, info, submit, wait};

/// The ioctls, by number.
pub(super) const TABLE: &[Row] = &[
    always!(Info, info::info),
    device!(ContextCreate, context::create),
    always!(ContextDestroy, context::destroy),
    always!(ContextStatus, context::status),
    Row::free::<Submit>(Class::Driver, submit::submit),
    always!(Wait, wait::wait),
];
