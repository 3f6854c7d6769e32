//! The GPU subsystem: what users of a GPU have of it, whatever its driver.
//!
//! A driver is anything that is [`Gpu`]. [`Drm`] plugs it into the base:
//! `module.register::<Drm<MyGpu>>(Options::default())`. Users then open [`Device<MyGpu>`](Device).
//!
//! # The life of a job
//!
//! `handle` (the call) → its class ([`lifeboat::calls`](mod@lifeboat::calls)) → `submit` (builds the job) → the base's scheduler → the driver's
//! ring → the device → its interrupt → the job's fence → whoever waits.
//!
//! # The life of a commit
//!
//! `handle` → its class → `display` ([`lifeboat_core::kms`] accepts it; its fence is waited for by
//! the worker, its flip by the interrupt handler) → its fence and [`DisplayEvent`].
//!
//! | module | concept |
//! |---|---|
//! | `table`, `about` | the calls there are, and what can be asked of a driver |
//! | `device`, `handle`, `client` | a device as users see it; an open handle; what its client holds |
//! | `context`, `contexts`, `retained` | address spaces, and what a job keeps of them |
//! | `buffer`, `pages`, `pixels` | memory, of the device and of the host |
//! | `maps`, `cpu_map`, `dma_buf` | the same, mapped and shared |
//! | `queue`, `submit`, `job` | jobs |
//! | `display` | the screen |
//! | `drm`, `subsystem` | the GPU side of a binding, and what the base calls of it |
//! | `turns` | who programs a part of the hardware |
//! | [`kinds`] | what the ledger counts |

#![forbid(unsafe_code)]
#![allow(clippy::unnecessary_wraps, clippy::needless_pass_by_value)] // the handlers of calls have the shape of their class

mod about;
mod buffer;
mod client;
mod context;
mod contexts;
mod cpu_map;
mod device;
mod display;
mod dma_buf;
mod drm;
mod handle;
mod job;
pub mod kinds;
#[cfg(doctest)]
mod lifetimes;
mod locks;
mod maps;
mod options;
mod pages;
mod pixels;
mod queue;
mod retained;
mod submit;
mod subsystem;
mod table;
mod turns;

pub use about::{Capability, Version};
pub use buffer::{Buffer, Placement};
pub use context::Context;
pub use cpu_map::CpuMap;
pub use device::{Device, DeviceInfo};
pub use display::{
    Commit, CommitKind, ConnectorInfo, ConnectorStatus, DisplayEvent, Events as DisplayEvents, Lease, Resources,
};
pub use dma_buf::DmaBuf;
pub use drm::Drm;
pub use handle::Handle;
pub use options::Options;
pub use queue::Queue;
pub use submit::Submission;
pub use table::CALLS;

/// Why the display does not take a commit, what a commit does with a property, and how a screen is driven.
pub use lifeboat_core::kms::{Change, CommitError, Mode};
/// What of the display is leased, to whom, and why not.
pub use lifeboat_core::kms::{LeaseError, LesseeId, Objects};
/// What the driver of a GPU is.
pub use lifeboat_driver::gpu::Gpu;
