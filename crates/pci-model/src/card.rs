//! The card: a model's registers, and what is between them and a driver.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use lifeboat_pci::{ALL_ONES, Iova, IrqKind, command};
use parking_lot::Mutex;

use crate::config::Config;
use crate::interrupts::Interrupts;
use crate::iommu::Iommu;

/// The registers of a device, as an author writes them. Called by any thread, also by several at
/// once.
pub trait Model: Send + Sync + 'static {
    /// The value of a register. `register` is its offset in BAR 0, a multiple of 4.
    fn read(&self, register: u64) -> u32;

    /// A register is written. What the device does then it does here, or on a thread of its own.
    fn write(&self, register: u64, value: u32, upstream: &Upstream<'_>);
}

/// What a device can do of its own: reach memory, and interrupt. Nothing happens if it is not plugged
/// in, or was not allowed to.
pub struct Upstream<'a>(&'a dyn Board);

/// A mistake of a driver, which real hardware would punish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mistake {
    /// The device was made to start a transfer while bus mastering was off.
    TransferDisabled(Iova),
    /// The device was given an address behind which there is nothing.
    Unmapped(Iova),
    /// A register was used after the function was released.
    AccessReleased(u64),
}

/// What of a card does not depend on its model.
pub(crate) trait Board: Send + Sync {
    fn is_present(&self) -> bool;
    fn config(&self) -> &Config;
    fn interrupts(&self) -> &Interrupts;
    fn iommu(&self) -> &Iommu;
    /// Its interrupt vectors: of which kind, and how many.
    fn offered(&self) -> (IrqKind, u16);
    fn bar_bytes(&self) -> u64;
    fn note(&self, mistake: Mistake);
    fn read(&self, register: u64) -> u32;
    fn write(&self, register: u64, value: u32);
}

/// A device that can be plugged in.
pub struct Card<M: ?Sized> {
    present: AtomicBool,
    config: Config,
    interrupts: Interrupts,
    iommu: Iommu,
    offered: (IrqKind, u16),
    bar_bytes: u64,
    mistakes: Mutex<Vec<Mistake>>,
    model: M,
}

impl<M: Model> Card<M> {
    /// A device with these ids, and a BAR 0 of so many bytes.
    pub fn new(vendor: u16, device: u16, bar_bytes: u64, model: M) -> Self {
        Self {
            present: AtomicBool::new(true),
            config: Config::new(vendor, device),
            interrupts: Interrupts::default(),
            iommu: Iommu::default(),
            offered: (IrqKind::Msi, 1),
            bar_bytes,
            mistakes: Mutex::default(),
            model,
        }
    }

    /// The same device with so many interrupt vectors of this kind, and none of another; 0 for a device without
    /// interrupts. It has one MSI vector otherwise. It sends the first, whichever are turned on.
    #[must_use]
    pub fn offering(self, kind: IrqKind, vectors: u16) -> Self
    where
        M: Sized,
    {
        Self { offered: (kind, vectors), ..self }
    }

    /// The registers.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// What the driver has done wrong so far.
    pub fn mistakes(&self) -> Vec<Mistake> {
        self.mistakes.lock().clone()
    }

    /// Runs `f` as the device: for models whose device does something by itself.
    pub fn upstream<R>(&self, f: impl FnOnce(&M, &Upstream<'_>) -> R) -> R {
        f(&self.model, &Upstream(self))
    }

    pub(crate) fn pull(&self) -> bool {
        self.present.swap(false, SeqCst)
    }
}

impl<M: Model> Board for Card<M> {
    fn is_present(&self) -> bool {
        self.present.load(SeqCst)
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }

    fn iommu(&self) -> &Iommu {
        &self.iommu
    }

    fn offered(&self) -> (IrqKind, u16) {
        self.offered
    }

    fn bar_bytes(&self) -> u64 {
        self.bar_bytes
    }

    fn note(&self, mistake: Mistake) {
        self.mistakes.lock().push(mistake);
    }

    fn read(&self, register: u64) -> u32 {
        if self.is_present() { self.model.read(register) } else { ALL_ONES }
    }

    fn write(&self, register: u64, value: u32) {
        if self.is_present() {
            self.model.write(register, value, &Upstream(self));
        }
    }
}

impl Upstream<'_> {
    /// Copies memory into the device. `false` if there is none, or the device may not.
    pub fn read(&self, from: Iova, into: &mut [u8]) -> bool {
        self.may_transfer(from) && self.is_there(from, self.0.iommu().read(from, into))
    }

    /// Copies bytes of the device into memory. `false` as for [`Upstream::read`].
    pub fn write(&self, to: Iova, from: &[u8]) -> bool {
        self.may_transfer(to) && self.is_there(to, self.0.iommu().write(to, from))
    }

    /// Sends its interrupt, if the driver has turned it on.
    pub fn interrupt(&self) {
        if self.0.is_present() {
            self.0.interrupts().send();
        }
    }

    fn may_transfer(&self, at: Iova) -> bool {
        if !self.0.is_present() {
            return false;
        }
        let allowed = self.0.config().command() & command::BUS_MASTER != 0;
        if !allowed {
            self.0.note(Mistake::TransferDisabled(at));
        }
        allowed
    }

    fn is_there(&self, at: Iova, done: bool) -> bool {
        if !done {
            self.0.note(Mistake::Unmapped(at));
        }
        done
    }
}

impl<M: Model> fmt::Debug for Card<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card").field("present", &self.is_present()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Upstream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream(..)")
    }
}
