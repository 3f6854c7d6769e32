//! BAR0: which offset is which register.
//!
//! Unused offsets read 0 and ignore writes. While a device reset is under way, or after one that failed, nothing can be
//! written but the request for another.

use lifeboat_lb1::regs::{self, device_ctrl};

use crate::board::Board;
use crate::device::Phase;
use crate::faults::Condition;
use crate::halves::half;
use crate::ring::Ring;

impl Board {
    /// Reads the register at a multiple of 4.
    pub(crate) fn read_register(&self, offset: u64) -> u32 {
        match offset {
            regs::ID => self.id(),
            regs::VERSION => regs::VERSION_VALUE,
            regs::CAPS => u32::from_le_bytes([self.ring_count(), regs::CONTEXT_COUNT, regs::SEGMENT_COUNT, 0]),
            // At most 2^20: `Card::new` sees to it.
            regs::VRAM_PAGES => half(self.vram_bytes() / regs::PAGE, 0),
            regs::SERIAL => self.serial(),
            regs::DEVICE_CTRL | regs::DEVICE_STATUS | regs::HEARTBEAT | regs::LIVENESS | regs::SCRATCH => {
                self.control.read(offset)
            }
            regs::IRQ_STATUS => self.interrupts.status(),
            regs::IRQ_MASK => self.interrupts.mask(),
            regs::SCANOUT_CTRL..=regs::VBLANK_COUNT => self.scanout.read(offset),
            regs::RINGS..regs::CONTEXTS => match self.ring_at(offset) {
                Some((ring, regs::RING_SEQNO)) => self.seqnos.get(ring.index()),
                Some((ring, register)) => ring.read(register),
                None => 0,
            },
            regs::CONTEXTS..regs::REGISTER_BAR_SIZE => self.contexts.read(offset - regs::CONTEXTS),
            _ => 0,
        }
    }

    /// Writes the register at a multiple of 4.
    pub(crate) fn write_register(&self, offset: u64, value: u32) {
        if offset == regs::DEVICE_CTRL {
            return self.write_device_ctrl(value);
        }
        if self.control.phase() != Phase::Ready {
            if let Some((ring, regs::RING_TAIL)) = self.ring_at(offset) {
                ring.doorbell(self, value); // for the witness; the ring is held
            }
            return;
        }
        match offset {
            regs::LIVENESS => self.control.set_liveness(value),
            regs::SCRATCH => self.control.set_scratch(value),
            regs::IRQ_STATUS => self.interrupts.clear(value),
            regs::IRQ_MASK => self.interrupts.set_mask(&self.outlet(), value),
            regs::IRQ_FORCE => self.raise(value),
            regs::SCANOUT_CTRL => {
                self.scanout.set_enabled(value & 1 != 0, self.control.is_enabled());
                if value & 1 == 0 {
                    self.faults.conditions.end_unless_timed(Condition::StuckScanout);
                }
                self.control.wake();
            }
            regs::SCANOUT_BASE..=regs::VBLANK_COUNT => self.scanout.write(offset, value),
            regs::RINGS..regs::CONTEXTS => match self.ring_at(offset) {
                Some((ring, regs::RING_TAIL)) => ring.doorbell(self, value),
                Some((ring, regs::RING_CTRL)) => ring.control(self, value),
                Some((ring, regs::RING_SEQNO)) => ring.set_seqno(&self.seqnos, value),
                Some((ring, register)) => ring.write(register, value),
                None => {}
            },
            regs::CONTEXTS..regs::REGISTER_BAR_SIZE => self.contexts.write(offset - regs::CONTEXTS, value),
            _ => {}
        }
    }

    fn write_device_ctrl(&self, value: u32) {
        if value & device_ctrl::RESET != 0 {
            self.begin_device_reset();
        } else if self.control.set_enabled(value & device_ctrl::ENABLE != 0) {
            self.scanout.set_running(self.control.is_enabled());
            self.control.wake();
            for ring in &self.rings {
                ring.wake();
            }
        }
    }

    /// The ring whose registers hold `offset`, and the offset within them.
    fn ring_at(&self, offset: u64) -> Option<(&Ring, u64)> {
        let within = offset.checked_sub(regs::RINGS).filter(|_| offset < regs::CONTEXTS)?;
        let ring = self.rings.get(usize::try_from(within / regs::RING_STRIDE).ok()?)?;
        Some((ring, within % regs::RING_STRIDE))
    }
}
