//! Hooks: what this crate's sections tell the lint.
//!
//! Called only when the lint is [enabled](super::enabled). To enter reports nothing and never panics: it waits for
//! nothing, and is allowed everywhere. What is checked is what is done inside, and the wait for the end.
//!
//! A section of a thread is on that thread's list. There are two that may end elsewhere:
//!
//! - A bus callback's proof ([`SectionKind::Bound`]) is on the list of the thread that began it, whose callback it is.
//!   Another thread that it was lent to knows nothing of it.
//! - A section that a task carries ([`entered_movable`]) is on no list. The thread that polls the task may poll another
//!   next, to which the section would be a false one; and the lint is not told where a task is polled.
//!
//! Of both it is counted how many are open, since a register access on any thread may be theirs.

use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::deliver::{self, Finding};
use super::held::{self, Entry, What};
use super::wait::{self, For};
use super::{Class, ReportKind, check, enabled};

/// A kind of section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectionKind {
    /// Nothing blocks inside.
    Revocable,
    /// Blocking is allowed, but not waiting for fences.
    Gate,
    /// A bus callback's proof: blocking is allowed. It may end on another thread.
    Bound,
}

/// A section that the lint was told of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token(Section);

#[derive(Debug, Clone, Copy)]
enum Section {
    /// The lint was not interested.
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

/// Whether a section that may be used on any thread is open.
pub(super) fn movable_open() -> bool {
    MOVABLE_OPEN.load(Relaxed) > 0
}

/// This thread has entered a section of `class`.
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

/// Someone has entered a section that goes from thread to thread.
pub(crate) fn entered_movable() -> Token {
    if crate::primitive::MODEL {
        return Token(Section::Unwatched);
    }
    MOVABLE_OPEN.fetch_add(1, Relaxed);
    Token(Section::Carried)
}

/// The section has been left. To be called also if the lint has been switched off since it was entered, once.
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
    // `None`: this thread ends. Whether the section was its own is no longer known; if not, its owner must still be
    // told.
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

/// This thread is about to wait until no section of `class` is open, by a drain or a revoke.
pub(crate) fn draining(class: &'static Class, place: &'static Location<'static>) {
    check::blocking(format_args!("waiting for the sections of `{}` to end", class.name()), place, None);
    wait::before(class, For::Sections, place, None);
}

/// A future that this thread polls is about to wait for the same, begun at `place`. The thread itself does not block: so this
/// is allowed everywhere but where the future, or the task that it belongs to, could never complete.
pub(crate) fn awaiting(class: &'static Class, place: &'static Location<'static>) {
    wait::before(class, For::Sections, place, None);
}
