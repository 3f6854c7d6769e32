//! Resets of a function from outside.

use core::fmt;

/// A reset that the bus does, without the driver's registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetKind {
    /// Function-level reset: of this function alone.
    Function,
    /// Reset of the bus below the port: of every function there. Helps where a function does not answer any more.
    Bus,
}

/// A set of [`ResetKind`].
///
/// ```
/// # use lifeboat_pci::{ResetKind, ResetKinds};
/// let kinds = ResetKinds::NONE.with(ResetKind::Bus);
/// assert!(kinds.contains(ResetKind::Bus) && !kinds.contains(ResetKind::Function));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct ResetKinds(u8);

impl ResetKinds {
    /// No reset.
    pub const NONE: Self = Self(0);

    /// From the mildest to the hardest.
    const ORDER: [ResetKind; 2] = [ResetKind::Function, ResetKind::Bus];

    /// These and `kind`.
    #[must_use = "the larger set"]
    pub const fn with(self, kind: ResetKind) -> Self {
        Self(self.0 | Self::bit(kind))
    }

    /// Whether `kind` is among them.
    pub const fn contains(self, kind: ResetKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    /// Each of them, from the mildest to the hardest.
    pub fn iter(self) -> impl Iterator<Item = ResetKind> {
        Self::ORDER.into_iter().filter(move |kind| self.contains(*kind))
    }

    const fn bit(kind: ResetKind) -> u8 {
        match kind {
            ResetKind::Function => 1 << 0,
            ResetKind::Bus => 1 << 1,
        }
    }
}

impl fmt::Debug for ResetKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_from_the_mildest_on() {
        let both = ResetKinds::NONE.with(ResetKind::Bus).with(ResetKind::Function).with(ResetKind::Bus);
        assert_eq!(both.iter().collect::<Vec<_>>(), [ResetKind::Function, ResetKind::Bus]);
        assert_eq!(ResetKinds::NONE.iter().count(), 0);
    }
}
