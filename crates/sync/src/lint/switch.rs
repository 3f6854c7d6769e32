//! Switch of the lint, and the reaction to a report.
//!
//! The switch is one byte, so checking it costs one relaxed load.

use std::ffi::OsStr;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Reaction to a report. The report is also kept for [`take_reports`](super::take_reports).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Do nothing and check nothing: the lint is off.
    Off,
    /// Print the report to standard error.
    Warn,
    /// Panic at the reported place, or print the report if the thread is already panicking. For
    /// continuous integration.
    Panic,
    /// Only keep the report, for tests that read it.
    Keep,
}

/// The environment has not been read yet.
const UNREAD: u8 = 0;
const OFF: u8 = 1;
const WARN: u8 = 2;
const PANIC: u8 = 3;
const KEEP: u8 = 4;

static SWITCH: AtomicU8 = AtomicU8::new(UNREAD);

/// Tells whether the lint is on.
///
/// The environment variable `LIFEBOAT_LINT` decides, once, at the first use:
///
/// | value | |
/// |---|---|
/// | `0`, `off` | off |
/// | `1`, `on`, `warn` | on: a report goes to standard error |
/// | `panic` | on: a report panics at the place |
/// | not set | as `1` in debug builds, as `0` in release builds |
///
/// Any other value counts as `1`, and standard error says so. Under a model checker, whose threads
/// are not threads of the system, the lint is always off.
#[inline]
pub fn enabled() -> bool {
    if crate::primitive::MODEL {
        return false;
    }
    match SWITCH.load(Relaxed) {
        OFF => false,
        UNREAD => read() != OFF,
        _ => true,
    }
}

/// Sets the reaction and ignores the environment. For tests, and before the first use.
///
/// When the lint goes on, it does not know the locks and sections that a thread already holds. It
/// does not see the sections of a reader that has been active before, until the reader has been
/// idle during a revoke. When the lint goes off, recorded entries are removed as they are released.
pub fn force(reaction: Reaction) {
    let value = match reaction {
        Reaction::Off => OFF,
        Reaction::Warn => WARN,
        Reaction::Panic => PANIC,
        Reaction::Keep => KEEP,
    };
    SWITCH.store(value, Relaxed);
}

pub(super) fn reaction() -> Reaction {
    match SWITCH.load(Relaxed) {
        WARN => Reaction::Warn,
        PANIC => Reaction::Panic,
        KEEP => Reaction::Keep,
        _ => Reaction::Off,
    }
}

#[cold]
fn read() -> u8 {
    let asked = std::env::var_os("LIFEBOAT_LINT");
    let (value, understood) = parse(asked.as_deref());
    if let Err(forced) = SWITCH.compare_exchange(UNREAD, value, Relaxed, Relaxed) {
        return forced;
    }
    if !understood {
        let help = "LIFEBOAT_LINT may be 0, off, 1, on, warn or panic; taken as 1";
        let _ = writeln!(std::io::stderr(), "lifeboat lint: {help}");
    }
    value
}

fn parse(asked: Option<&OsStr>) -> (u8, bool) {
    match asked.map(|asked| asked.to_str()) {
        None => (if cfg!(debug_assertions) { WARN } else { OFF }, true),
        Some(Some("0" | "off")) => (OFF, true),
        Some(Some("1" | "on" | "warn")) => (WARN, true),
        Some(Some("panic")) => (PANIC, true),
        Some(_) => (WARN, false),
    }
}
