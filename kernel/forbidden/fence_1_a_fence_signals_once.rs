// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A fence that is signalled is given away.
//!
//! error[E0382]

use lifeboat_core::fence::FenceError;
use lifeboat_jobqueue::Unsignalled;

pub(crate) fn once(fence: Unsignalled) {
    fence.signal(Ok(()));
}

#[cfg(mistake)]
pub(crate) fn twice(fence: Unsignalled) {
    fence.signal(Ok(()));
    fence.signal(Err(FenceError::Lost));
}
