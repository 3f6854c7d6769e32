//! The lint: finds what could deadlock before it does.
//!
//! It is for drivers what lockdep and `might_sleep` are for the kernel. It looks at what a thread holds when that
//! thread waits for something, and reports the *possibility* of a deadlock the first time a code path runs, with both
//! places; nobody has to lose a race first. It is not a detector of deadlocks that have happened, and it proves nothing
//! about code that did not run.
//!
//! # What it reports
//!
//! | [`ReportKind`] | the rule |
//! |---|---|
//! | [`Inversion`](ReportKind::Inversion) | what is waited for while something else is held has one order in the whole program |
//! | [`SameClass`](ReportKind::SameClass) | two locks of one class nest only by [`Mutex::lock_nested`] |
//! | [`Blocking`](ReportKind::Blocking) | nothing blocks in a non-sleeping section, in an interrupt or reclaim context, or under a short lock (GATE-2, GATE-6) |
//! | [`FenceWaitInSection`](ReportKind::FenceWaitInSection) | nobody waits for a fence inside a section of a gate (GATE-5) |
//! | [`FenceWaitWhileSignalling`](ReportKind::FenceWaitWhileSignalling) | who is to signal a fence waits for none |
//! | [`DrainInsideSection`](ReportKind::DrainInsideSection) | nobody waits for the end of a section inside of it |
//! | [`NoSection`](ReportKind::NoSection) | registers are accessed inside a section (GATE-5, the inverse) |
//! | [`LeftElsewhere`](ReportKind::LeftElsewhere) | a thread's section ends on that thread |
//!
//! The source is the kernel: `Documentation/locking/lockdep-design.rst`, `dma_fence_begin_signalling()`, and the
//! proposal to annotate `drm_dev_enter()` so (S2 in docs/conformance.md), which says both what to check and what not to restrict.
//!
//! # Order
//!
//! Order is a graph of [classes](Class), not of instances. An edge `a → b` says: somewhere `b` was *waited for* while
//! `a` was held. Locks are held and waited for. Sections are held, and what waits for them is the drain or the revoke.
//! To *enter* a section waits for nothing (a shut gate refuses), so no edge leads there: sections may be entered under
//! any lock, as S2 there demands, and it is the same in lockdep, to which SRCU is a recursive reader. Fences are waited
//! for by [`fence_wait`], and "held" by the path that signals them ([`signalling`]).
//!
//! # What it does not see
//!
//! - Sections that an asynchronous task carries. They are on no thread's list: the thread may poll another task next,
//!   which holds nothing. So blocking inside of them is not reported.
//! - While a section of that kind, or a bus callback's proof, is open anywhere, a [`register_access`] without a section
//!   on its own thread: it may be theirs.
//! - What a leaked guard means: to the lint it is held for ever, which is true.
//! - Anything in a thread's last moments, when its thread-local storage is gone; and anything in models.
//!
//! # Switch
//!
//! On in debug builds, off in release builds, or as the environment variable `LIFEBOAT_LINT` says; see [`enabled`].
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
//!     let _queue = queue.lock(); // one thread only, nothing hangs: but it could
//! }
//! let reports = lint::take_reports();
//! assert_eq!(reports[0].kind, ReportKind::Inversion);
//! println!("{}", reports[0]);
//! ```
//!
//! # How to read this module
//!
//! `held` is what a thread holds, `order` the graph, `wait` what happens before a thread waits; `check` are the rules
//! that need no graph; `report` and `deliver` are what comes out; `mutex`, `condvar`, `context` and `hooks` are what
//! goes in.

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

/// The class of gates that were given none. Many unrelated gates share it, so one of them may be drained inside a
/// section of another.
pub static GATE: Class = Class::shared("gate");

/// The class of revocables that were given none. Shared, like [`GATE`].
pub static REVOCABLE: Class = Class::shared("revocable");

/// The class of all fences: waited for by [`fence_wait`], held by [`signalling`].
pub static FENCE: Class = Class::new("fence");
