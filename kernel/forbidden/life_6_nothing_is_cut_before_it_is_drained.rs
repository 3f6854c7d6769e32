// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The steps of an unplug are taken in their order.
//!
//! error[E0599]

use lifeboat_core::unplug::{Bound, Cut, Loss};

use crate::teardown::Shell;

pub(crate) fn in_order(bound: Bound<Shell>) -> Cut<Shell> {
    bound.announce(Loss::Unplugged).retire().drain().sweep().cut()
}

#[cfg(mistake)]
pub(crate) fn too_early(bound: Bound<Shell>) -> Cut<Shell> {
    bound.announce(Loss::Unplugged).retire().cut()
}
