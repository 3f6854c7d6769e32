//! Live progress on standard error: how many tiles are done, how fast, and whether there is a GPU.
//!
//! Either as a bar, or as lines that can be read later. A bar is not shown when standard error is not a terminal.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::args::ProgressForm;
use crate::usage::error_line;

/// How often the display is renewed even if no tile is done: when the GPU is gone, time must be seen to pass.
const TICK: Duration = Duration::from_millis(100);

/// Lines that are shown of the tiles: one for each such part of them.
const LINES: u64 = 20;

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
    lines: Option<Arc<Lines>>,
}

/// Subjects of lines.
#[derive(Debug)]
struct Lines {
    all: u64,
    done: AtomicU64,
}

impl Progress {
    /// Begins with no tile of `tiles` done. Without a form nothing is shown.
    pub fn new(tiles: u64, form: Option<ProgressForm>) -> Self {
        // indicatif itself hides what it would draw to something that is not a terminal.
        let target = match form {
            Some(ProgressForm::Bar) => ProgressDrawTarget::stderr(),
            Some(ProgressForm::Lines) | None => ProgressDrawTarget::hidden(),
        };
        let lines =
            (form == Some(ProgressForm::Lines)).then(|| Arc::new(Lines { all: tiles, done: AtomicU64::new(0) }));
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
        Self { bar, lines }
    }

    /// Counts tiles as done.
    pub fn tiles_done(&self, tiles: u64) {
        self.bar.inc(tiles);
        let Some(Lines { all, done }) = self.lines.as_deref() else { return };
        let before = done.fetch_add(tiles, Relaxed);
        if let Some(line) = line(before, before + tiles, *all) {
            error_line(&line);
        }
    }

    /// Shows what the device is doing.
    pub fn device(&self, state: DeviceState) {
        self.say(state.message());
    }

    /// Shows what happens.
    pub fn say(&self, what: impl Into<Cow<'static, str>>) {
        let what = what.into();
        if self.lines.is_some() {
            error_line(&what);
        }
        self.bar.set_message(what);
    }

    /// Takes the display away, to make room for the report.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The line to show when `done` of `all` tiles are done and `before` were: none within one part of them.
fn line(before: u64, done: u64, all: u64) -> Option<String> {
    let part = |done: u64| done.saturating_mul(LINES).checked_div(all);
    (part(before) != part(done)).then(|| format!("{done} of {all} tiles are done"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_lines_as_parts() {
        let lines = |all: u64| (0..all).filter_map(|before| line(before, before + 1, all)).collect::<Vec<_>>();
        assert_eq!(lines(1000).len(), 20);
        assert_eq!(lines(1000)[0], "50 of 1000 tiles are done");
        assert_eq!(lines(7).len(), 7, "no line without a tile");
        assert_eq!(lines(1000)[19], "1000 of 1000 tiles are done");
    }

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn tiles_and_state_arrive_at_the_display() {
        let progress = Progress::new(10, None);
        progress.clone().tiles_done(4);
        progress.device(DeviceState::Gone);
        assert_eq!((progress.bar.position(), progress.bar.length()), (4, Some(10)));
        assert_eq!(progress.bar.message(), "GPU GONE - waiting for it");
        progress.finish();
        assert!(progress.bar.is_finished());
    }

    #[test]
    fn quiet_is_hidden() {
        assert!(Progress::new(10, None).bar.is_hidden());
    }
}
