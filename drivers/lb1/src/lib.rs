//! The driver of LB1, the GPU that docs/lb1.md describes: registers, ring format, bring-up, reset, health probes.
//!
//! `no_std`, no allocator, no `unsafe`, no locks and no clock: it is compiled unchanged into a process, under the model
//! checkers and into a kernel module, and the shell around it brings memory, time and exclusion. Hardware is reached
//! only through the [`lifeboat_pci`] traits that the caller lends for each operation, so this code can only ever run
//! inside a section that lends them (GATE-1).
//!
//! Nothing here waits. What the hardware takes time for is a step of a
//! [`Sequence`](lifeboat_driver::Sequence), which a shell drives.
//!
//! What it is not: policy. Which job runs next, what a timeout means and when a device is given up is decided in
//! `lifeboat-core`.
//!
//! | module | concept |
//! |---|---|
//! | [`regs`] | the register map |
//! | [`command`] | what a ring can hold, and its encoding |
//! | `driver` | LB1, as a shell drives it |
//! | `gpu` | LB1, as a GPU |
//! | `sequences` | bring-up, resets and shutdown, as steps |
//! | `access` | the registers |
//! | `bringup` | identity, what a device has, enabling, device reset |
//! | `ring` | writing jobs, doorbell, ring reset, faults |
//! | `proof` | a job of the driver's own, by which a ring proves that it works |
//! | `address` | contexts' address tables |
//! | `interrupt` | what an interrupt means |
//! | `scanout` | what is shown |
//! | `health` | is the device alive |
//! | `dump` | which registers tell how it is |
#![no_std]
#![forbid(unsafe_code)]

mod access;
mod address;
mod bringup;
pub mod command;
mod driver;
mod dump;
mod gpu;
mod health;
mod interrupt;
mod proof;
pub mod regs;
mod ring;
mod scanout;
mod sequences;

pub use access::Lb1;
pub use bringup::Info;
pub use driver::{Commands, Lb1Driver, Lb1Pending};
pub use ring::{Fault, Ring};
pub use scanout::REFRESH_MILLIHERTZ;
