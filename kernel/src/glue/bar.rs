// SPDX-License-Identifier: GPL-2.0 OR MIT

//! BAR0 as `lifeboat-lb1` reads it.

use kernel::{io::Io, pci};
use lifeboat_driver::Windows;
use lifeboat_lb1::regs;
use lifeboat_pci::{Bar, BusError};

const SIZE: usize = regs::REGISTER_BAR_SIZE as usize;

/// BARs that a function can have.
pub(crate) const BARS: usize = 6;

/// The registers, for one section. Only [`crate::link::Link`] makes these.
pub(crate) struct Window<'section, 'bound> {
    bar: &'section pci::Bar<'bound, SIZE>,
    /// Of all BARs, in bytes.
    sizes: &'section [u64; BARS],
}

impl<'section, 'bound> Window<'section, 'bound> {
    pub(crate) fn new(bar: &'section pci::Bar<'bound, SIZE>, sizes: &'section [u64; BARS]) -> Self {
        Self { bar, sizes }
    }
}

// The kernel maps no VRAM.
impl Windows for Window<'_, '_> {
    fn window(&self, bar: u8) -> Result<&dyn Bar, BusError> {
        if bar == regs::REGISTER_BAR {
            Ok(self)
        } else {
            Err(BusError::NoSuchBar(bar))
        }
    }

    fn size(&self, bar: u8) -> Result<u64, BusError> {
        self.sizes.get(usize::from(bar)).copied().ok_or(BusError::NoSuchBar(bar))
    }
}

/// Why an access did not happen: the kernel's mapping refuses just these two.
fn refusal(offset: u64, len: u64) -> BusError {
    if offset % 4 == 0 {
        BusError::OutOfRange { offset, len }
    } else {
        BusError::Misaligned { offset }
    }
}

impl Bar for Window<'_, '_> {
    fn size(&self) -> u64 {
        Io::size(self.bar) as u64
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 4))?;
        self.bar.try_read32(at).map_err(|_| refusal(offset, 4))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 4))?;
        self.bar.try_write32(value, at).map_err(|_| refusal(offset, 4))
    }

    // BAR0 holds registers only; video memory is reached by the device's own copies.
    fn read_bytes(&self, _: u64, _: &mut [u8]) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }

    fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }
}
