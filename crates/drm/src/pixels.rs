//! A picture's memory, as the screen keeps it.

use std::any::Any;
use std::sync::Arc;

/// A picture's memory, kept for the screen.
#[derive(Clone)]
pub(crate) struct Pixels {
    /// Where it begins in VRAM, in bytes.
    pub(crate) offset: u64,
    /// The buffer, of whatever driver.
    _buffer: Arc<dyn Any + Send + Sync>,
}

impl Pixels {
    pub(crate) fn new(offset: u64, buffer: Arc<dyn Any + Send + Sync>) -> Self {
        Self { offset, _buffer: buffer }
    }
}
