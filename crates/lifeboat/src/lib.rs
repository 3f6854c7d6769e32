//! The base of drivers for devices that can vanish, in a process: what is true of every device. It
//! knows no device and no kind of device.
//!
//! Four lifetimes are four types (LIFE-1); mixing them up does not compile:
//!
//! | lifetime | type | ends | touches hardware |
//! |---|---|---|---|
//! | code | [`Module`] | unload, refused while anything below exists | no |
//! | device | [`Base`], in a subsystem's type | last handle, and all that was made of it, gone | no |
//! | binding | [`Binding`] | unplug | yes, through the gate |
//! | handle | a subsystem's | close | no |
//!
//! A [`Bus`] stands in for the kernel's driver core: it owns the bindings, probes what is plugged in, unplugs what
//! vanishes, and tells subscribers.
//!
//! A driver comes in two parts. What is known of the hardware is a [`driver::Driver`], portable and
//! written once. What users have of such a device is a [`subsystem::Subsystem`]: `lifeboat-drm` is
//! one, for GPUs. [`Module::register`] plugs both in.
//!
//! # The life of a job, as it runs through these files
//!
//! A subsystem's call → [`mod@calls`] (what its class gives it) → [`sched`] (reserve, then commit;
//! its worker carries out `Action::Run`) → `rings` (ring and doorbell, in a revocable section) → the
//! device → `irq` (what completed) → [`sched`] (`Action::Signal`) → [`Fence`] → whoever waits.
//!
//! # The life of an unplug
//!
//! `bus` (the device vanished, or the driver found it dead) → [`Binding::unplug`] → `teardown` (the steps of
//! [`lifeboat_core::unplug`], and what each does here) → [`Event::Removed`]. A device that fails too often stops before the
//! last step ([`Binding::wedge`], [`Event::Wedged`]) and waits there for help ([`Bus::rebind`]).
#![forbid(unsafe_code)]
#![allow(clippy::redundant_closure_for_method_calls)] // a method of borrowed registers is not general enough

mod aside;
mod attempt;
mod base;
mod binding;
mod bus;
pub mod calls;
mod drive;
pub mod dump;
mod error;
mod fence;
mod hardware;
mod health;
mod irq;
pub mod key;
mod ledger;
#[cfg(doctest)]
mod lent;
mod link;
mod listeners;
mod loaded;
mod locks;
mod module;
mod panics;
mod policy;
mod primitive;
mod probe;
mod rest;
mod rings;
pub mod roster;
pub mod sched;
mod spin;
pub mod subsystem;
mod teardown;
mod uevent;
mod watchdog;
mod windows;

pub use base::Base;
pub use binding::Binding;
pub use bus::{Bus, Event, Request, SlotState, Subscription, Visit, WeakBus};
pub use dump::Dump;
pub use error::{CallError, ProbeError, RequestError, WaitError};
pub use fence::{Callback, Eventfd, Fence, Outcome, Signalled, Timeline, Unsignalled};
pub use hardware::{Hardware, Mapped};
pub use ledger::{Counts, Entry, Kind, Ledger};
pub use link::Link;
pub use listeners::Listeners;
pub use module::{Holders, Module};
pub use policy::Policy;
pub use teardown::{StepTime, UnplugReport};
pub use uevent::Uevents;

/// What the framework is built from, for those who need its types.
pub use lifeboat_core as core;
/// The number of a device.
pub use lifeboat_core::minor::Minor;
/// Which queues of a ring go first.
pub use lifeboat_core::sched::Priority;
/// What resets a context has seen, and whose fault the last was.
pub use lifeboat_core::sched::{ResetStats, ResetStatus};
/// What a driver is.
pub use lifeboat_driver as driver;
