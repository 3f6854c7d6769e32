//! Who keeps an unplug waiting.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// A section that was still open at the deadline (GATE-7).
#[derive(Debug, Clone)]
pub struct Holdout {
    /// Where the section was entered.
    pub place: &'static Location<'static>,
    /// How long it has been open at least: since it began to be in the way. When it was entered is not recorded;
    /// reading a clock costs more than all the rest of a section.
    pub age: Duration,
    /// The thread that entered it, or the [`Reader`](crate::Reader)'s name.
    pub thread: String,
}

impl fmt::Display for Holdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, in the way for {:?})", self.place, self.thread, self.age)
    }
}

/// All sections that were still open at the deadline. Empty only if all have ended and another thread is still busy
/// dropping what they were of.
#[derive(Debug, Clone)]
pub struct Holdouts(pub(crate) Vec<Holdout>);

impl Holdouts {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is left; see [`Holdouts`].
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Holdout> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Holdouts {
    type Item = &'a Holdout;
    type IntoIter = std::slice::Iter<'a, Holdout>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Holdouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no section is open, but another thread is still dropping the object");
        }
        write!(f, "{} section(s) still open:", self.0.len())?;
        self.0.iter().try_for_each(|holdout| write!(f, " {holdout};"))
    }
}

impl std::error::Error for Holdouts {}
