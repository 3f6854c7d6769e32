// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a job carries while the hardware may read it.

use kernel::{
    prelude::*,
    sync::{atomic::Atomic, Arc},
};
use lifeboat_lb1::command::{ContextId, Work};

use crate::workspace::Workspace;

/// Commands, and the memory they work on.
pub(crate) struct Job {
    pub(crate) commands: KVec<Work>,
    /// The index of its first descriptor, once it was written to its ring.
    pub(crate) begins_at: Atomic<u32>,
    workspace: Arc<Workspace>,
}

impl Job {
    pub(crate) fn new(workspace: Arc<Workspace>, commands: KVec<Work>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { commands, begins_at: Atomic::new(0), workspace }, GFP_KERNEL)?)
    }

    pub(crate) fn context(&self) -> ContextId {
        self.workspace.context
    }
}
