//! Delivery of findings. Each finding becomes a report once, and the report goes to the hook, to
//! standard error, or into a panic.
//!
//! The lint holds no lock while code of others runs, and is off on this thread meanwhile. So a hook
//! may lock, block and allocate, and never causes a report itself.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Reaction, Report, ReportKind, switch};

/// Number of reports that are kept. A report has some kilobytes of backtrace, and nobody reads more
/// than this before mending some.
const KEPT: usize = 256;

type Hook = Box<dyn Fn(&Report) + Send + Sync>;

/// Key of a finding: equal keys are reported once. The places alone are not enough, because one
/// function may take many locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) kind: ReportKind,
    pub(super) here: &'static Location<'static>,
    pub(super) other: Option<&'static Location<'static>>,
    /// Numbers of the classes of the two places, or zero.
    pub(super) classes: (u32, u32),
}

static HOOK: Mutex<Option<Arc<Hook>>> = Mutex::new(None);
static SEEN: Mutex<BTreeSet<Finding>> = Mutex::new(BTreeSet::new());
static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());
static MISSED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread delivers a report. Needs no destructor, so it can be read until the very
    /// end of the thread.
    static DELIVERING: Cell<bool> = const { Cell::new(false) };
}

/// Sets a hook that is called for each report, instead of printing or panicking. The hook runs on
/// the reported thread before that thread continues. The lint is off on the thread meanwhile, so
/// the hook may lock and block.
///
/// # Examples
/// ```
/// use lifeboat_sync::lint;
///
/// lint::set_hook(Box::new(|report| println!("{}: {}", report.kind, report.message)));
/// ```
pub fn set_hook(hook: Box<dyn Fn(&Report) + Send + Sync>) {
    *lock(&HOOK) = Some(Arc::new(hook));
}

/// Takes the reports since the last call, oldest first. At most 256 are kept, with any
/// [`Reaction`]; see [`missed_reports`].
pub fn take_reports() -> Vec<Report> {
    std::mem::take(&mut lock(&REPORTS))
}

/// Returns the number of reports that [`take_reports`] never returned because too many were
/// waiting.
pub fn missed_reports() -> usize {
    MISSED.load(Relaxed)
}

/// Tells whether this thread is delivering a report.
pub(super) fn delivering() -> bool {
    DELIVERING.get()
}

/// Reports a finding, unless it was reported before. `describe` returns the message and the
/// backtraces.
pub(super) fn report(finding: Finding, describe: impl FnOnce() -> (String, Vec<(String, String)>)) {
    if delivering() || !lock(&SEEN).insert(finding) {
        return;
    }
    let _delivering = Delivering::begin();
    let (message, backtraces) = describe();
    let Finding { kind, here, other, classes: _ } = finding;
    let report = Report { kind, message, here, other, thread: thread_name(), backtraces };
    keep(&report);
    let hook = lock(&HOOK).clone();
    if let Some(hook) = hook {
        return hook(&report);
    }
    match switch::reaction() {
        Reaction::Off | Reaction::Keep => {}
        Reaction::Panic if !std::thread::panicking() => panic!("{report}"),
        // Not `eprintln`, which panics when standard error is closed.
        Reaction::Warn | Reaction::Panic => drop(write!(std::io::stderr(), "{report}")),
    }
}

/// Captures a labelled backtrace of this place.
pub(super) fn backtrace_here() -> (String, String) {
    ("here".to_owned(), Backtrace::force_capture().to_string())
}

pub(super) fn thread_name() -> String {
    std::thread::current().name().unwrap_or("unnamed thread").to_owned()
}

/// Locks one of the lint's own locks. No code panics under them; if it did, the lint would
/// continue.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(report: &Report) {
    let mut reports = lock(&REPORTS);
    if reports.len() < KEPT {
        reports.push(report.clone());
    } else {
        MISSED.fetch_add(1, Relaxed);
    }
}

/// Guard of a delivery. The delivery ends with it, even if the hook panics.
struct Delivering;

impl Delivering {
    fn begin() -> Self {
        DELIVERING.set(true);
        Self
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        DELIVERING.set(false);
    }
}
