//! LB1, a PCI GPU as a model in software, made to be pulled out.
//!
//! A [`Card`] has what a real one has: configuration space, registers, video memory, engines that execute rings of
//! commands, DMA, interrupts, a display. It runs on threads of its own, so a driver meets the concurrency of hardware.
//! Beyond real hardware it can be told to misbehave ([`Fault`]) at a chosen moment ([`Trigger`]), and it keeps a record
//! of what its driver did wrong ([`Witness`]). docs/lb1.md is the reference a driver is written from.
//!
//! A [`Slot`] is where a card is plugged in and pulled out, and where a bus learns of it; its [`Slot::function`] hands
//! the card to a driver through the [`lifeboat_pci`] traits.
//!
//! What it is not: a driver, or any policy about loss. And not a timing model: commands take as long as their
//! arithmetic takes here.
//!
//! # How it is built
//!
//! - `board` is the card without its threads: every part below, and the accesses a bus makes. `function` is one front
//!   end to it, in this process; `endpoint` is the other, for servers; nothing below knows of them.
//! - Three kinds of threads: one per `ring`, which fetches and executes; one clock (`sequencer`), for vertical blanks
//!   and device resets; one that carries interrupts (`interrupts`). Only the last runs the driver's code, and no lock
//!   of the model is held then.
//! - `presence` is the instant of removal, and of a link that goes down and up: whatever crosses the bus, in either direction,
//!   does so inside its read lock.
//! - Locks are taken in this order: link, presence, device control, ring, and then one at a time the rest.
//!
//! # Examples
//! ```
//! use lifeboat_gpu::{Card, Config, Slot};
//! use lifeboat_lb1::regs;
//!
//! let slot = Slot::new("0000:01:00.0");
//! slot.insert(Card::new(Config::default())?)?;
//! let function = slot.function().ok_or("no card")?;
//! function.config().write16(lifeboat_pci::offset::COMMAND, lifeboat_pci::command::MEMORY)?;
//! let registers = function.bar(regs::REGISTER_BAR)?;
//! assert_eq!(registers.read32(regs::ID)?, regs::ID_VALUE);
//!
//! slot.remove();
//! assert_eq!(registers.read32(regs::ID)?, u32::MAX);
//! function.release();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod compute;

mod board;
mod card;
mod config;
mod config_space;
mod context;
mod counters;
mod device;
mod dma;
mod endpoint;
mod execute;
mod faults;
mod function;
mod gpu_memory;
mod halves;
mod interrupts;
mod iommu;
mod presence;
mod recorder;
mod registers;
mod ring;
mod scanout;
mod seqno;
mod sequencer;
mod slot;
mod witness;

pub use card::Card;
pub use config::Config;
pub use config_space::SWAPPED_DEVICE_ID;
pub use counters::Counters;
pub use endpoint::{Endpoint, ResetTimeout};
pub use faults::{Fault, Lasts, OnFault, Swap, Trigger};
pub use iommu::{DmaTarget, Iommu, MapError};
pub use recorder::{Recorder, RingSpan};
pub use scanout::{Picture, Scanout};
pub use slot::{Slot, SlotOccupied};
pub use witness::{LateAccess, Violation, Witness};
