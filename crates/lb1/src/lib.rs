//! The driver of LB1, the GPU that docs/lb1.md describes: registers, ring format, bring-up, reset, health probes.
//!
//! `no_std`, no allocator, no `unsafe`, no locks and no clock: it is compiled unchanged into a process, under the model
//! checkers and into a kernel module, and the shell around it brings memory, time and exclusion. Hardware is reached
//! only through the [`lifeboat_pci`] traits that the caller lends for each operation, so this code can only ever run
//! inside a section that lends them (GATE-1).
//!
//! Nothing here waits. What the hardware takes time for is begun by one call and asked about by another
//! ([`Lb1::begin_device_reset`], [`Lb1::device_reset`]); the shell waits in between, outside any section, with a limit.
//!
//! What it is not: policy. Which job runs next, what a timeout means and when a device is given up is decided in
//! `lifeboat-core`.
//!
//! | module | concept |
//! |---|---|
//! | [`regs`] | the register map |
//! | [`command`] | what a ring can hold, and its encoding |
//! | `access` | register access with a loss check |
//! | `bringup` | identity, enabling, device reset |
//! | `ring` | writing jobs, doorbell, ring reset, faults |
//! | `address` | contexts' address tables |
//! | `interrupt` | what an interrupt means |
//! | `scanout` | what is shown |
//! | `health` | is the device alive |
//! | [`dump`] | which registers tell how it is |
#![no_std]
#![forbid(unsafe_code)]

mod access;
mod address;
mod bringup;
pub mod command;
pub mod dump;
mod health;
mod interrupt;
pub mod regs;
mod ring;
mod scanout;

pub use access::{DriverError, Lb1};
pub use address::{Segment, Target};
pub use bringup::{set_bus_master, set_memory_decode, Identity, Info, Progress};
pub use interrupt::Interrupts;
pub use ring::{Fault, RingWriter};
pub use scanout::{MAX_SIDE, REFRESH_MILLIHERTZ};
