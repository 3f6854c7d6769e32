//! Reports: each names a finding, the places in the source, and a remedy.

use std::fmt;
use std::panic::Location;

/// Rule that was broken; see the [module documentation](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ReportKind {
    /// Threads waited in orders that form a circle.
    Inversion,
    /// A lock was taken while another lock of its class was held.
    SameClass,
    /// Code may block where blocking is forbidden.
    Blocking,
    /// A thread waited for a fence inside a section of a gate.
    FenceWaitInSection,
    /// A path that signals fences waited for a fence.
    FenceWaitWhileSignalling,
    /// A thread waited for the end of a section from inside the section.
    DrainInsideSection,
    /// A register was accessed outside of any section.
    NoSection,
    /// A thread's section ended on another thread.
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

/// Report of one finding. A finding is a kind, a pair of places, and a pair of classes. The process
/// reports the same finding once.
///
/// [`Display`](fmt::Display) writes the whole report with its backtraces, in several lines.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Rule that was broken.
    pub kind: ReportKind,
    /// Text for people: the action, the reason why it can hang, and a better way.
    pub message: String,
    /// Place that the thread had reached when the lint found the mistake.
    pub here: &'static Location<'static>,
    /// Place that conflicts with `here`, if there is such a place.
    pub other: Option<&'static Location<'static>>,
    /// Name of the thread.
    pub thread: String,
    /// Backtraces, each with a title. The first is the backtrace of `here`.
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
