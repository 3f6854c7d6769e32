// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Where this module meets what the `kernel` crate does not offer safely: the only place with `unsafe`.
//!
//! Everything here has a safe face. What it relies on is said at each block; nothing relies on how the rest of the
//! driver behaves.

#![allow(unsafe_code)] // see above; denied in the rest of the crate

mod bar;
mod dma;
mod drm;
mod file;
mod function;
mod id;
mod irq;
pub(crate) mod lint;
mod registry;
mod shim;
mod user;

pub(crate) use bar::{Section, BARS};
pub(crate) use dma::Memory;
pub(crate) use drm::{Devices, DrmDevice, Nodes, Registration};
pub(crate) use file::{Command, DrmFile, Opened, Printer};
pub(crate) use function::Enabled;
pub(crate) use id::pci_id;
pub(crate) use irq::Interrupts;
pub(crate) use lifeboat_jobqueue::{disable, disable_delayed, OwnedQueue};
pub(crate) use registry::{registered, Registered};
pub(crate) use user::{Arguments, Plain};
