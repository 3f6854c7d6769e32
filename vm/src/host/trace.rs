//! A record of a conversation, kept if the test fails: one line a message, with the seconds since the machine was started.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

/// A file that several threads write lines to.
#[derive(Debug, Clone)]
pub struct Trace {
    file: Arc<Mutex<File>>,
    started: Instant,
}

impl Trace {
    /// Creates the file.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path, started: Instant) -> io::Result<Self> {
        Ok(Self { file: Arc::new(Mutex::new(File::create(path)?)), started })
    }

    /// Adds a line. A trace that cannot be written must not fail the test it describes.
    pub fn line(&self, direction: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let _ = writeln!(self.file.lock(), "{seconds:9.3} {direction} {}", text.trim_end());
    }
}
