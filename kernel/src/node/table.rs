// SPDX-License-Identifier: GPL-2.0 OR MIT

//! All ioctls of this module: the structure, which has the number, the class, and the handler.

use super::call::{always, Row};
use super::info;

/// The ioctls, by number.
pub(super) const TABLE: &[Row] = &[always!(Info, info::info)];
