//! The hosted framework for drivers of devices that can vanish.
//!
//! Four lifetimes are four types (LIFE-1); mixing them up does not compile:
//!
//! | lifetime | type | ends | touches hardware |
//! |---|---|---|---|
//! | code | [`Module`] | unload, refused while anything below exists | no |
//! | device | [`Device`] | last handle, buffer, context, job, export gone | no |
//! | binding | [`Binding`] | unplug | yes, through the gate |
//! | handle | [`Handle`] | close | no |
//!
//! A [`Bus`] stands in for the kernel's driver core: it owns the bindings, probes what is plugged in, unplugs what
//! vanishes, and tells subscribers.
//!
//! # The life of a job, as it runs through these files
//!
//! `gpu::handle` (the call) → [`mod@calls`] (what its class gives it) → `gpu::submit` (builds the
//! job) → [`sched`] (reserve, then commit; its worker carries out `Action::Run`) → `rings` (ring
//! and doorbell, in a revocable section) → the device → `irq` (what completed) → [`sched`]
//! (`Action::Signal`) → [`Fence`] → whoever waits.
//!
//! # The life of a commit
//!
//! `gpu::handle` → [`calls`](mod@calls) → `gpu::display` ([`lifeboat_core::kms`] accepts it; its
//! fence is waited for by the worker, its flip by the interrupt handler) → [`Fence`] and
//! [`DisplayEvent`].
//!
//! # The life of an unplug
//!
//! `bus` (the device vanished, or the driver found it dead) → [`Binding::unplug`] → `teardown` (the steps of
//! [`lifeboat_core::unplug`], and what each does here) → [`Event::Removed`]. A device that fails too often stops before the
//! last step ([`Binding::wedge`], [`Event::Wedged`]) and waits there for help ([`Bus::rebind`]).
#![forbid(unsafe_code)]
#![allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the handlers of calls have the shape of their class
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
mod gpu;
mod hardware;
mod health;
mod irq;
mod key;
mod ledger;
#[cfg(doctest)]
mod lifetimes;
mod link;
mod locks;
mod module;
mod panics;
mod primitive;
mod probe;
mod rest;
mod rings;
mod roster;
pub mod sched;
mod spin;
mod subsystem;
mod teardown;
mod turns;
mod uevent;
mod watchdog;
mod windows;

pub use binding::Binding;
pub use bus::{Bus, Event, SlotState, Subscription, Visit, WeakBus};
pub use dump::Dump;
pub use error::{CallError, ProbeError, WaitError};
pub use fence::{Callback, Eventfd, Fence, Outcome, Signalled, Timeline, Unsignalled};
pub use gpu::about::{Capability, Version};
pub use gpu::buffer::{Buffer, Placement};
pub use gpu::context::Context;
pub use gpu::device::{Device, DeviceInfo};
pub use gpu::display::{
    Commit, CommitKind, ConnectorInfo, ConnectorStatus, Event as DisplayEvent, Events as DisplayEvents, Lease,
    Resources,
};
pub use gpu::dma_buf::DmaBuf;
pub use gpu::handle::Handle;
pub use gpu::maps::CpuMap;
pub use gpu::queue::Queue;
pub use gpu::submit::Submission;
pub use gpu::table::CALLS;
pub use ledger::{Counts, Kind};
pub use module::{Holders, Module};
pub use probe::ProbeOptions;
pub use teardown::{StepTime, UnplugReport};
pub use uevent::Uevents;

/// What the framework is built from, for those who need its types.
pub use lifeboat_core as core;
/// Why the display does not take a commit, what a commit does with a property, and how a screen is driven.
pub use lifeboat_core::kms::{Change, CommitError, Mode};
/// What of the display is leased, to whom, and why not.
pub use lifeboat_core::kms::{LeaseError, LesseeId, Objects};
/// Which queues of a ring go first.
pub use lifeboat_core::sched::Priority;
/// What resets a context has seen, and whose fault the last was.
pub use lifeboat_core::sched::{ResetStats, ResetStatus};
/// What a driver is.
pub use lifeboat_driver as driver;
/// Commands and their arguments.
pub use lifeboat_lb1::command;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
