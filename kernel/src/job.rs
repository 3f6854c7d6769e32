// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a job carries while the hardware may read it.

use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use lifeboat_driver::{gpu::Gpu, Driver, Place};

use crate::registration::Driven;
use crate::workspace::Workspace;

/// Commands, and the memory they work on.
pub(crate) struct Job {
    commands: KVec<<Driven as Gpu>::Command>,
    /// Where in its ring it begins, once it was written. Used by the worker alone.
    begins: Atomic<u32>,
    workspace: Arc<Workspace>,
}

impl Job {
    pub(crate) fn new(workspace: Arc<Workspace>, commands: KVec<<Driven as Gpu>::Command>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { commands, begins: Atomic::new(0), workspace }, GFP_KERNEL)?)
    }

    /// As the driver gives it to a ring.
    pub(crate) fn work(&self) -> <Driven as Driver>::Work<'_> {
        Driven::work(self.workspace.context, &self.commands)
    }

    /// The job was written.
    pub(crate) fn begins_at(&self, begins: Place) {
        self.begins.store(begins.0, Relaxed);
    }

    pub(crate) fn begins(&self) -> Place {
        Place(self.begins.load(Relaxed))
    }
}
