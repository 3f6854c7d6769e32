// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A buffer of a program's own pages. They are pinned, and stay for the jobs that use them; but once the program has unmapped
//! them no other command reaches them, also on a device that is lost (GATE-6).

use kernel::{
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc,
    },
};

use super::{host::Host, Memory};
use crate::glue::{Notifier, Pages, Watch};

/// See the module documentation.
pub(super) struct User {
    /// Dropped first.
    notifier: Notifier<Watched>,
    pub(super) host: Arc<Host>,
    pub(super) writable: bool,
}

#[cfg_attr(not(CONFIG_MMU_NOTIFIER), allow(dead_code))] // nobody is watched
struct Watched {
    memory: Arc<Memory>,
    /// Of the pages.
    key: usize,
    unmapped: Atomic<bool>,
}

impl User {
    /// Pins whole pages of the caller. EOPNOTSUPP in a kernel without `CONFIG_MMU_NOTIFIER`.
    pub(super) fn new(memory: &Arc<Memory>, address: usize, count: usize, writable: bool) -> Result<Self> {
        let host = Host::with(Pages::pinned(address, count, writable)?)?;
        let watched = Watched { memory: memory.clone(), key: host.key(), unmapped: Atomic::new(false) };
        let notifier = Notifier::new(address, host.resident(), watched)?;
        Ok(Self { notifier, host, writable })
    }

    /// Whether the program has unmapped any of them.
    pub(super) fn is_unmapped(&self) -> bool {
        self.notifier.watch().unmapped.load(Acquire)
    }
}

impl Watch for Watched {
    fn unmapped(&self, may_wait: bool) -> bool {
        // Before the tables are gone through: who maps the buffer meanwhile sees it, or is found.
        self.unmapped.store(true, Release);
        self.memory.tables.revoke(&self.memory, self.key, may_wait)
    }
}
