//! Values as JSON has them.

use core::fmt::{self, Display, Write};

/// Bytes that should be UTF-8, as text: each part that is not is replaced by one character.
#[derive(Debug, Clone, Copy)]
pub struct Lossy<'a>(pub &'a [u8]);

impl Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            f.write_str(chunk.valid())?;
            if chunk.invalid().is_empty() {
                Ok(())
            } else {
                f.write_char(char::REPLACEMENT_CHARACTER)
            }
        })
    }
}

/// A string, in quotes. Text behind the first `most` characters is cut off.
pub(super) struct Quoted<T> {
    pub(super) text: T,
    pub(super) most: usize,
}

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaped { out: f, left: self.most }, "{}", self.text)?;
        f.write_char('"')
    }
}

/// The inside of a string.
struct Escaped<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    /// Characters that may still be written.
    left: usize,
}

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars().take(self.left) {
            self.left -= 1;
            match character {
                '"' | '\\' => {
                    self.out.write_char('\\')?;
                    self.out.write_char(character)?;
                }
                '\0'..'\x20' => write!(self.out, "\\u{:04x}", u32::from(character))?,
                _ => self.out.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A number, or `null`.
pub(super) struct Known(pub(super) Option<u32>);

impl Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, "{number}"),
            None => f.write_str("null"),
        }
    }
}

/// Bytes in hexadecimal.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
