//! The lint: a detector of possible deadlocks.
//!
//! The lint does for drivers what lockdep and `might_sleep` do for the kernel. It records the locks
//! and sections that a thread holds, and checks them when the thread waits. It reports a *possible*
//! deadlock when the code path runs for the first time, with both places; no thread has to lose a
//! race. The lint does not detect deadlocks that have happened, and it proves nothing about code
//! that has not run.
//!
//! # Rules
//!
//! | [`ReportKind`] | rule |
//! |---|---|
//! | [`Inversion`](ReportKind::Inversion) | nested waits have one order in the whole program |
//! | [`SameClass`](ReportKind::SameClass) | two locks of one class nest only by [`Mutex::lock_nested`] |
//! | [`Blocking`](ReportKind::Blocking) | nothing blocks in a non-sleeping section, in an interrupt or reclaim context, or under a short lock (GATE-2, GATE-6) |
//! | [`FenceWaitInSection`](ReportKind::FenceWaitInSection) | no thread waits for a fence inside a section of a gate (GATE-5) |
//! | [`FenceWaitWhileSignalling`](ReportKind::FenceWaitWhileSignalling) | code that must signal a fence waits for no fence |
//! | [`DrainInsideSection`](ReportKind::DrainInsideSection) | no thread waits for the end of a section from inside the section |
//! | [`NoSection`](ReportKind::NoSection) | registers are accessed inside a section (GATE-5, the inverse) |
//! | [`LeftElsewhere`](ReportKind::LeftElsewhere) | a thread's section ends on that thread |
//!
//! The rules come from the kernel: `Documentation/locking/lockdep-design.rst`,
//! `dma_fence_begin_signalling()`, and the proposal to annotate `drm_dev_enter()` in this way (S2
//! in docs/conformance.md). The proposal states both the checks and the things that must stay
//! allowed.
//!
//! # Order
//!
//! The order is a graph of [classes](Class), not of instances. An edge `a → b` means that some
//! thread *waited for* `b` while it held `a`.
//!
//! - Locks are held and waited for.
//! - Sections are held. The drain or the revoke waits for them. *Entering* a section waits for
//!   nothing, because a shut gate refuses. So no edge leads to an entry, and sections may be
//!   entered under any lock, as S2 demands. Lockdep does the same with SRCU, which it treats as a
//!   recursive reader.
//! - Fences are waited for by [`fence_wait`]. The path that signals them "holds" them
//!   ([`signalling`]).
//!
//! # Blind spots
//!
//! - Sections that an asynchronous task carries are not recorded for any thread, because the thread
//!   may next poll another task, which holds nothing. So blocking inside such a section is not
//!   reported.
//! - A [`register_access`] without a section of its own thread is not reported while a carried
//!   section or a bus callback's proof is open anywhere, because the access may belong to it.
//! - The guard of a leaked section or lock counts as held for ever, which is true.
//! - Code at the very end of a thread, when its thread-local storage is gone, is not watched.
//!   Neither is code under a model checker.
//!
//! # Switch
//!
//! The lint is on in debug builds and off in release builds. The environment variable
//! `LIFEBOAT_LINT` overrides this; see [`enabled`].
//!
//! # Examples
//! ```
//! use lifeboat_sync::lint::{self, Class, Mutex, Reaction, ReportKind};
//!
//! static QUEUE: Class = Class::new("queue");
//! static RING: Class = Class::new("ring");
//!
//! lint::force(Reaction::Keep);
//! let (queue, ring) = (Mutex::sleeping(&QUEUE, 0), Mutex::sleeping(&RING, 0));
//! {
//!     let _queue = queue.lock();
//!     let _ring = ring.lock();
//! }
//! {
//!     let _ring = ring.lock();
//!     let _queue = queue.lock(); // nothing hangs with one thread, but with two it could
//! }
//! let reports = lint::take_reports();
//! assert_eq!(reports[0].kind, ReportKind::Inversion);
//! println!("{}", reports[0]);
//! ```
//!
//! # How to read this module
//!
//! `held` records what a thread holds, `order` is the graph, and `wait` runs before a thread waits.
//! `check` has the rules that need no graph. `report` and `deliver` are the output; `mutex`,
//! `condvar`, `context` and `hooks` are the input.

mod check;
mod class;
mod condvar;
mod context;
mod deliver;
mod held;
pub(crate) mod hooks;
mod mutex;
mod order;
mod raw;
mod report;
mod switch;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
mod wait;

pub use check::{fence_wait, might_block, register_access};
pub use class::Class;
pub use condvar::Condvar;
pub use context::{Signalling, interrupt, reclaim, signalling};
pub use deliver::{missed_reports, set_hook, take_reports};
pub use mutex::{Mutex, MutexGuard};
pub use raw::WaitTimeoutResult;
pub use report::{Report, ReportKind};
pub use switch::{Reaction, enabled, force};

/// Class of all gates without their own class. Unrelated gates share this class, so one of them may
/// be drained inside a section of another.
pub static GATE: Class = Class::shared("gate");

/// Class of all revocables without their own class. Unrelated revocables share it, as gates share
/// [`GATE`].
pub static REVOCABLE: Class = Class::shared("revocable");

/// Class of all fences, which [`fence_wait`] waits for and [`signalling`] holds.
pub static FENCE: Class = Class::new("fence");
