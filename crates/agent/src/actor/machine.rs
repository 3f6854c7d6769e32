//! The hands that write to the machine.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::condition::Condition;
use super::execute::Hands;
use super::hook::{self, Program};
use super::outcome::Outcome;
use crate::system::Root;

/// Time between two looks at a condition. Sysfs tells nobody of a change of its links.
const LOOK: Duration = Duration::from_millis(20);

/// Hands that write to sysfs. A write may never return, so these hands belong into a process of their own.
#[derive(Debug)]
pub struct Machine<'a> {
    sys: &'a Root,
}

impl<'a> Machine<'a> {
    /// Creates the hands that write below `sys`.
    pub fn new(sys: &'a Root) -> Self {
        Self { sys }
    }
}

impl Hands for Machine<'_> {
    fn write(&mut self, path: &str, text: &str) -> io::Result<()> {
        let mut file = self.sys.open_file(path, OFlags::WRONLY)?;
        // The kernel takes each write as a whole value. The rest of a partial one would be another value.
        let length = file.write(text.as_bytes())?;
        if length == text.len() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::WriteZero, format!("only {length} of {} bytes were taken", text.len())))
    }

    fn wait(&mut self, until: &Condition, limit: Duration) -> bool {
        let begin = Instant::now();
        loop {
            if until.holds(self.sys) {
                return true;
            }
            if begin.elapsed() >= limit || until.is_lost(self.sys) {
                return false;
            }
            thread::sleep(LOOK);
        }
    }

    fn is_needless(&mut self, unless: &[Condition]) -> bool {
        unless.iter().any(|condition| condition.holds(self.sys))
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        condition.holds(self.sys)
    }

    fn found(&mut self, condition: &Condition) -> String {
        condition.found(self.sys)
    }

    fn run(&mut self, program: &Program) -> Outcome {
        hook::run(program)
    }
}
