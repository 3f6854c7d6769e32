// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Buffers whose contents are not needed. While memory is short, their pages are given up: by a shrinker, which needs no
//! device, and works on one that is lost as on any other (GATE-6).

use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::{
        atomic::{Acquire, Atomic, Full},
        Arc, Mutex,
    },
};

use super::host::Host;
use crate::glue::{Shrink, Shrinker, Window};
use crate::NAME;

/// The spare buffers of one device.
pub(crate) struct Spare {
    _shrinker: Shrinker<All>,
    all: Arc<All>,
}

/// See the module documentation.
#[pin_data]
struct All {
    /// By the key of their memory. The lock is taken while memory is short, so nothing is allocated under it.
    #[pin]
    hosts: Mutex<RBTree<usize, (Arc<Host>, Window)>>,
    /// Pages that they have, about.
    pages: Atomic<usize>,
}

impl Spare {
    pub(super) fn new() -> Result<Self> {
        let hosts = new_mutex!(RBTree::new(), "lifeboat::spare");
        let all = Arc::pin_init(pin_init!(All { hosts <- hosts, pages: Atomic::new(0) }), GFP_KERNEL)?;
        Ok(Self { _shrinker: Shrinker::new(NAME, all.clone())?, all })
    }

    /// Says whether the contents of a buffer are needed. Returns whether they are still there.
    pub(super) fn advise(&self, host: &Arc<Host>, needed: bool, window: Window) -> Result<bool> {
        if needed {
            self.forget(host);
        } else {
            host.set_dummy_aside()?;
            let node = RBTreeNode::new(host.key(), (host.clone(), window), GFP_KERNEL)?;
            // The host and the tree say the same, and the pages are counted, before somebody else comes.
            let mut hosts = self.all.hosts.lock();
            let before = hosts.insert(node);
            if before.is_none() {
                self.all.pages.fetch_add(host.count(), Full);
            }
            host.set_spare(true);
            drop(hosts);
            drop(before);
        }
        Ok(host.is_retained())
    }

    /// The contents are needed, or the buffer goes. A buffer that is being given up is waited for.
    pub(super) fn forget(&self, host: &Arc<Host>) {
        if !host.is_spare() {
            return;
        }
        let mut hosts = self.all.hosts.lock();
        let node = hosts.remove_node(&host.key());
        if node.is_some() {
            self.all.pages.fetch_sub(host.count(), Full);
        }
        host.set_spare(false);
        drop(hosts);
        drop(node);
    }
}

impl Shrink for All {
    fn count(&self) -> usize {
        self.pages.load(Acquire)
    }

    fn shrink(&self, pages: usize) -> usize {
        let Some(hosts) = self.hosts.try_lock() else { return 0 };
        let mut given_up = 0;
        for (host, window) in hosts.values() {
            if given_up >= pages {
                break;
            }
            given_up += host.give_up(window);
        }
        given_up
    }
}
