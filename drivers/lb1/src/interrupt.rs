//! What an interrupt means.

use lifeboat_core::health::Verdict;
use lifeboat_driver::DriverError;
use lifeboat_pci::Bar;

use crate::regs::{self, irq};
use crate::Lb1;

/// The sources that were pending, already acknowledged. May be none: the message was spurious.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupts(u32);

impl Interrupts {
    /// Rings that have written a sequence number.
    pub(crate) fn done(self) -> impl Iterator<Item = u8> {
        (0..regs::MAX_RINGS).filter(move |ring| self.0 & irq::ring_done(*ring) != 0)
    }

    /// Rings that have stopped with a fault.
    pub(crate) fn faulted(self) -> impl Iterator<Item = u8> {
        (0..regs::MAX_RINGS).filter(move |ring| self.0 & irq::ring_fault(*ring) != 0)
    }

    /// Whether a flip took effect.
    pub(crate) fn flipped(self) -> bool {
        self.0 & irq::FLIP != 0
    }

    /// Whether a vertical blank began.
    pub(crate) fn blanked(self) -> bool {
        self.0 & irq::VBLANK != 0
    }
}

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Reads and acknowledges the pending sources. May be called from an interrupt handler.
    ///
    /// # Errors
    /// [`DriverError::Gone`] if the register reads what it never can, or [`DriverError::Bus`].
    pub(crate) fn take_interrupts(&self) -> Result<Interrupts, DriverError> {
        let pending = self.read(regs::IRQ_STATUS)?;
        if pending & !irq::ALL != 0 {
            return match self.identity()? {
                Verdict::Dead => Err(DriverError::Gone),
                _ => Err(DriverError::Foreign { register: regs::IRQ_STATUS, value: pending }),
            };
        }
        if pending != 0 {
            self.write(regs::IRQ_STATUS, pending)?;
        }
        Ok(Interrupts(pending))
    }
}
