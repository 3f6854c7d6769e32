//! Policy of the display: the rules of commits, the progress of the pending commit, and the count
//! of vertical blanks.
//!
//! The display has one connector, one CRTC and one plane. A commit is accepted or refused as a
//! whole. An accepted commit ends exactly once (KMS-3): when the hardware shows it, when a mode set
//! takes its place, when the hardware fails to show it within a limit (KMS-5), or when the device
//! is lost.
//!
//! The shell owns the hardware. [`Crtc`] says when and how to program the hardware, [`Silence`]
//! when the hardware has been silent for too long, and [`Leases`] which client may program the
//! display.

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

/// Display mode of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode {
    /// Pixels in a row, at least 1.
    pub width: u16,
    /// Number of rows, at least 1.
    pub height: u16,
    /// Refresh rate in millihertz.
    pub refresh_millihertz: u32,
}

impl Mode {
    /// Returns the size in bytes of an RGBA8 framebuffer for this mode, with rows that follow
    /// without gaps.
    pub const fn picture_bytes(self) -> u64 {
        self.width as u64 * self.height as u64 * 4
    }
}

/// Change of one property by a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Keep the property.
    #[default]
    Keep,
    /// Turn the property off.
    Off,
    /// Set the property to this value.
    To(T),
}

impl<T> Change<T> {
    /// Applies the change to the earlier value of the property.
    pub fn apply(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Off => None,
            Self::To(after) => Some(after),
        }
    }

    /// Maps the new value, if there is a new value, with `f`.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Off => Change::Off,
            Self::To(to) => Change::To(f(to)),
        }
    }
}

/// Request of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// Mode of the CRTC.
    pub mode: Change<Mode>,
    /// Framebuffer of the plane, given by the size of its buffer in bytes.
    pub picture: Change<u64>,
    /// Whether the commit may change the mode.
    pub allow_modeset: bool,
    /// Whether an event is to report the end of the commit.
    pub event: bool,
    /// Whether to set the mode at once even if only the framebuffer changes, as the legacy mode set
    /// does.
    pub at_once: bool,
}

/// Reason why a commit is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitError {
    /// Another commit is pending.
    Pending,
    /// The screen has no such mode.
    NoSuchMode,
    /// The buffer is too small for a framebuffer of this mode.
    PictureTooSmall,
    /// The commit would change the mode without permission to do so.
    NeedsModeset,
    /// The CRTC would be on without a framebuffer, or the plane without a mode.
    HalfOn,
    /// The CRTC is off, so no flip can be shown and no event can be sent.
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
