//! The display's policy: what a commit may ask for, how far the one that is under way is, and when vertical blanks come.
//!
//! There is one connector, one CRTC and one plane. A commit is accepted or refused as a whole; one that was accepted ends
//! exactly once (KMS-3): when the hardware shows it, when a mode set takes its place, when the hardware fails to show it
//! within a limit (KMS-5), or when the device is lost. The hardware is the shell's: [`Crtc`] says when it is to be
//! programmed and how, [`Silence`] when it has been silent for too long. [`Leases`] says which client may program it.

mod crtc;
mod leases;
mod silence;
mod vblanks;

#[cfg(test)]
mod tests;

use core::fmt;

pub use crtc::{Crtc, Next, Program};
pub use leases::{ClientId, LeaseError, Leases, LesseeId, Objects};
pub use silence::{report_limit, Silence, Verdict};
pub use vblanks::Vblanks;

/// A mode of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode {
    /// Pixels in a row, at least 1.
    pub width: u16,
    /// Rows, at least 1.
    pub height: u16,
    /// Refresh rate in millihertz.
    pub refresh_millihertz: u32,
}

impl Mode {
    /// Bytes of an RGBA8 picture of this size, rows without gaps.
    pub const fn picture_bytes(self) -> u64 {
        self.width as u64 * self.height as u64 * 4
    }
}

/// A commit's change of one property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Keep the property.
    #[default]
    Keep,
    /// Turn the property off.
    Off,
    /// Set the property to this.
    To(T),
}

impl<T> Change<T> {
    /// Applies the change to the state before.
    pub fn apply(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Off => None,
            Self::To(after) => Some(after),
        }
    }

    /// The same change of another value, made by `f`.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Off => Change::Off,
            Self::To(to) => Change::To(f(to)),
        }
    }
}

/// The request of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// The CRTC's mode.
    pub mode: Change<Mode>,
    /// The plane's picture, by the size of its buffer in bytes.
    pub picture: Change<u64>,
    /// Whether the mode may change.
    pub allow_modeset: bool,
    /// Whether an event is to report the commit.
    pub event: bool,
    /// Set the hardware anew at once, also if only the picture changes: the legacy mode set.
    pub at_once: bool,
}

/// The reason why a commit is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitError {
    /// Another commit is under way.
    Pending,
    /// The screen has no such mode.
    NoSuchMode,
    /// The buffer does not hold a picture of this size.
    PictureTooSmall,
    /// The mode would change, which was not allowed.
    NeedsModeset,
    /// The CRTC would be on without a picture, or the plane without a mode.
    HalfOn,
    /// The CRTC is off, so there is nothing to flip, and no blank to wait for or to report at.
    Off,
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "a flip or commit is pending; wait for its fence or its event",
            Self::NoSuchMode => {
                "the screen has no such mode; take a width and a height of at least 1, and its own refresh rate"
            }
            Self::PictureTooSmall => "the buffer is smaller than the picture",
            Self::NeedsModeset => "this would change the mode; allow it with allow_modeset",
            Self::HalfOn => "a mode needs a picture, and a picture a mode: set both, or turn both off",
            Self::Off => "the display is off; set a mode first",
        })
    }
}

impl core::error::Error for CommitError {}
