//! A PCI function and its slot in software, for models of devices: what the tests of a driver plug in
//! where there is no hardware.
//!
//! An author writes the registers ([`Model`]); the rest is here: configuration space, interrupts, DMA
//! through an IOMMU, and a [`Slot`] out of which the device can be pulled at any moment. What a driver
//! does that real hardware would punish is [noted](Card::mistakes).
//!
//! One register window, BAR 0, of 32-bit registers; one vector. For a device that needs more there is
//! `lifeboat-gpu`, the model of a whole GPU.
//!
//! ```
//! use lifeboat_pci::{Function as _, Slot as _};
//! use lifeboat_pci_model::{Card, Model, Slot, Upstream};
//!
//! /// Reads as what was written, inverted.
//! struct Inverter(std::sync::atomic::AtomicU32);
//!
//! impl Model for Inverter {
//!     fn read(&self, _register: u64) -> u32 {
//!         !self.0.load(std::sync::atomic::Ordering::SeqCst)
//!     }
//!
//!     fn write(&self, _register: u64, value: u32, _: &Upstream<'_>) {
//!         self.0.store(value, std::sync::atomic::Ordering::SeqCst);
//!     }
//! }
//!
//! let slot = Slot::new("0000:02:00.0");
//! slot.insert(Card::new(0x1234, 0x11e8, 0x1000, Inverter(0.into())));
//! let function = slot.function().unwrap();
//! let registers = function.bar(0)?;
//! registers.write32(4, 5)?;
//! assert_eq!(registers.read32(4)?, !5);
//! slot.remove();
//! assert_eq!(registers.read32(4)?, u32::MAX);
//! # Ok::<(), lifeboat_pci::BusError>(())
//! ```
#![forbid(unsafe_code)]

mod card;
mod config;
mod function;
mod interrupts;
mod iommu;
mod slot;

pub use card::{Card, Mistake, Model, Upstream};
pub use slot::Slot;
