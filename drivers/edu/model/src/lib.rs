//! `edu`, QEMU's educational device, in software: for the tests of its driver.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use lifeboat_pci::Iova;
use lifeboat_pci_model::{Card, Model, Upstream};
use parking_lot::Mutex;

/// The registers as QEMU's docs/specs/edu.rst describes them, written from that text alone.
pub struct Educational {
    revision: u32,
    registers: Mutex<Registers>,
    buffer: Mutex<[u8; 4096]>,
    /// The device takes its time: factorials are never done.
    pub is_slow: AtomicBool,
    /// The next factorial is never done. The device is busy until it is asked for another.
    pub hangs_once: AtomicBool,
    /// Transfers last until they are [ended](Educational::end_transfer).
    pub holds_transfers: AtomicBool,
    /// Its interrupts get lost.
    pub is_mute: AtomicBool,
    /// What liveness answers is wrong by so much.
    pub error: AtomicU32,
}

#[derive(Default)]
struct Registers {
    liveness: u32,
    factorial: u32,
    status: u32,
    sources: u32,
    /// From 0x80 on.
    dma: [u32; 7],
}

/// Number of the command register among those of a transfer.
const DMA_CMD: usize = 6;

impl Educational {
    /// A device of this revision.
    pub fn new(revision: u32) -> Self {
        Self {
            revision,
            registers: Mutex::default(),
            buffer: Mutex::new([0; 4096]),
            is_slow: AtomicBool::new(false),
            hangs_once: AtomicBool::new(false),
            holds_transfers: AtomicBool::new(false),
            is_mute: AtomicBool::new(false),
            error: AtomicU32::new(0),
        }
    }

    /// The status register, as the driver left it.
    pub fn status(&self) -> u32 {
        self.registers.lock().status
    }

    /// Makes the transfer that was held, if there is one.
    pub fn end_transfer(&self, upstream: &Upstream<'_>) {
        let command = std::mem::take(&mut self.registers.lock().dma[DMA_CMD]);
        if command & 1 != 0 {
            self.transfer(command, upstream);
        }
    }

    fn raise(&self, source: u32, upstream: &Upstream<'_>) {
        self.registers.lock().sources |= source;
        if !self.is_mute.load(SeqCst) {
            upstream.interrupt();
        }
    }

    fn transfer(&self, command: u32, upstream: &Upstream<'_>) {
        let [from, _, to, _, count, ..] = self.registers.lock().dma;
        let count = (count as usize).min(4096);
        let mut bytes = vec![0; count];
        if command & 2 == 0 {
            if upstream.read(Iova(from.into()), &mut bytes) {
                self.buffer.lock()[..count].copy_from_slice(&bytes);
            }
        } else {
            bytes.copy_from_slice(&self.buffer.lock()[..count]);
            upstream.write(Iova(to.into()), &bytes);
        }
        if command & 4 != 0 {
            self.raise(0x100, upstream);
        }
    }
}

impl Model for Educational {
    fn read(&self, register: u64) -> u32 {
        let registers = self.registers.lock();
        match register {
            0x00 => 0x0000_00ed | self.revision << 16,
            0x04 => !registers.liveness ^ self.error.load(SeqCst),
            0x08 => registers.factorial,
            0x20 => registers.status,
            0x24 => registers.sources,
            0x98 => registers.dma[DMA_CMD],
            _ => 0,
        }
    }

    fn write(&self, register: u64, value: u32, upstream: &Upstream<'_>) {
        let mut registers = self.registers.lock();
        match register {
            0x04 => registers.liveness = value,
            0x08 if self.is_slow.load(SeqCst) || self.hangs_once.swap(false, SeqCst) => registers.status |= 1,
            0x08 => {
                registers.status &= !1;
                registers.factorial = (1..=value).fold(1, u32::wrapping_mul);
                if registers.status & 0x80 != 0 {
                    drop(registers);
                    self.raise(1, upstream);
                }
            }
            0x20 => registers.status = registers.status & 1 | value & 0x80,
            0x64 => registers.sources &= !value,
            0x98 if self.holds_transfers.load(SeqCst) => registers.dma[DMA_CMD] = value,
            0x98 => {
                registers.status &= !1;
                drop(registers);
                self.transfer(value, upstream);
            }
            _ => {
                let of_transfer = usize::try_from(register.wrapping_sub(0x80) / 4).ok();
                if let Some(half) = of_transfer.and_then(|at| registers.dma.get_mut(at)) {
                    *half = value;
                }
            }
        }
    }
}

/// A card with a device of this revision.
pub fn card(revision: u32) -> Card<Educational> {
    Card::new(0x1234, 0x11e8, 1 << 20, Educational::new(revision))
}
