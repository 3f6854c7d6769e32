//! Hooks by which this crate's sections notify the lint.
//!
//! The hooks are called only while the lint is [`enabled`]. The hook for an entry
//! reports nothing and never panics, because entering waits for nothing and is allowed everywhere.
//! The lint checks the code inside a section, and the wait for its end.
//!
//! A section of a thread is in the list of that thread. Two kinds of section may end on another
//! thread:
//!
//! - A bus callback's proof ([`SectionKind::Bound`]) is in the list of the thread that began it and
//!   runs the callback. A thread that borrows the proof has no entry.
//! - A section that a task carries ([`entered_movable`]) is in no list. The thread that polls the
//!   task may next poll another task, to which the entry would not belong, and the lint is not told
//!   which task is polled.
//!
//! The lint counts the open sections of both kinds, because a register access on any thread may
//! belong to them.

use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::deliver::{self, Finding};
use super::held::{self, Entry, What};
use super::wait::{self, For};
use super::{Class, ReportKind, check, enabled};

/// Kind of section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectionKind {
    /// Section of a revocable: blocking is forbidden.
    Revocable,
    /// Section of a gate: blocking is allowed, but waiting for fences is not.
    Gate,
    /// Proof of a bus callback: blocking is allowed. The section may end on another thread.
    Bound,
}

/// Token of a section that was reported to the lint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token(Section);

#[derive(Debug, Clone, Copy)]
enum Section {
    /// The lint did not record the section.
    Unwatched,
    OnList {
        thread: u32,
        entry: Entry,
        place: &'static Location<'static>,
        movable: bool,
    },
    Carried,
}

static MOVABLE_OPEN: AtomicUsize = AtomicUsize::new(0);

/// Tells whether a section is open that may be used on any thread.
pub(super) fn movable_open() -> bool {
    MOVABLE_OPEN.load(Relaxed) > 0
}

/// Records that this thread has entered a section of `class`.
pub(crate) fn entered(kind: SectionKind, class: &'static Class, place: &'static Location<'static>) -> Token {
    let pushed = held::with(|thread| (thread.number, thread.push(What::Section(kind), Some(class), place)));
    let movable = kind == SectionKind::Bound;
    match pushed {
        None => Token(Section::Unwatched),
        Some((thread, entry)) => {
            if movable {
                MOVABLE_OPEN.fetch_add(1, Relaxed);
            }
            Token(Section::OnList { thread, entry, place, movable })
        }
    }
}

/// Records that a task has entered a section that it carries from thread to thread.
pub(crate) fn entered_movable() -> Token {
    if crate::primitive::MODEL {
        return Token(Section::Unwatched);
    }
    MOVABLE_OPEN.fetch_add(1, Relaxed);
    Token(Section::Carried)
}

/// Records that the section has ended. Call this exactly once, even if the lint was switched off
/// meanwhile.
pub(crate) fn left(token: Token) {
    let Section::OnList { thread: owner, entry, place, movable } = token.0 else {
        if matches!(token.0, Section::Carried) {
            MOVABLE_OPEN.fetch_sub(1, Relaxed);
        }
        return;
    };
    if movable {
        MOVABLE_OPEN.fetch_sub(1, Relaxed);
    }
    let elsewhere = held::with_also_delivering(|thread| {
        if thread.number == owner {
            thread.remove(entry);
        }
        thread.number != owner
    });
    // `None` means that this thread is ending. It is then unknown whether the section was its own,
    // so the owner must be notified in any case.
    if elsewhere != Some(false) {
        held::remove_elsewhere(owner, entry);
    }
    if elsewhere == Some(true) && !movable && enabled() {
        left_elsewhere(Location::caller(), place);
    }
}

fn left_elsewhere(here: &'static Location<'static>, place: &'static Location<'static>) {
    let finding = Finding { kind: ReportKind::LeftElsewhere, here, other: Some(place), classes: (0, 0) };
    deliver::report(finding, || {
        let message = format!(
            "the section that a thread entered at {place} was left by another thread. What a thread may do is judged by the sections it \
             entered. Leave it where it was entered, or enter it with a `Reader`, whose sections may move."
        );
        (message, vec![deliver::backtrace_here()])
    });
}

/// Checks a drain or revoke: this thread is about to wait until no section of `class` is open.
pub(crate) fn draining(class: &'static Class, place: &'static Location<'static>) {
    check::blocking(format_args!("waiting for the sections of `{}` to end", class.name()), place, None);
    wait::before(class, For::Sections, place, None);
}

/// Checks the wait of a future that this thread polls, for the end of all sections of `class`. The
/// wait began at `place`. The thread itself does not block, so the wait is allowed everywhere,
/// except where the future or its task could never complete.
pub(crate) fn awaiting(class: &'static Class, place: &'static Location<'static>) {
    wait::before(class, For::Sections, place, None);
}
