//! Contexts: what kind of code runs here.
//!
//! An interrupt handler and a reclaim callback (the kernel's shrinkers and MMU notifiers) interrupt someone who may
//! hold anything, so nothing may block there; sections may be entered (GATE-6). A *signalling* path is one that
//! a fence waits for, as between the kernel's `dma_fence_begin_signalling()` and its end.
//!
//! Contexts stack on what the thread holds already and hide nothing of it: a lock taken in a handler comes after the
//! locks of who was interrupted, which is how a handler deadlocks. Simulated interrupts that run on a thread of their
//! own hold nothing else.

use std::marker::PhantomData;
use std::panic::Location;

use super::held::{self, Entry, What};
use super::{FENCE, enabled};

/// Runs `f` as an interrupt handler: sections are allowed, blocking is not.
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

/// Runs `f` as a callback that gives memory back: sections are allowed, blocking is not, since whoever allocates waits
/// for it.
#[track_caller]
pub fn reclaim<R>(f: impl FnOnce() -> R) -> R {
    let _context = begin(What::Reclaim, Location::caller());
    f()
}

/// Begins a stretch of code that some fence waits for, such as the end of a job. It lasts until the result is dropped.
///
/// What is waited for inside comes after fences in the order: a lock that elsewhere is held while waiting for a fence
/// is reported, and so is waiting for a fence.
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
///     lint::fence_wait(); // a user waits, with the lock held
/// }
/// {
///     let _signalling = lint::signalling();
///     let _buffers = buffers.lock(); // and the end of the job needs it
/// }
/// assert_eq!(lint::take_reports()[0].kind, ReportKind::Inversion);
/// ```
#[track_caller]
pub fn signalling() -> Signalling {
    Signalling { _context: begin(What::Signalling, Location::caller()) }
}

/// A path that signals fences; see [`signalling`].
#[derive(Debug)]
#[must_use = "the path ends where this is dropped"]
pub struct Signalling {
    _context: Context,
}

/// Ends when dropped, on the same thread, also by a panic.
#[derive(Debug)]
struct Context {
    entry: Option<Entry>,
    on_this_thread: PhantomData<*const ()>,
}

fn begin(what: What, place: &'static Location<'static>) -> Context {
    let class = if what == What::Signalling { Some(&FENCE) } else { None };
    let entry = if enabled() { held::push(what, class, place) } else { None };
    Context { entry, on_this_thread: PhantomData }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(entry) = self.entry {
            held::remove(entry);
        }
    }
}
