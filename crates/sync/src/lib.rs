//! Sections over hardware that can vanish.
//!
//! A *section* is a stretch of code that may use something which can be taken away. Taking it away means: from now on
//! no section begins, and those that are open are waited for, with a deadline.
//!
//! | | [`Revocable`] | [`Gate`] |
//! |---|---|---|
//! | protects | an object: register windows, rings | an operation on a live device |
//! | inside, blocking is | forbidden: a section lasts microseconds | allowed |
//! | at the deadline | says how many sections are open | names each by place, age and thread |
//! | allowed in interrupt handlers and reclaim callbacks | yes | no: it takes a lock |
//!
//! Both are per device, so one device's stuck reader never delays another's unplug (GATE-3).
//!
//! A guard that is leaked (`mem::forget`, a reference cycle) cannot make anything unsound: what was protected is then
//! never dropped, and the revoke reports a section that is still open instead of waiting forever (LIFE-6).
//!
//! # Why it is sound
//!
//! [`Revocable`] is the only `unsafe` here. Its whole protocol is one atomic word; see that module. Both types are
//! explored under loom (`tests/loom.rs`).

pub mod deadline;
pub mod gate;
mod holdouts;
pub mod lint;
mod primitive;
pub mod revocable;

pub use gate::{Gate, Section};
pub use holdouts::{Holdout, Holdouts};
#[cfg(not(loom))]
pub use revocable::Access;
pub use revocable::{Revocable, StillOpen};
