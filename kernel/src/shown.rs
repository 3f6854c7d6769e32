// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Shows values of the portable crates in the kernel's log.

use kernel::fmt;

/// Shows a value by `core`'s `Display`; the kernel's macros ask for a trait of their own.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: core::fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}
