// SPDX-License-Identifier: GPL-2.0 OR MIT

//! In place of `notifier` in a kernel that cannot watch a program's addresses: there are no watches.

use kernel::prelude::*;

/// See `notifier`.
pub(crate) trait Watch: Send + Sync + 'static {
    /// Never called.
    #[allow(dead_code)] // see above
    fn unmapped(&self, may_wait: bool) -> bool;
}

/// A watch that cannot be.
pub(crate) struct Notifier<W: Watch>(W);

impl<W: Watch> Notifier<W> {
    /// EOPNOTSUPP.
    pub(crate) fn new(_: usize, _: usize, _: W) -> Result<Self> {
        Err(EOPNOTSUPP)
    }

    pub(crate) fn watch(&self) -> &W {
        &self.0
    }

    /// There is no change.
    pub(crate) fn settle(&self) -> usize {
        0
    }

    /// There is no change.
    pub(crate) fn is_unchanged_since(&self, _: usize) -> bool {
        true
    }
}
