//! Live progress on standard error: how many tests are listed, and then how many have run.
//!
//! While the tests are built it is cargo that shows its own. Nothing is shown when standard error is not a terminal or the user wants
//! quiet.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws the display this often even if no test ends: a test may take long.
const TICK: Duration = Duration::from_millis(100);

const TEMPLATE: &str = "{elapsed:>4} [{bar:40}] {human_pos}/{human_len}  {wide_msg}";

/// The display.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows nothing yet.
    pub(super) fn new(quiet: bool) -> Self {
        // indicatif itself hides what it would draw to something that is not a terminal.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        // A test says that the template is valid; were it not, indicatif's own would do.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    /// Begins something of `steps` steps.
    pub(super) fn begin(&self, what: &str, steps: usize) {
        self.bar.reset();
        self.bar.set_length(steps as u64);
        self.bar.set_message(what.to_owned());
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(TICK);
        }
    }

    /// Shows what is being done.
    pub(super) fn now(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Counts so many finished steps.
    pub(super) fn done(&self, steps: usize) {
        self.bar.inc(steps as u64);
    }

    /// Takes the display away, to make room for the results or for cargo's.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn each_part_begins_anew() {
        let progress = Progress::new(true);
        assert!(progress.bar.is_hidden());
        progress.begin("one", 3);
        progress.done(1);
        progress.clear();
        progress.begin("other", 5);
        progress.done(1);
        progress.done(1);
        progress.now("a test");
        assert_eq!(
            (progress.bar.position(), progress.bar.length(), progress.bar.message()),
            (2, Some(5), "a test".to_owned())
        );
        assert!(!progress.bar.is_finished());
    }
}
