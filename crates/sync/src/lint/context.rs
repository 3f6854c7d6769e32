//! Contexts: the kinds of code that a thread runs.
//!
//! An interrupt handler or a reclaim callback (the kernel's shrinkers and MMU notifiers) interrupts
//! code that may hold any lock. So nothing may block there, but sections may be entered (GATE-6). A
//! *signalling* path is code that a fence waits for, like the code between the kernel's
//! `dma_fence_begin_signalling()` and its end.
//!
//! A context adds to the locks and sections that the thread already holds. A lock taken in a
//! handler comes after the locks of the interrupted code in the order, because that is the way in
//! which a handler deadlocks. A simulated interrupt that runs on its own thread holds nothing else.

use std::marker::PhantomData;
use std::panic::Location;

use super::held::{self, Entry, What};
use super::{FENCE, enabled};

/// Runs `f` as an interrupt handler, in which sections are allowed but blocking is not.
///
/// # Examples
/// ```
/// use lifeboat_sync::{Revocable, lint};
///
/// let registers = Revocable::new(7);
/// assert_eq!(lint::interrupt(|| registers.try_access_with(|r| *r)), Some(7));
/// ```
#[track_caller]
pub fn interrupt<R>(f: impl FnOnce() -> R) -> R {
    let _context = begin(What::Interrupt, Location::caller());
    f()
}

/// Runs `f` as a callback that frees memory. Sections are allowed but blocking is not, because the
/// allocating thread waits for the callback.
#[track_caller]
pub fn reclaim<R>(f: impl FnOnce() -> R) -> R {
    let _context = begin(What::Reclaim, Location::caller());
    f()
}

/// Begins a stretch of code that a fence waits for, such as the end of a job. The stretch lasts
/// until the result is dropped.
///
/// In the order, everything that this code waits for comes after fences. So the lint reports a lock
/// that another thread holds while it waits for a fence, and it reports a wait for a fence.
///
/// # Examples
/// ```
/// use lifeboat_sync::lint::{self, Class, Mutex, Reaction, ReportKind};
///
/// static BUFFERS: Class = Class::new("buffers");
///
/// lint::force(Reaction::Keep);
/// let buffers = Mutex::sleeping(&BUFFERS, ());
/// {
///     let _buffers = buffers.lock();
///     lint::fence_wait(); // a user waits while it holds the lock
/// }
/// {
///     let _signalling = lint::signalling();
///     let _buffers = buffers.lock(); // and the end of the job needs the lock
/// }
/// assert_eq!(lint::take_reports()[0].kind, ReportKind::Inversion);
/// ```
#[track_caller]
pub fn signalling() -> Signalling {
    Signalling { _context: begin(What::Signalling, Location::caller()) }
}

/// Guard of a path that signals fences; see [`signalling`].
#[derive(Debug)]
#[must_use = "the path ends where this is dropped"]
pub struct Signalling {
    _context: ContextGuard,
}

/// Guard of a context. Dropping it ends the context, on the same thread, even after a panic.
#[derive(Debug)]
struct ContextGuard {
    entry: Option<Entry>,
    on_this_thread: PhantomData<*const ()>,
}

fn begin(what: What, place: &'static Location<'static>) -> ContextGuard {
    let class = if what == What::Signalling { Some(&FENCE) } else { None };
    let entry = if enabled() { held::push(what, class, place) } else { None };
    ContextGuard { entry, on_this_thread: PhantomData }
}

impl Drop for ContextGuard {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            held::remove(entry);
        }
    }
}
