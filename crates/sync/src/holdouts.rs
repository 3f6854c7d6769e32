//! Sections that keep an unplug waiting.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::registry::{Open, Registry};

/// Section that was still open at the deadline (GATE-7).
#[derive(Debug, Clone)]
pub struct Holdout {
    /// Place in the source where the section began.
    pub place: &'static Location<'static>,
    /// Time since the revoker began to wait for the section. The section may be older: its
    /// beginning is not recorded, because reading a clock costs more than the rest of a section.
    pub age: Duration,
    /// Name of the thread that entered the section, or of the [`Reader`](crate::Reader).
    pub thread: String,
}

impl fmt::Display for Holdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, in the way for {:?})", self.place, self.thread, self.age)
    }
}

/// Section of any gate or object that was open during a scan.
#[derive(Debug, Clone)]
pub struct OpenSection {
    /// Place in the source where the section began.
    pub place: &'static Location<'static>,
    /// Name of the thread that entered the section, or of the [`Reader`](crate::Reader).
    pub thread: String,
}

/// Returns every open section of the process, for a watchdog that reports which thread waits for
/// which. A section that begins or ends during the scan may be in the result or not. Takes the
/// registry's lock for a moment.
pub fn open_sections() -> Vec<OpenSection> {
    let section = |open: &Open| Some(OpenSection { place: open.place.location()?, thread: open.slot.name() });
    Registry::get().all().iter().filter_map(section).collect()
}

impl fmt::Display for OpenSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.place, self.thread)
    }
}

/// All sections that were still open at the deadline. The list is empty only if all sections have
/// ended and another thread is still dropping the object.
#[derive(Debug, Clone)]
pub struct Holdouts(pub(crate) Vec<Holdout>);

impl Holdouts {
    /// Returns the number of sections.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether the list is empty; see [`Holdouts`].
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the sections.
    pub fn iter(&self) -> std::slice::Iter<'_, Holdout> {
        self.0.iter()
    }
}

/// Collects holdouts for a wait for other things than sections, which is reported in the same way.
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
