// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The part of the module that all its devices share.

use kernel::{debugfs::Dir, prelude::*, sync::Arc};

use crate::glue::OwnedQueue;
use crate::holders::Holders;
use crate::removals::Removals;
use crate::slot::roster::Slots;
use crate::NAME;

/// See the module documentation.
#[pin_data]
pub(crate) struct Shared {
    pub(crate) queue: Arc<OwnedQueue>,
    /// The module's directory in debugfs.
    pub(crate) dir: Dir,
    #[pin]
    pub(crate) removals: Removals,
    #[pin]
    pub(crate) holders: Holders,
    #[pin]
    pub(crate) slots: Slots,
}

impl Shared {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                queue: Arc::new(OwnedQueue::new(NAME)?, GFP_KERNEL)?,
                dir: Dir::new(NAME),
                removals <- Removals::new(),
                holders <- Holders::new(),
                slots <- Slots::new(),
            }),
            GFP_KERNEL,
        )
    }
}
