//! Checks before a thread waits: each entry that the thread holds, and the class that it waits for,
//! become an edge of the order graph.
//!
//! An edge that this thread has added before costs one look-up in the thread's own set. Only a new
//! edge captures a backtrace and takes the graph's lock. The check comes before the wait, so a
//! deadlock on the first run is reported as well.

use std::backtrace::Backtrace;
use std::fmt::Write;
use std::panic::Location;
use std::sync::Arc;

use super::deliver::{self, Finding};
use super::held::{self, Entry, Held, What};
use super::order::{self, Edge};
use super::{Class, FENCE, ReportKind};

/// Kind of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Lock,
    /// Lock of a class of which another lock is held, in an order that the caller guarantees.
    NestedLock,
    /// End of sections.
    Sections,
    Fence,
}

/// Checks that this thread may wait for `class` at `place`, given everything that it holds except
/// `except`.
pub(super) fn before(class: &'static Class, what: For, place: &'static Location<'static>, except: Option<Entry>) {
    let to = class.id();
    let look = held::with(|thread| {
        let mut same = None;
        let mut new = Vec::new();
        for held in thread.held.iter().rev().filter(|held| Some(held.entry) != except) {
            let Some(from) = held.class.map(Class::id) else { continue };
            if from == to {
                same = same.or(Some(*held));
            } else if !thread.known.contains(&(from, to)) {
                new.push(*held);
            }
        }
        (same, new)
    });
    let Some((same, new)) = look else { return };
    if let Some(held) = same {
        same_class(class, what, place, &held);
    }
    for held in new {
        let Some(from) = held.class else { continue };
        let pair = (from.id(), to);
        if !order::known(pair) {
            edge(from, class, place, &held);
        }
        held::with(|thread| thread.known.insert(pair));
    }
}

/// Adds a new edge, and reports it if a path leads back.
fn edge(from: &'static Class, to: &'static Class, place: &'static Location<'static>, held: &Held) {
    let thread = deliver::thread_name();
    let backtrace = Backtrace::force_capture();
    let edge = Arc::new(Edge { from, to, held: held.place, waited: place, thread, backtrace });
    let Some(back) = order::add(&edge) else { return };
    let other = back.last().map(|last| last.waited);
    let finding = Finding { kind: ReportKind::Inversion, here: place, other, classes: (from.id(), to.id()) };
    deliver::report(finding, || {
        let mut message = format!(
            "`{to}` is waited for while `{from}` is held, but elsewhere it is the other way round. Give them one order, or \
             release `{from}` first.\n  `{from}` (since {held}), then `{to}`, now, at {place}",
            to = to.name(),
            from = from.name(),
            held = held.place,
        );
        for step in &back {
            let (from, to) = (step.from.name(), step.to.name());
            let (held, waited, thread) = (step.held, step.waited, &step.thread);
            let _ = write!(message, "\n  `{from}` (since {held}), then `{to}`, on thread `{thread}`, at {waited}");
        }
        if back.iter().chain([&edge]).any(|step| step.from.id() == FENCE.id()) {
            message.push_str("\n  To hold a fence is to be on the path that signals it.");
        }
        if let Some(step) = back.iter().chain([&edge]).find(|step| step.to.is_shared()) {
            let name = step.to.name();
            let _ = write!(
                message,
                "\n  `{name}` is all that has no class of its own. If these are unrelated, use `with_class`."
            );
        }
        let mut backtraces = vec![step_backtrace(&edge)];
        backtraces.extend(back.iter().map(|step| step_backtrace(step)));
        (message, backtraces)
    });
}

fn step_backtrace(step: &Edge) -> (String, String) {
    (format!("`{}`, then `{}`", step.from.name(), step.to.name()), step.backtrace.to_string())
}

/// Reports a wait for a class of which this thread already holds a member.
fn same_class(class: &'static Class, what: For, place: &'static Location<'static>, held: &Held) {
    let (name, there) = (class.name(), held.place);
    let (kind, message) = match (what, held.what) {
        (For::Lock, _) => (
            ReportKind::SameClass,
            format!(
                "a lock of class `{name}` is taken while another of that class is held, taken at {there}. If it is the same lock, this \
                 hangs; if two threads take two of them in different orders, that hangs. Give them an order and use \
                 `lock_nested`, or give them two classes."
            ),
        ),
        (For::Fence, What::Signalling) => (
            ReportKind::FenceWaitWhileSignalling,
            format!(
                "a fence is waited for on the path that signals fences, which begins at {there}. It may be the one that only this path \
                 signals. Wait elsewhere, or let its callback go on."
            ),
        ),
        (For::Sections, What::Section(_)) if !class.is_shared() => (
            ReportKind::DrainInsideSection,
            format!(
                "the sections of `{name}` are waited for inside one of them, which began at {there}. It cannot end before the wait \
                 does. Leave it first; if it is another device's, give the two a class each (`with_class`)."
            ),
        ),
        _ => return,
    };
    let finding = Finding { kind, here: place, other: Some(there), classes: (class.id(), class.id()) };
    deliver::report(finding, || (message, vec![deliver::backtrace_here()]));
}
