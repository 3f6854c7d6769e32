// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A buffer's stretch of video memory, and the page that takes its place for users once the device is lost.

use kernel::prelude::*;

use crate::glue::{Frame, Pages, Taken};

/// See the module documentation.
pub(crate) struct Vram {
    pub(super) taken: Taken,
    /// Where its first page is.
    pub(super) first: Frame,
    /// Shown in every place of every map after a loss. It is this buffer's own, since what users write there is only for
    /// those who share the buffer; and it is allocated beforehand, since a fault after the loss must not fail.
    pub(super) dummy: Pages,
}

impl Vram {
    pub(super) fn offset(&self) -> u64 {
        self.taken.start()
    }

    pub(super) fn frame(&self, page: usize) -> Frame {
        self.first.plus(page)
    }

    pub(super) fn dummy(&self) -> Result<Frame> {
        self.dummy.frame(0).ok_or(ENOMEM)
    }
}
