//! What a driver is, portable.
//!
//! A [`Driver`] is what is known of one kind of device: its facts, how its registers are read, how
//! a job is written, and its procedures as [`Sequence`]s. It is written once. Shells bring memory,
//! time, sections and exclusion: `lifeboat` in a process, `kernel/` as a kernel module.
//!
//! `no_std`, no allocator, no `unsafe`, no locks and no clock. Nothing here or in a driver waits.
//!
//! What it is not: policy. Which job runs next, what a timeout means and when a device is given up
//! is decided in `lifeboat-core`.
//!
//! | module | concept |
//! |---|---|
//! | `driver` | what a shell asks of a driver |
//! | `report` | how far rings are |
//! | `sequence` | procedures that wait, as steps |
//! | `interrupts` | which interrupts a driver can use |
//! | `io` | the hardware, lent for one section |
//! | `ringless` | what a device without rings has in their place |
//! | `access` | register access with a loss check |
//! | `error` | why an operation failed |
//! | [`dump`] | which registers a dump shows, and the dump as it is written without an allocator |
//! | [`gpu`] | what the driver of a GPU adds |
#![no_std]
#![forbid(unsafe_code)]

mod access;
mod driver;
pub mod dump;
mod error;
pub mod gpu;
mod interrupts;
mod io;
mod report;
mod ringless;
mod sequence;

pub use access::{IdRegister, Registers};
pub use driver::{BarUse, Driver, Facts, Identity, PciId, Place, RingShape};
pub use error::{DriverError, Unproven};
pub use interrupts::{ChosenInterrupts, InterruptUse};
pub use io::{Io, Windows};
pub use report::{Pending, Progress, RingReport};
pub use ringless::{NoRing, Unavailable};
pub use sequence::{Duty, Pace, Sequence, Step, Turn};
