//! How far something is that takes long: a line on a terminal, which the next one takes the place of.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::ProgressBar;

/// How long a sign of life may keep one waiting.
const TICK: Duration = Duration::from_millis(100);

/// The line. Dropped, it is gone.
#[derive(Debug)]
pub struct ProgressLine(ProgressBar);

impl ProgressLine {
    /// Begins; where standard error is no terminal, nothing is shown.
    pub fn begin() -> Self {
        if !stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message("booting");
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Shows this line instead.
    pub fn tell(&self, line: &str) {
        self.0.set_message(line.to_owned());
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
