//! Live progress on standard error: how many tiles are done, how fast, and whether there is a GPU.
//!
//! Nothing is shown when standard error is not a terminal or the user wants quiet.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// How often the display is renewed even if no tile is done: when the GPU is gone, time must be seen to pass.
const TICK: Duration = Duration::from_millis(100);

const TEMPLATE: &str = "{elapsed:>4} [{bar:40}] {human_pos}/{human_len} tiles  {rate:>9}  {msg}";

/// What the device is doing, as far as the user wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It works.
    Running,
    /// It has vanished.
    Gone,
    /// It has failed for good.
    Wedged,
}

impl DeviceState {
    const fn message(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Gone => "GPU GONE - waiting for it",
            Self::Wedged => "GPU WEDGED - waiting for another",
        }
    }
}

/// The display. Clones show the same.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins with no tile of `tiles` done.
    pub fn new(tiles: u64, quiet: bool) -> Self {
        // indicatif itself hides what it would draw to something that is not a terminal.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(tiles), target).with_message(DeviceState::Running.message());
        // A test says that the template is valid; were it not, indicatif's own would do.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                // A display that cannot be written to shows no rate.
                let _ = write!(out, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }

    /// Counts tiles as done.
    pub fn tiles_done(&self, tiles: u64) {
        self.bar.inc(tiles);
    }

    /// Shows what the device is doing.
    pub fn device(&self, state: DeviceState) {
        self.bar.set_message(state.message());
    }

    /// Takes the display away, to make room for the report.
    pub fn finish(&self) {
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
    fn tiles_and_state_arrive_at_the_display() {
        let progress = Progress::new(10, true);
        progress.clone().tiles_done(4);
        progress.device(DeviceState::Gone);
        assert_eq!((progress.bar.position(), progress.bar.length()), (4, Some(10)));
        assert_eq!(progress.bar.message(), "GPU GONE - waiting for it");
        progress.finish();
        assert!(progress.bar.is_finished());
    }

    #[test]
    fn quiet_is_hidden() {
        assert!(Progress::new(10, true).bar.is_hidden());
    }
}
