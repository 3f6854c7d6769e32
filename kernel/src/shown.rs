// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Values of crates that know nothing of the kernel, for its log.

use kernel::fmt;

/// Shows by `core`'s `Display`; the kernel's macros ask for a trait of their own.
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: core::fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}
