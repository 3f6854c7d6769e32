//! The 256 bytes of configuration space.
//!
//! Each byte has a mask of the bits a write changes; that alone gives BAR sizing (write ones, read back the size).
//! Two registers also act: the command register gates accesses, DMA and messages, and one bit of the PCI Express
//! capability asks for a function-level reset.

use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};

use lifeboat_lb1::regs;
use lifeboat_pci::{CONFIG_BYTES, command, offset};
use parking_lot::Mutex;

/// Size of the space in bytes.
pub(crate) const SIZE: usize = 256;
const _: () = assert!(SIZE == CONFIG_BYTES as usize); // So the default of `ConfigSpace::size` is right.

/// The PCI Express capability: endpoint, version 2.
const PCIE: usize = 0x40;
/// Device capabilities: role-based error reporting, function-level reset.
const PCIE_DEVCAP: u32 = 1 << 15 | 1 << 28;
/// Device control, a 16-bit register.
const PCIE_DEVCTL: usize = PCIE + 0x08;
/// High byte of device control; its bit 7 is "initiate function-level reset", which reads 0.
const DEVCTL_HIGH: usize = PCIE_DEVCTL + 1;
const DEVCTL_HIGH_FLR: u8 = 1 << 7;
/// Function-level reset as the bus begins it: where, and the one byte. It changes no other bit of device control.
pub(crate) const FUNCTION_RESET: (u16, u8) = (0x49, DEVCTL_HIGH_FLR);
const _: () = assert!(FUNCTION_RESET.0 as usize == DEVCTL_HIGH);
/// Link capabilities and status: 2.5 GT/s, one lane. Nothing depends on it; tools print it.
const LINK: u8 = 0x11;
/// The link status register.
pub(crate) const LINK_STATUS: u16 = LINK as u16;

/// The MSI capability: 64-bit addresses, no per-vector masks.
const MSI: usize = 0x80;
const MSI_CONTROL: usize = MSI + 2;
const MSI_ENABLE: u8 = 1 << 0;
/// Vectors the driver enabled, as a power of two, in bits 6:4 of the control register.
const MSI_ENABLED_SHIFT: u8 = 4;
const MSI_64_BIT: u8 = 1 << 7;

/// The device ID of a card of another model, which is there after a [`Swap::Model`](crate::Swap::Model).
pub const SWAPPED_DEVICE_ID: u16 = 0x7357;
const _: () = assert!(SWAPPED_DEVICE_ID != regs::DEVICE_ID);

pub(crate) struct ConfigSpace {
    space: Mutex<Space>,
    /// Copies of what every access and every message asks for, kept under the lock of `space`.
    command: AtomicU16,
    vectors: AtomicU8,
}

/// The space as it is, and what it is made of.
struct Space {
    bytes: [u8; SIZE],
    card: Image,
}

impl ConfigSpace {
    /// `vram_bytes` at most 2^63.
    pub(crate) fn new(vram_bytes: u64) -> Self {
        let card = Image::of(regs::DEVICE_ID, vram_bytes);
        Self {
            space: Mutex::new(Space { bytes: card.bytes, card }),
            command: AtomicU16::new(0),
            vectors: AtomicU8::new(0),
        }
    }

    /// Another card is there, after power-on.
    pub(crate) fn swap(&self, device_id: u16, vram_bytes: u64) {
        let mut space = self.space.lock();
        space.card = Image::of(device_id, vram_bytes);
        space.bytes = space.card.bytes;
        self.publish(&space.bytes);
    }

    /// Reads bytes; past the end there are zeros.
    pub(crate) fn read(&self, offset: u16, into: &mut [u8]) {
        let space = self.space.lock();
        for (at, byte) in (usize::from(offset)..).zip(into) {
            *byte = space.bytes.get(at).copied().unwrap_or(0);
        }
    }

    /// Writes bytes. `true` if the write asks for a function-level reset.
    #[must_use]
    pub(crate) fn write(&self, offset: u16, from: &[u8]) -> bool {
        let mut space = self.space.lock();
        let Space { bytes, card } = &mut *space;
        let mut reset = false;
        for (at, value) in (usize::from(offset)..).zip(from) {
            if let (Some(byte), Some(mask)) = (bytes.get_mut(at), card.writable.get(at)) {
                *byte = *byte & !mask | value & mask;
                reset |= at == DEVCTL_HIGH && value & DEVCTL_HIGH_FLR != 0;
            }
        }
        self.publish(bytes);
        reset
    }

    /// Back to power-on values: what a function-level reset does.
    pub(crate) fn reset(&self) {
        let mut space = self.space.lock();
        space.bytes = space.card.bytes;
        self.publish(&space.bytes);
    }

    /// Whether the memory BARs answer.
    pub(crate) fn decodes_memory(&self) -> bool {
        self.command.load(Ordering::Acquire) & command::MEMORY != 0
    }

    /// Whether the card may start transfers.
    pub(crate) fn is_bus_master(&self) -> bool {
        self.command.load(Ordering::Acquire) & command::BUS_MASTER != 0
    }

    /// How many message vectors are enabled; 0 while messages are off.
    pub(crate) fn message_vectors(&self) -> u8 {
        if self.is_bus_master() { self.vectors.load(Ordering::Acquire) } else { 0 }
    }

    fn publish(&self, bytes: &[u8; SIZE]) {
        let at = usize::from(offset::COMMAND);
        self.command.store(u16::from_le_bytes([bytes[at], bytes[at + 1]]), Ordering::Release);
        let control = bytes[MSI_CONTROL];
        let enabled = (1 << (control >> MSI_ENABLED_SHIFT & 7)).min(regs::VECTORS);
        self.vectors.store(if control & MSI_ENABLE == 0 { 0 } else { enabled }, Ordering::Release);
    }
}

/// Size of the VRAM BAR: the next power of two, because a BAR has no other sizes.
pub(crate) const fn bar_size(vram_bytes: u64) -> u64 {
    vram_bytes.next_power_of_two()
}

/// Offset of the control register of the MSI capability.
pub(crate) const MSI_CONTROL_OFFSET: u16 = 0x82;
const _: () = assert!(MSI_CONTROL_OFFSET as usize == MSI_CONTROL);

/// The control register and the value that enables `vectors` (a power of two) messages.
pub(crate) fn msi_enable(vectors: u8) -> (u16, u16) {
    let exponent = vectors.trailing_zeros().to_le_bytes()[0];
    (MSI_CONTROL_OFFSET, u16::from(MSI_ENABLE | exponent << MSI_ENABLED_SHIFT))
}

/// What a card has in its space after power-on, and which bits of it a write changes.
struct Image {
    bytes: [u8; SIZE],
    writable: [u8; SIZE],
}

impl Image {
    /// `vram_bytes` at most 2^63.
    fn of(device_id: u16, vram_bytes: u64) -> Self {
        let mut image = Self { bytes: [0; SIZE], writable: [0; SIZE] };
        image.fixed(0x00, &regs::VENDOR_ID.to_le_bytes());
        image.fixed(0x02, &device_id.to_le_bytes());
        image.writable(0x04, &(command::MEMORY | command::BUS_MASTER | command::INTX_DISABLE).to_le_bytes());
        image.fixed(0x06, &[0x10, 0]); // status: there is a capability list
        image.fixed(0x09, &regs::CLASS_CODE.to_le_bytes()[..3]);
        image.writable(0x0c, &[0xff]); // cache line size: without effect, as PCI Express says
        image.bar(0, regs::REGISTER_BAR_SIZE, 0);
        image.bar(2, bar_size(vram_bytes), 0xc); // 64-bit, prefetchable
        image.fixed(0x2c, &regs::VENDOR_ID.to_le_bytes());
        image.fixed(0x2e, &regs::DEVICE_ID.to_le_bytes());
        image.fixed(usize::from(offset::CAPABILITIES), &[0x40]);
        image.writable(0x3c, &[0xff]); // interrupt line: a note of the host's; there is no interrupt pin

        image.fixed(PCIE, &[0x10, 0x80, 0x02, 0x00]);
        image.fixed(PCIE + 0x04, &PCIE_DEVCAP.to_le_bytes());
        image.writable(PCIE_DEVCTL, &[0xff, 0x7f]);
        image.fixed(PCIE + 0x0c, &[LINK]);
        image.fixed(PCIE + 0x12, &[LINK]);

        let offered = regs::VECTORS.trailing_zeros().to_le_bytes()[0] << 1;
        image.fixed(MSI, &[0x05, 0x00, MSI_64_BIT | offered, 0x00]);
        image.writable(MSI_CONTROL, &[MSI_ENABLE | 7 << MSI_ENABLED_SHIFT]);
        image.writable(MSI + 0x04, &[0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        image
    }

    fn fixed(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn writable(&mut self, at: usize, mask: &[u8]) {
        self.writable[at..at + mask.len()].copy_from_slice(mask);
    }

    /// A BAR of a power-of-two size; `flags` decide whether it takes up one register or two.
    fn bar(&mut self, index: usize, size: u64, flags: u8) {
        let at = usize::from(offset::BAR0) + 4 * index;
        let width = if flags & 4 == 0 { 4 } else { 8 };
        self.fixed(at, &[flags]);
        self.writable(at, &(!(size - 1)).to_le_bytes()[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read32(space: &ConfigSpace, offset: u16) -> u32 {
        let mut bytes = [0; 4];
        space.read(offset, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    #[test]
    fn bars_tell_their_size_and_keep_their_flags() {
        let space = ConfigSpace::new(64 << 20);
        for bar in [0x10, 0x18, 0x1c] {
            let _ = space.write(bar, &[0xff; 4]);
        }
        assert_eq!(read32(&space, 0x10), !(0x4_0000 - 1));
        assert_eq!(read32(&space, 0x18), !((64 << 20) - 1) | 0xc);
        assert_eq!(read32(&space, 0x1c), u32::MAX);
        assert_eq!(read32(&space, 0x14), 0);
    }

    #[test]
    fn large_vram_is_sized_across_both_halves() {
        let space = ConfigSpace::new(3 << 31);
        let _ = space.write(0x18, &[0xff; 8]);
        assert_eq!((read32(&space, 0x18), read32(&space, 0x1c)), (0xc, 0xffff_fffe));
    }

    #[test]
    fn identity_is_read_only() {
        let space = ConfigSpace::new(4096);
        assert!(!space.write(0, &[0; 4]));
        assert_eq!(read32(&space, 0), 0x0001_4c42);
        assert_eq!(read32(&space, 8) >> 8, regs::CLASS_CODE);
    }

    #[test]
    fn messages_need_enable_and_bus_mastering() {
        let space = ConfigSpace::new(4096);
        let (at, value) = msi_enable(4);
        assert!(!space.write(at, &value.to_le_bytes()));
        assert_eq!(space.message_vectors(), 0);
        assert!(!space.write(4, &[4, 0]));
        assert_eq!(space.message_vectors(), 4);
        assert!(space.write(0x48, &[0, 0x80]), "FLR");
        assert_eq!(read32(&space, 0x48) & 0x8000, 0);
        space.reset();
        assert_eq!(space.message_vectors(), 0);
        assert!(!space.is_bus_master());
    }
}
