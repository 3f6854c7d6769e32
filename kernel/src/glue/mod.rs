// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Where this module meets what the `kernel` crate does not offer safely: the only place with `unsafe`.
//!
//! Everything here has a safe face. What it relies on is said at each block; nothing relies on how the rest of the
//! driver behaves.

#![allow(unsafe_code)] // see above; denied in the rest of the crate

mod aperture;
mod bar;
pub(crate) mod coredump;
mod dma;
mod drm;
mod errors;
mod file;
mod function;
mod gem;
mod id;
mod irq;
pub(crate) mod lint;
mod mmap;
#[cfg_attr(not(CONFIG_MMU_NOTIFIER), path = "no_notifier.rs")]
mod notifier;
mod pages;
mod place;
mod prime;
mod reach;
mod registry;
mod reserved;
mod shim;
mod shrinker;
mod stretches;
mod sync_file;
mod syncobj;
mod task;
mod user;

pub(crate) use aperture::Aperture;
pub(crate) use bar::{Section, BARS};
pub(crate) use dma::Memory;
pub(crate) use drm::{wedged_event, Devices, DrmDevice, Nodes, Registration};
pub(crate) use errors::{handle_errors, Answer, Channel, ErrorHandlers};
pub(crate) use file::{Command, DrmFile, Opened, Printer};
pub(crate) use function::{tell_of_change, Enabled};
pub(crate) use gem::{jiffies_until, Content, Gem, Window};
pub(crate) use id::pci_id;
pub(crate) use irq::Interrupts;
pub(crate) use lifeboat_jobqueue::{call_off, disable, disable_delayed, OwnedQueue};
pub(crate) use notifier::{Notifier, Watch};
pub(crate) use pages::{Frame, Pages};
pub(crate) use place::Place;
pub(crate) use prime::{Attached, DmaBuf, SgTable};
pub(crate) use reach::{PageList, Reach, Reached, Stretch};
pub(crate) use registry::{registered, Registered};
pub(crate) use reserved::Reserved;
pub(crate) use shrinker::{Shrink, Shrinker};
pub(crate) use stretches::{Stretches, Taken};
pub(crate) use sync_file::SyncFile;
pub(crate) use syncobj::{Point, Syncobj};
pub(crate) use task::caller;
pub(crate) use user::{may_have_high_priority, Arguments, Plain};
