//! Sections that keep an unplug waiting.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::registry::{Open, Registry};

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

/// A section that was open when somebody looked, of whatever it is.
#[derive(Debug, Clone)]
pub struct OpenSection {
    /// Where the section was entered.
    pub place: &'static Location<'static>,
    /// The thread that entered it, or the [`Reader`](crate::Reader)'s name.
    pub thread: String,
}

/// Every open section of the process: for a watchdog that says who waits for whom. A section that begins or ends meanwhile may
/// be among them or not. Takes the lock of all readers for a moment.
pub fn open_sections() -> Vec<OpenSection> {
    let section = |open: &Open| Some(OpenSection { place: open.place.location()?, thread: open.slot.name() });
    Registry::get().all().iter().filter_map(section).collect()
}

impl fmt::Display for OpenSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.place, self.thread)
    }
}

/// All sections that were still open at the deadline. Empty only if all have ended and another thread is still busy
/// dropping what they were of.
#[derive(Debug, Clone)]
pub struct Holdouts(pub(crate) Vec<Holdout>);

impl Holdouts {
    /// Number of them.
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

/// For who waits for something else than a section, and says so in the same way.
impl FromIterator<Holdout> for Holdouts {
    fn from_iter<I: IntoIterator<Item = Holdout>>(holdouts: I) -> Self {
        Self(holdouts.into_iter().collect())
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

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use crate::{Gate, open_sections};

    #[test]
    fn an_open_section_is_seen_with_its_thread_until_it_ends() {
        let ours = || open_sections().iter().filter(|open| open.place.file().ends_with("holdouts.rs")).count();
        let gate = Gate::new();
        assert_eq!(ours(), 0);
        let section = gate.enter();
        let named = open_sections().iter().any(|open| open.to_string().contains("an_open_section_is_seen"));
        assert!(named && ours() == 1, "{:?}", open_sections());
        drop(section);
        assert_eq!(ours(), 0);
    }
}
