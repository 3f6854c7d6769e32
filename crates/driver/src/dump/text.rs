//! Memory of a caller's, as text is written into it.

use core::fmt::{self, Write};

/// Text in memory that belongs to the caller. An error of a write says that the memory is full.
pub(super) struct Text<'a> {
    memory: &'a mut [u8],
    length: usize,
}

impl<'a> Text<'a> {
    /// An empty text.
    pub(super) fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, length: 0 }
    }

    /// Bytes that were written.
    pub(super) fn length(&self) -> usize {
        self.length
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.checked_add(text.len()).ok_or(fmt::Error)?;
        self.memory.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Counts the bytes of a text, which goes nowhere.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

/// The length of what `write` writes, in bytes.
pub(super) fn length_of(write: impl FnOnce(&mut dyn Write) -> fmt::Result) -> usize {
    let mut length = Length(0);
    // The counter fails nowhere; what does not write itself is not written.
    let _ = write(&mut length);
    length.0
}
