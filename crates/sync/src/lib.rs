//! Sections over hardware that can vanish.
//!
//! A *section* is a stretch of code that uses an object or a device which may be taken away. From
//! the moment of taking away, no section begins. The revoker, which takes away, waits for the open
//! sections up to a deadline, and reports the sections that are still open at the deadline.
//!
//! | | [`Revocable`] | [`Gate`] |
//! |---|---|---|
//! | protects | an object: register windows, rings | an operation on a live device |
//! | blocking inside a section is | forbidden: a section lasts microseconds | allowed |
//! | when the last section has left | the object is dropped | the device may be cut off |
//! | allowed in interrupt handlers and reclaim callbacks | yes | yes, but nothing may block there |
//!
//! Beginning and ending a section costs one or two nanoseconds: three stores and a few loads,
//! without an atomic read-modify-write and without a hardware fence. The revoker does all expensive
//! work.
//!
//! A revoker waits either with a thread and a deadline ([`Gate::drain`], [`Revocable::revoke`]), or
//! as a future ([`Gate::drain_async`], [`Revocable::revoke_async`]) in a shell that must not block.
//!
//! Gates and revocable objects are independent of one another: a stuck section of one device never
//! delays the unplug of another device (GATE-3).
//!
//! A leaked guard (`mem::forget`, a reference cycle) cannot cause unsoundness. The protected object
//! is then never dropped, and the revoker reports an open section instead of waiting for ever
//! (LIFE-6).
//!
//! # Rules for users
//!
//! - Interrupt handlers and reclaim callbacks are here functions that threads of the process run. A
//!   handler of a *signal* of the operating system must not enter a section: the first section
//!   after an idle time takes a lock, which the interrupted thread may hold.
//! - If a revoke gives up, the last section drops the object when it ends, on its own thread and in
//!   its own context.
//! - A child of `fork` inherits its parent's open sections, but only the parent ends them. Revoke
//!   before a `fork`, or call `exec` after it.
//!
//! # How to read this crate
//!
//! | file | content |
//! |---|---|
//! | [`gate`], [`revocable`] | the two kinds of section, as users see them |
//! | `drain`, `revoke` | waits for the end of all sections, as futures |
//! | `turnstile`, `waiter` | the protocol of both kinds: enter, leave, shut, wait, and wait without a thread |
//! | `stay` | sections that last, as a watchdog sees them |
//! | `registry`, `slot`, `reader` | the record of open sections, which each reader writes in its own slot |
//! | [`barrier`] | the reason why a reader needs no fence |
//! | [`lint`] | detector of possible deadlocks |
//!
//! Loom (`tests/loom`) and shuttle (`tests/shuttle.rs`) explore the protocol. Unsafe code is in
//! `revocable`, and one line of it in `slot`.

pub mod barrier;
pub mod deadline;
mod drain;
pub mod gate;
mod holdouts;
pub mod lint;
mod primitive;
pub mod reader;
mod registry;
pub mod revocable;
mod revoke;
mod slot;
mod stay;
mod turnstile;
mod waiter;

pub use drain::Drain;
pub use gate::{Gate, Section, TaskSection};
pub use holdouts::{Holdout, Holdouts, OpenSection, open_sections};
pub use reader::Reader;
pub use revocable::{Access, BoundProof, Revocable};
pub use revoke::Revoke;
pub use stay::Stay;

/// Tells whether the lint watches sections. It does not under a model checker, whose threads are
/// not threads of the system.
fn watched() -> bool {
    !primitive::MODEL && lint::enabled()
}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
