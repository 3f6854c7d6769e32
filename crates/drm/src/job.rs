//! A job, as the scheduler keeps it.

use std::sync::Arc;
use std::time::Instant;

use lifeboat::Entry;
use lifeboat::subsystem::{self, AboutJob, Notes};
use lifeboat_driver::Driver;
use lifeboat_driver::gpu::Gpu;

use crate::context;
use crate::retained::Retained;

/// What a job keeps alive for the hardware, until the hardware is known to be done with it.
pub struct Job<G: Gpu> {
    context: Arc<context::ContextInner<G>>,
    commands: Box<[G::Command]>,
    notes: Notes,
    /// For the age that a dump states.
    submitted: Instant,
    /// Buffers that are unmapped while the job may still use them.
    _retained: Arc<Retained>,
    _entry: Entry,
}

impl<G: Gpu> subsystem::Job<G> for Job<G> {
    fn work(&self) -> <G as Driver>::Work<'_> {
        G::work(self.context.id, &self.commands)
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn about(&self) -> AboutJob {
        let commands = u32::try_from(self.commands.len()).unwrap_or(u32::MAX);
        AboutJob { context: self.context.id.0, commands, submitted: self.submitted }
    }
}

impl<G: Gpu> Job<G> {
    /// A job that is submitted now.
    pub(crate) fn new(context: &Arc<context::ContextInner<G>>, commands: &[G::Command], entry: Entry) -> Self {
        Self {
            context: context.clone(),
            commands: commands.into(),
            notes: Notes::default(),
            submitted: Instant::now(),
            _retained: context.retained(),
            _entry: entry,
        }
    }
}
