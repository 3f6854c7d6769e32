//! Delivery: a finding becomes a report, once, and goes to whoever wants it.
//!
//! Nothing is held while others' code runs, and while it runs the lint is off on this thread: a hook may lock, block
//! and allocate, and never sees a report of its own doing.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Reaction, Report, ReportKind, switch};

/// Reports that are kept. Each is some kilobytes of backtrace; whoever has more than this to mend does not read on.
const KEPT: usize = 256;

type Hook = Box<dyn Fn(&Report) + Send + Sync>;

/// Key by which two findings are the same. The places alone are not enough: one function may take the locks of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) kind: ReportKind,
    pub(super) here: &'static Location<'static>,
    pub(super) other: Option<&'static Location<'static>>,
    /// The classes that the two places are about, or zero.
    pub(super) classes: (u32, u32),
}

static HOOK: Mutex<Option<Arc<Hook>>> = Mutex::new(None);
static SEEN: Mutex<BTreeSet<Finding>> = Mutex::new(BTreeSet::new());
static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());
static MISSED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Needs no destructor, so it can be asked until the thread's very end.
    static DELIVERING: Cell<bool> = const { Cell::new(false) };
}

/// Has `hook` called for each report from now on, instead of printing it or panicking. It runs on the thread that is
/// reported, before that thread does what the report is about; the lint is off on that thread meanwhile, so it may do
/// what it likes.
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

/// The reports since the last call, oldest first. At most 256 are kept meanwhile, of whatever [`Reaction`]; see
/// [`missed_reports`].
pub fn take_reports() -> Vec<Report> {
    std::mem::take(&mut lock(&REPORTS))
}

/// Number of reports that [`take_reports`] has never returned, because too many were waiting.
pub fn missed_reports() -> usize {
    MISSED.load(Relaxed)
}

/// Whether this thread delivers a report at this moment.
pub(super) fn delivering() -> bool {
    DELIVERING.get()
}

/// Reports a finding, unless it has been. `describe` gives the message and the backtraces.
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
        // Not `eprintln`, which panics when nobody listens.
        Reaction::Warn | Reaction::Panic => drop(write!(std::io::stderr(), "{report}")),
    }
}

/// A backtrace of this place, with its label.
pub(super) fn backtrace_here() -> (String, String) {
    ("here".to_owned(), Backtrace::force_capture().to_string())
}

pub(super) fn thread_name() -> String {
    std::thread::current().name().unwrap_or("unnamed thread").to_owned()
}

/// Locks one of the lint's own locks. Nothing panics under one, and if it did, the lint would go on.
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

/// The time of a delivery, also if the hook panics.
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
