//! The hands that write nothing: `simulate` runs the executor with them.

use std::io;
use std::time::Duration;

use super::condition::Condition;
use super::execute::Hands;
use super::hook::Program;
use super::outcome::Outcome;

/// Write, as an executor asked for it: path below `/sys`, and text.
pub type Written = (String, String);

/// Hands that note every write and do nothing. Every write is accepted, every wait ends well, and no write is needless.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Writes in their order.
    pub writes: Vec<Written>,
    /// Programs that would have run.
    pub programs: Vec<Program>,
}

impl Hands for Recorder {
    fn write(&mut self, path: &str, text: &str) -> io::Result<()> {
        self.writes.push((path.to_owned(), text.to_owned()));
        Ok(())
    }

    fn wait(&mut self, _until: &Condition, _limit: Duration) -> bool {
        true
    }

    fn is_needless(&mut self, _unless: &[Condition]) -> bool {
        false
    }

    fn holds(&mut self, _condition: &Condition) -> bool {
        true
    }

    fn found(&mut self, _condition: &Condition) -> String {
        "is not read in a simulation".to_owned()
    }

    fn run(&mut self, program: &Program) -> Outcome {
        self.programs.push(program.clone());
        Outcome::Succeeded
    }
}
