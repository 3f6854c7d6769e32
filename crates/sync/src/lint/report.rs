//! A report: what was found, where, and what to do about it.

use std::fmt;
use std::panic::Location;

/// The rule that was broken; see the [module documentation](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ReportKind {
    /// Two or more things are waited for in orders that form a circle.
    Inversion,
    /// A lock was taken while another of its class was held.
    SameClass,
    /// Something may block where nothing may.
    Blocking,
    /// A fence was waited for inside a section of a gate.
    FenceWaitInSection,
    /// A fence was waited for by a path that signals fences.
    FenceWaitWhileSignalling,
    /// The end of a section was waited for inside of it.
    DrainInsideSection,
    /// A register was accessed outside of any section.
    NoSection,
    /// A thread's section was left by another thread.
    LeftElsewhere,
}

impl fmt::Display for ReportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inversion => "order inversion",
            Self::SameClass => "two locks of one class",
            Self::Blocking => "blocking where nothing may block",
            Self::FenceWaitInSection => "fence wait inside a section",
            Self::FenceWaitWhileSignalling => "fence wait on a signalling path",
            Self::DrainInsideSection => "drain inside its own section",
            Self::NoSection => "register access without a section",
            Self::LeftElsewhere => "section left on another thread",
        })
    }
}

/// One finding. The same finding, a kind at one pair of places for one pair of classes, is reported once in the life of
/// a process.
///
/// [`Display`](fmt::Display) is the whole of it, with backtraces, in lines.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The rule that was broken.
    pub kind: ReportKind,
    /// Text for people: the act, why it can hang, and what to do instead.
    pub message: String,
    /// The place that was reached when it was found.
    pub here: &'static Location<'static>,
    /// The place that it does not go together with, if there is one.
    pub other: Option<&'static Location<'static>>,
    /// The thread's name.
    pub thread: String,
    /// Backtraces, each with a title. The first is of `here`.
    pub backtraces: Vec<(String, String)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lifeboat lint: {} on thread `{}`", self.kind, self.thread)?;
        writeln!(f, "  {}", self.message)?;
        writeln!(f, "  here:  {}", self.here)?;
        if let Some(other) = self.other {
            writeln!(f, "  there: {other}")?;
        }
        for (label, backtrace) in &self.backtraces {
            writeln!(f, "  backtrace, {label}:\n{}", backtrace.trim_end())?;
        }
        Ok(())
    }
}
