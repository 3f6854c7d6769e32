//! Access to the lint's reports for tests. The process has one lint, so the tests take turns.
#![allow(dead_code, clippy::unwrap_used)] // not every binary uses all of it

use std::sync::{Mutex, MutexGuard, PoisonError};

use lifeboat_sync::lint::{self, Reaction, Report, ReportKind};

static TURN: Mutex<()> = Mutex::new(());

/// Waits for the turn of a test.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the reports that `f` causes.
pub(crate) fn found(f: impl FnOnce()) -> Vec<Report> {
    let _turn = turn();
    lint::force(Reaction::Keep);
    drop(lint::take_reports());
    f();
    lint::take_reports()
}

pub(crate) fn kinds(reports: &[Report]) -> Vec<ReportKind> {
    reports.iter().map(|report| report.kind).collect()
}

/// Runs `f` on a thread called `name`.
pub(crate) fn on_thread<R: Send>(name: &str, f: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, f).unwrap().join().unwrap()
    })
}
