//! A second driver, of a GPU that has little. It shows that the kernel's shell is the shell of any driver (DRV-2).
//!
//! The hardware is LB1's, of which this driver knows a part: one ring, eight contexts with eight segments each, and
//! pages of 16 KiB. To this driver it is a GPU without video memory, screen, heartbeat and liveness register; its ring
//! cannot be reset alone, tells neither why nor where it stands, and reports in memory. Commands have an encoding of
//! their own. Only the register map and the form of what stands in a ring are taken from `lifeboat-lb1`.
//!
//! All that the GPU lacks is left out, as any author would leave it out: what the functions of
//! [`Driver`](lifeboat_driver::Driver) do by default is what this driver does.
//!
//! | module | concept |
//! |---|---|
//! | [`command`] | what users may ask for, and its encoding |
//! | `driver` | the GPU, as a shell drives it |
//! | `gpu` | its contexts and commands, for the subsystem |
//! | `registers` | the registers, and what a device says of itself |
//! | `ring` | writing jobs, and the report in memory |
//! | `restart` | bring-up, reset and shutdown, as steps |
#![no_std]
#![forbid(unsafe_code)]

pub mod command;
mod driver;
mod gpu;
mod registers;
mod restart;
mod ring;

pub use driver::SecondDriver;
pub use registers::Info;
