//! When which ring executed what: for drawing a timeline.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::RwLock;

/// One descriptor's execution on a ring, however it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSpan {
    /// The ring.
    pub ring: u8,
    /// The context the descriptor named.
    pub context: u8,
    /// Its operation code, see [`lifeboat_lb1::command::Opcode`].
    pub opcode: u8,
    /// When it was fetched.
    pub start: Instant,
    /// When it took effect, faulted or was abandoned.
    pub end: Instant,
}

/// Called on the ring's thread after each descriptor, so it had better be quick.
pub type Recorder = Arc<dyn Fn(RingSpan) + Send + Sync>;

#[derive(Default)]
pub(crate) struct RecorderCell(RwLock<Option<Recorder>>);

impl RecorderCell {
    pub(crate) fn set(&self, recorder: Option<Recorder>) {
        *self.0.write() = recorder;
    }

    pub(crate) fn get(&self) -> Option<Recorder> {
        self.0.read().clone()
    }
}
