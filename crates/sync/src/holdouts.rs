//! Who keeps an unplug waiting.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// A section that was still open at the deadline (GATE-7).
#[derive(Debug, Clone)]
pub struct Holdout {
    /// Where the section was entered.
    pub place: &'static Location<'static>,
    /// How long it had been open.
    pub age: Duration,
    /// The thread that entered it.
    pub thread: String,
}

impl fmt::Display for Holdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, open for {:?})", self.place, self.thread, self.age)
    }
}

/// All sections that were still open at the deadline, oldest first. Never empty.
#[derive(Debug, Clone)]
pub struct Holdouts(pub(crate) Vec<Holdout>);

impl Holdouts {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Holdout> {
        self.0.iter()
    }
}

impl fmt::Display for Holdouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} section(s) still open:", self.0.len())?;
        self.0.iter().try_for_each(|holdout| write!(f, " {holdout};"))
    }
}

impl std::error::Error for Holdouts {}
