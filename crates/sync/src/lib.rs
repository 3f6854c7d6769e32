//! Sections over hardware that can vanish.
//!
//! A *section* is a stretch of code that may use something which can be taken away. Taking it away means: from now on
//! no section begins, and those that are open are waited for, with a deadline, at which those that are left are named.
//!
//! | | [`Revocable`] | [`Gate`] |
//! |---|---|---|
//! | protects | an object: register windows, rings | an operation on a live device |
//! | inside, blocking is | forbidden: a section lasts microseconds | allowed |
//! | when the last section has left | the object is dropped | the device may be cut off |
//! | allowed in interrupt handlers and reclaim callbacks | yes | yes, but nothing may block there |
//!
//! To begin and end a section costs one or two nanoseconds: three stores, a few loads, no atomic read-modify-write, no
//! hardware fence. All that is dear is done by who takes away.
//!
//! Who takes away waits with a thread and a deadline ([`Gate::drain`], [`Revocable::revoke`]), or as a future
//! ([`Gate::drain_async`], [`Revocable::revoke_async`]), for shells that must not block.
//!
//! Both are per device, so one device's stuck reader never delays another's unplug (GATE-3).
//!
//! A guard that is leaked (`mem::forget`, a reference cycle) cannot make anything unsound: what was protected is then
//! never dropped, and the revoke reports a section that is still open instead of waiting forever (LIFE-6).
//!
//! # What to know
//!
//! - Handlers and callbacks are code of a process here, run by its threads. In a handler of an operating system's
//!   *signal* no section may be entered: a reader that has been idle takes a lock, which the interrupted thread may
//!   hold.
//! - If a revoke gives up, the object is dropped by whoever leaves last, on that thread and in its context.
//! - A child of `fork` inherits its parent's open sections, which end in the parent only. Revoke before, or `exec`.
//!
//! # How to read this crate
//!
//! | file | what it holds |
//! |---|---|
//! | [`gate`], [`revocable`] | the two kinds of section, as users see them |
//! | `drain`, `revoke` | their ends as futures |
//! | `turnstile`, `waiter` | the protocol of both: enter, leave, shut, wait; and to wait without a thread |
//! | `stay` | sections that last, as a watchdog sees them |
//! | `registry`, `slot`, `reader` | who is inside of what, written where only the owner writes |
//! | [`barrier`] | why a reader needs no fence |
//! | [`lint`] | finds what could deadlock before it does |
//!
//! The protocol is explored under loom (`tests/loom`) and shuttle (`tests/shuttle.rs`); what is `unsafe` is in
//! `revocable` and, one line, in `slot`.

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
pub use revocable::{Access, Bound, Revocable};
pub use revoke::Revoke;
pub use stay::Stay;

/// Whether the lint wants to know of sections. In models, whose threads are not the system's, never.
fn watched() -> bool {
    !primitive::MODEL && lint::enabled()
}

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
