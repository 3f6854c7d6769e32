//! The switch: whether the lint looks, and what it does with what it finds.
//!
//! The switch is one byte, so that asking costs one relaxed load.

use std::ffi::OsStr;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Reaction to a report, besides keeping it for [`take_reports`](super::take_reports).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing, and nothing is looked at: the lint is off.
    Off,
    /// Print it to standard error.
    Warn,
    /// The thread panics at the place, or prints if it panics already. For continuous integration.
    Panic,
    /// Nothing else. For tests that look.
    Keep,
}

/// The environment has not been asked yet.
const UNREAD: u8 = 0;
const OFF: u8 = 1;
const WARN: u8 = 2;
const PANIC: u8 = 3;
const KEEP: u8 = 4;

static SWITCH: AtomicU8 = AtomicU8::new(UNREAD);

/// Whether the lint is on.
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
/// Any other value is taken as `1`, and standard error says so. In models, whose threads are not the system's, the
/// lint is always off.
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

/// Sets the reaction, whatever the environment says. For tests, and before the first use.
///
/// What a thread holds already when the lint goes on is unknown to it, and so are the sections of readers that have been
/// active before, until they have been idle through a revoke; what it recorded before it goes off is forgotten
/// when it is released.
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
