//! PCI access for drivers of devices that can vanish.
//!
//! Drivers are written against three small traits and never know what is behind them:
//!
//! - [`Bar`]: a window of device registers or memory,
//! - [`ConfigSpace`]: the configuration space and its capability list,
//! - [`DmaMemory`]: host memory the device can reach, with the address it uses ([`Iova`]).
//!
//! They are `no_std` and need no allocator, so a driver compiles unchanged into a kernel module. With the `std` feature
//! come the parts that only a process has: [`HostMemory`] and [`Function`], a whole PCI function as the hosted
//! framework sees it. The built-in GPU model implements them; a VFIO backend fits behind the same traits.
//!
//! | for | there is |
//! |---|---|
//! | registers that are not 32 bits wide | [`Bar::read8`] and so on; [`Halves`] where 64 bits take two accesses |
//! | capabilities | [`find_capability`], [`find_extended_capability`], [`serial_number`], [`irq_vectors`] |
//! | letting a function answer and start transfers | [`set_memory_decode`], [`set_bus_master`] |
//! | interrupts, resets, the link | [`IrqKind`], [`ResetKind`], [`LinkState`], as `Function` has them |
//!
//! What a backend need not have answers [`BusError::Unsupported`] by default.
//!
//! # What "fallible" means here
//!
//! A *vanished* device does not fail an access: as on a real bus, its reads give all-ones and its writes go nowhere
//! ([`ALL_ONES`]). An access fails with [`BusError`] only for what is wrong on this side: out of range, misaligned, or
//! a mapping that has been taken away. Telling "gone" from "really reads all-ones" is the driver's job (HEALTH-1).
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)] // but in `pages`, `window` and `sigbus`

mod bar;
mod config;
#[cfg(feature = "std")]
mod copy;
mod dma;
mod enable;
mod error;
mod extended;
#[cfg(feature = "std")]
mod function;
#[cfg(feature = "std")]
mod guarded;
mod halves;
mod irq;
mod link;
#[cfg(feature = "std")]
mod memory;
#[cfg(feature = "std")]
mod pages;
mod reset;
#[cfg(feature = "std")]
mod sigbus;
#[cfg(feature = "std")]
mod slot;
#[cfg(feature = "std")]
mod window;

pub use bar::{Bar, ALL_ONES};
pub use config::{command, find_capability, offset, CapabilityId, ConfigSpace, CONFIG_BYTES, EXTENDED_CONFIG_BYTES};
pub use dma::{DmaMemory, Iova};
pub use enable::{set_bus_master, set_memory_decode};
pub use error::BusError;
pub use extended::{find_extended_capability, serial_number, ExtendedCapabilityId};
#[cfg(feature = "std")]
pub use function::{Function, IrqHandler, VectorHandler};
pub use halves::Halves;
pub use irq::{irq_vectors, IrqKind};
pub use link::{LinkSpeed, LinkState};
#[cfg(feature = "std")]
pub use memory::HostMemory;
#[cfg(feature = "std")]
pub use pages::PAGE_SIZE;
pub use reset::{ResetKind, ResetKinds};
#[cfg(feature = "std")]
pub use slot::{Slot, SlotEvent, SlotWatcher};
#[cfg(feature = "std")]
pub use window::Window;
