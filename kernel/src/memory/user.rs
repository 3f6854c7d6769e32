// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A buffer of a program's own pages. They are pinned, and stay for the jobs that use them; but once the program has unmapped
//! or replaced them no other command reaches them, also on a device that is lost (GATE-6).
//!
//! The kernel tells that a program unmaps, which is the end at once. That it replaces pages under the same addresses
//! (`MADV_DONTNEED`, for one) is told, too, but as one of many changes after which pinned pages mostly are what they were.
//! So such a change puts the buffer in doubt, and its next use looks.

use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc,
    },
};

use super::{host::Host, Memory};
use crate::glue::{Notifier, Pages, Watch};

/// How often pages are pinned that are replaced meanwhile. Pinning pages that the program has never written to replaces them
/// once.
const ATTEMPTS: u32 = 16;

/// See the module documentation.
pub(super) struct User {
    /// Dropped first.
    notifier: Notifier<Watched>,
    address: usize,
    /// The notifier's moment at which the pages were known to be the program's.
    verified: Atomic<usize>,
    pub(super) host: Arc<Host>,
    pub(super) writable: bool,
}

#[cfg_attr(not(CONFIG_MMU_NOTIFIER), allow(dead_code))] // nobody is watched
struct Watched {
    memory: Arc<Memory>,
    /// Of the pages.
    key: usize,
    revoked: Atomic<bool>,
}

impl User {
    /// Pins whole pages of the caller. EFAULT if it replaces them all the time; EOPNOTSUPP in a kernel without
    /// `CONFIG_MMU_NOTIFIER`.
    pub(super) fn new(memory: &Arc<Memory>, address: usize, count: usize, writable: bool) -> Result<Self> {
        let host = Host::new(count)?;
        let watched = Watched { memory: memory.clone(), key: host.key(), revoked: Atomic::new(false) };
        // First the watch: what happens to the pages before they are pinned is not missed.
        let notifier = Notifier::new(address, count * PAGE_SIZE, watched)?;
        for _ in 0..ATTEMPTS {
            let moment = notifier.settle();
            let pages = Pages::pinned(address, count, writable)?;
            if notifier.is_unchanged_since(moment) {
                host.set_pages(pages)?;
                return Ok(Self { notifier, address, verified: Atomic::new(moment), host, writable });
            }
        }
        Err(EFAULT)
    }

    /// Whether the program has unmapped or replaced any of them.
    pub(super) fn is_revoked(&self) -> bool {
        self.notifier.watch().revoked.load(Acquire)
    }

    /// Whether the program may have replaced any of them.
    pub(super) fn is_in_doubt(&self) -> bool {
        !self.is_revoked() && !self.notifier.is_unchanged_since(self.verified.load(Acquire))
    }

    /// Looks, if they are in doubt, whether they are what the program has at its addresses. EFAULT if they are not: from then
    /// on no command reaches them.
    pub(super) fn verify(&self) -> Result {
        if self.is_in_doubt() {
            let moment = self.notifier.settle();
            if self.host.is_still_at(self.address)? {
                // A later change is another doubt.
                self.verified.store(moment, Release);
            } else {
                self.notifier.watch().revoke(true);
            }
        }
        if self.is_revoked() {
            return Err(EFAULT);
        }
        Ok(())
    }
}

impl Watched {
    /// Takes the pages out of the device's reach. `false` if that could not be done without waiting, where `may_wait` is.
    fn revoke(&self, may_wait: bool) -> bool {
        // Before the tables are gone through: who maps the buffer meanwhile sees it, or is found.
        self.revoked.store(true, Release);
        self.memory.tables.revoke(&self.memory, self.key, may_wait)
    }
}

impl Watch for Watched {
    fn unmapped(&self, may_wait: bool) -> bool {
        self.revoke(may_wait)
    }
}
