//! List of everything that a thread holds: locks, sections, contexts, and the duty to signal a
//! fence.
//!
//! The newest entry is last, and entries are removed in any order. The list belongs to its thread.
//! If a section ends on another thread, that thread puts a note into the owner's *inbox*. The owner
//! reads the inbox before it uses the list.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::deliver::{self, Finding, lock};
use super::hooks::SectionKind;
use super::{Class, ReportKind};

/// Kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Lock under which blocking is forbidden.
    Short,
    /// Lock under which blocking is allowed.
    Sleeping,
    Section(SectionKind),
    /// Duty to signal a fence.
    Signalling,
    Interrupt,
    Reclaim,
}

impl What {
    /// Tells whether this entry forbids blocking.
    pub(super) fn forbids_blocking(self) -> bool {
        match self {
            Self::Short | Self::Section(SectionKind::Revocable) | Self::Interrupt | Self::Reclaim => true,
            Self::Sleeping | Self::Section(SectionKind::Gate | SectionKind::Bound) | Self::Signalling => false,
        }
    }
}

/// Number of an entry in the list of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u32);

/// Entry of the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) what: What,
    /// Class of the entry, or `None` for an interrupt or reclaim context.
    pub(super) class: Option<&'static Class>,
    pub(super) place: &'static Location<'static>,
}

impl Held {
    /// Returns the name of the class, for messages.
    pub(super) fn name(&self) -> &'static str {
        self.class.map_or("context", Class::name)
    }

    /// Creates a finding for the place `here`, which conflicts with this entry.
    pub(super) fn finding(&self, kind: ReportKind, here: &'static Location<'static>) -> Finding {
        Finding { kind, here, other: Some(self.place), classes: (self.class.map_or(0, Class::id), 0) }
    }
}

#[derive(Debug, Default)]
struct Inbox {
    /// Number of notes. It is read often, so it is not under the lock.
    notes: AtomicUsize,
    ended: Mutex<Vec<Entry>>,
}

/// Record of one thread.
#[derive(Debug)]
pub(super) struct Thread {
    /// Number of the thread. It is unique in a process of fewer than 2^32 threads.
    pub(super) number: u32,
    next: u32,
    pub(super) held: Vec<Held>,
    /// Edges of the order graph that this thread has already added.
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

    /// Returns the newest entry, other than `except`, that forbids blocking.
    pub(super) fn forbids_blocking(&self, except: Option<Entry>) -> Option<Held> {
        self.find(|held| held.what.forbids_blocking() && Some(held.entry) != except)
    }

    /// Returns the newest entry that satisfies `so`.
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

/// Runs `f` on the record of this thread. Does nothing in models, during a delivery, and at the end
/// of the thread.
pub(super) fn with<R>(f: impl FnOnce(&mut Thread) -> R) -> Option<R> {
    if deliver::delivering() { None } else { with_also_delivering(f) }
}

/// Runs `f` as [`with`] does, and also during a delivery. Removals need this: an entry must go at
/// its time.
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

/// Adds an entry to the list of this thread, if the thread has a list.
pub(super) fn push(what: What, class: Option<&'static Class>, place: &'static Location<'static>) -> Option<Entry> {
    with(|thread| thread.push(what, class, place))
}

/// Removes an entry from the list of this thread.
pub(super) fn remove(entry: Entry) {
    with_also_delivering(|thread| thread.remove(entry));
}

/// Removes an entry from the list of another thread, if that thread still lives.
pub(super) fn remove_elsewhere(number: u32, entry: Entry) {
    let inbox = lock(&INBOXES).get(&number).cloned();
    if let Some(inbox) = inbox {
        lock(&inbox.ended).push(entry);
        inbox.notes.fetch_add(1, Relaxed);
    }
}
