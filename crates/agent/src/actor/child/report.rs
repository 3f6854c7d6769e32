//! Reading of reports: how far a process came.

use super::order::Line;
use crate::actor::child::confine::Confined;
use crate::actor::execute::Progress;
use crate::actor::outcome::{Ending, Outcome};

/// State of a plan, as its process has reported it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reported {
    /// Confinement of the process, once it has reported it.
    pub confined: Option<Confined>,
    /// Operation that began last.
    pub last: Option<usize>,
    /// Whether that operation has ended.
    pub between: bool,
    /// End of the plan, once it is reported.
    pub ending: Option<Ending>,
    /// Whether a line was none, apart from a torn one at the end.
    pub damaged: bool,
}

impl Reported {
    /// Reads a report. The last line may be torn: it counts when it is complete.
    pub fn parse(text: &[u8]) -> Self {
        let mut reported = Self::default();
        let complete = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        for line in text[..complete].split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(line) => reported.take(line),
                Err(_) => reported.damaged = true,
            }
        }
        reported
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Confined(confined) => self.confined = Some(confined),
            Line::Refused(reason) => self.ending = Some(Ending::refused(reason)),
            Line::Progress(Progress::Begins(operation)) => {
                self.last = Some(operation);
                self.between = false;
            }
            Line::Progress(Progress::Needless(_) | Progress::Done(_) | Progress::Failed { .. }) => self.between = true,
            Line::Progress(Progress::Ended(ending)) => self.ending = Some(ending),
        }
    }

    /// Returns the end of a plan whose process has ended in the way that `status` tells in words.
    ///
    /// A process reports each operation before it begins. So without any such line nothing was written, and the step counts
    /// as refused. A process that vanished later leaves an ambiguous step: its own effect may have ended it.
    pub fn ending(&self, status: &str) -> Ending {
        match (&self.ending, self.last) {
            (Some(ending), _) => ending.clone(),
            _ if self.damaged => Ending::ambiguous(format!("the report is damaged, and the process is gone: {status}")),
            (None, None) => Ending {
                outcome: Outcome::Refused(format!("the process did nothing: {status}")),
                unrestored: Vec::new(),
            },
            (None, Some(operation)) => {
                let place = if self.between { "after" } else { "in" };
                Ending::ambiguous(format!("the process vanished {place} operation {}: {status}", operation + 1))
            }
        }
    }
}

#[cfg(test)]
mod tests;
