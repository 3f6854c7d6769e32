//! List of what this thread holds: locks, sections, a fence to signal, the context it runs in.
//!
//! A list, newest last; things are released in any order. It belongs to its thread. A section may still end on another
//! one; that other puts a note into the owner's *inbox*, which the owner reads before it next looks at its list.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::deliver::{self, Finding, lock};
use super::hooks::SectionKind;
use super::{Class, ReportKind};

/// A kind of thing that a thread holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A lock under which nothing blocks.
    Short,
    /// A lock under which blocking is allowed.
    Sleeping,
    Section(SectionKind),
    /// The duty to signal a fence.
    Signalling,
    Interrupt,
    Reclaim,
}

impl What {
    /// Whether nothing may block while this is held.
    pub(super) fn forbids_blocking(self) -> bool {
        match self {
            Self::Short | Self::Section(SectionKind::Revocable) | Self::Interrupt | Self::Reclaim => true,
            Self::Sleeping | Self::Section(SectionKind::Gate | SectionKind::Bound) | Self::Signalling => false,
        }
    }
}

/// Names one thing on the list of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u32);

/// An entry of the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) what: What,
    /// Contexts have none.
    pub(super) class: Option<&'static Class>,
    pub(super) place: &'static Location<'static>,
}

impl Held {
    /// The name of its class, for messages.
    pub(super) fn name(&self) -> &'static str {
        self.class.map_or("context", Class::name)
    }

    /// A finding at `here` that does not go together with this.
    pub(super) fn finding(&self, kind: ReportKind, here: &'static Location<'static>) -> Finding {
        Finding { kind, here, other: Some(self.place), classes: (self.class.map_or(0, Class::id), 0) }
    }
}

#[derive(Debug, Default)]
struct Inbox {
    /// Number of notes: asked often, so not under the lock.
    notes: AtomicUsize,
    ended: Mutex<Vec<Entry>>,
}

/// A thread, as the lint knows it.
#[derive(Debug)]
pub(super) struct Thread {
    /// Never given twice in a process of fewer than four thousand million threads.
    pub(super) number: u32,
    next: u32,
    pub(super) held: Vec<Held>,
    /// Edges of the order graph that need no second look.
    pub(super) known: HashSet<(u32, u32)>,
    inbox: Arc<Inbox>,
}

static INBOXES: Mutex<BTreeMap<u32, Arc<Inbox>>> = Mutex::new(BTreeMap::new());

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::new(Thread::new());
}

impl Thread {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let (number, inbox) = (NEXT.fetch_add(1, Relaxed), Arc::<Inbox>::default());
        lock(&INBOXES).insert(number, inbox.clone());
        Self { number, next: 0, held: Vec::new(), known: HashSet::new(), inbox }
    }

    pub(super) fn push(
        &mut self,
        what: What,
        class: Option<&'static Class>,
        place: &'static Location<'static>,
    ) -> Entry {
        self.next = self.next.wrapping_add(1);
        let entry = Entry(self.next);
        self.held.push(Held { entry, what, class, place });
        entry
    }

    pub(super) fn remove(&mut self, entry: Entry) {
        if let Some(at) = self.held.iter().rposition(|held| held.entry == entry) {
            self.held.remove(at);
        }
    }

    /// The newest thing that forbids blocking, other than `except`.
    pub(super) fn forbids_blocking(&self, except: Option<Entry>) -> Option<Held> {
        self.find(|held| held.what.forbids_blocking() && Some(held.entry) != except)
    }

    /// The newest thing that is so.
    pub(super) fn find(&self, so: impl Fn(&Held) -> bool) -> Option<Held> {
        self.held.iter().rev().find(|held| so(held)).copied()
    }

    fn read_inbox(&mut self) {
        if self.inbox.notes.load(Relaxed) == 0 {
            return;
        }
        let ended = {
            let mut ended = lock(&self.inbox.ended);
            self.inbox.notes.store(0, Relaxed);
            std::mem::take(&mut *ended)
        };
        for entry in ended {
            self.remove(entry);
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        lock(&INBOXES).remove(&self.number);
    }
}

/// Runs `f` on this thread's record; or does nothing in models, while this thread delivers a report, and at the
/// thread's end.
pub(super) fn with<R>(f: impl FnOnce(&mut Thread) -> R) -> Option<R> {
    if deliver::delivering() { None } else { with_also_delivering(f) }
}

/// The same also while a report is delivered: what was recorded must be forgotten at its time.
pub(super) fn with_also_delivering<R>(f: impl FnOnce(&mut Thread) -> R) -> Option<R> {
    if crate::primitive::MODEL {
        return None;
    }
    let on = |thread: &RefCell<Thread>| {
        let mut thread = thread.try_borrow_mut().ok()?;
        thread.read_inbox();
        Some(f(&mut thread))
    };
    THREAD.try_with(on).ok().flatten()
}

/// Puts something on this thread's list, if it has one.
pub(super) fn push(what: What, class: Option<&'static Class>, place: &'static Location<'static>) -> Option<Entry> {
    with(|thread| thread.push(what, class, place))
}

/// Takes it off again.
pub(super) fn remove(entry: Entry) {
    with_also_delivering(|thread| thread.remove(entry));
}

/// Takes something off the list of another thread, if that still lives.
pub(super) fn remove_elsewhere(number: u32, entry: Entry) {
    let inbox = lock(&INBOXES).get(&number).cloned();
    if let Some(inbox) = inbox {
        lock(&inbox.ended).push(entry);
        inbox.notes.fetch_add(1, Relaxed);
    }
}
