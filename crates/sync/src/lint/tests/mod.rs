//! Tests of the lint's reports about sections, which only this crate can cause. `tests/lint_*.rs`
//! has the other tests.
//!
//! The binary also runs other tests, so each test takes its reports from a hook, by the name of its
//! threads.
#![allow(clippy::unwrap_used)] // a test may fail so

mod drain;
mod elsewhere;
mod sections;

use std::panic::Location;
use std::sync::{Mutex, Once};

use super::deliver::lock;
use super::hooks::{self, SectionKind, Token};
use super::{Class, Reaction, Report, ReportKind, force, set_hook};

static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());

/// Runs `f` on a thread called `name` and returns the reports of that thread.
fn found<R: Send>(name: &str, f: impl FnOnce() -> R + Send) -> Vec<Report> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        force(Reaction::Keep);
        set_hook(Box::new(|report| lock(&REPORTS).push(report.clone())));
    });
    std::thread::scope(|scope| {
        std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, f).unwrap().join().unwrap();
    });
    lock(&REPORTS).extract_if(.., |report| report.thread == name).collect()
}

fn kinds(reports: &[Report]) -> Vec<ReportKind> {
    reports.iter().map(|report| report.kind).collect()
}

#[track_caller]
fn enter(kind: SectionKind, class: &'static Class) -> Token {
    hooks::entered(kind, class, Location::caller())
}

#[track_caller]
fn drain(class: &'static Class) {
    hooks::draining(class, Location::caller());
}
