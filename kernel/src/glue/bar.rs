// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The BARs, as a driver reaches them.

use kernel::{
    devres::DevresGuard,
    io::Io,
    pci::{self, DevresBar},
};
use lifeboat_driver::Windows;
use lifeboat_pci::{Bar, BusError};

/// BARs that a function can have.
pub(crate) const BARS: usize = 6;

/// All windows of a function, for one section. Only [`crate::link::Link`] asks for these.
pub(crate) struct Section<'a> {
    windows: [Option<Result<Window<'a>, BusError>>; BARS],
    /// Of all BARs, in bytes.
    sizes: &'a [u64; BARS],
}

/// The window of a BAR, which stays mapped as long as this lives.
struct Window<'a>(DevresGuard<'a, pci::Bar<'static>>);

impl<'a> Section<'a> {
    pub(crate) fn new(mapped: &'a [Option<DevresBar>; BARS], sizes: &'a [u64; BARS]) -> Self {
        let window = |bar: &'a DevresBar| bar.try_access().map(Window).ok_or(BusError::Unmapped);
        Self { windows: mapped.each_ref().map(|bar| bar.as_ref().map(window)), sizes }
    }
}

impl Windows for Section<'_> {
    fn window(&self, bar: u8) -> Result<&dyn Bar, BusError> {
        match self.windows.get(usize::from(bar)) {
            Some(Some(Ok(window))) => Ok(window),
            Some(Some(Err(error))) => Err(*error),
            _ => Err(BusError::NoSuchBar(bar)),
        }
    }

    fn size(&self, bar: u8) -> Result<u64, BusError> {
        match self.sizes.get(usize::from(bar)) {
            Some(0) | None => Err(BusError::NoSuchBar(bar)),
            Some(bytes) => Ok(*bytes),
        }
    }
}

/// Why an access of `len` bytes did not happen: the kernel's mapping refuses just these two.
fn refusal(offset: u64, len: u64) -> BusError {
    if offset % len == 0 {
        BusError::OutOfRange { offset, len }
    } else {
        BusError::Misaligned { offset }
    }
}

impl Bar for Window<'_> {
    fn size(&self) -> u64 {
        Io::size(&*self.0) as u64
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 4))?;
        self.0.try_read32(at).map_err(|_| refusal(offset, 4))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 4))?;
        self.0.try_write32(value, at).map_err(|_| refusal(offset, 4))
    }

    fn read8(&self, offset: u64) -> Result<u8, BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 1))?;
        self.0.try_read8(at).map_err(|_| refusal(offset, 1))
    }

    fn write8(&self, offset: u64, value: u8) -> Result<(), BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 1))?;
        self.0.try_write8(value, at).map_err(|_| refusal(offset, 1))
    }

    fn read16(&self, offset: u64) -> Result<u16, BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 2))?;
        self.0.try_read16(at).map_err(|_| refusal(offset, 2))
    }

    fn write16(&self, offset: u64, value: u16) -> Result<(), BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 2))?;
        self.0.try_write16(value, at).map_err(|_| refusal(offset, 2))
    }

    // A 32-bit processor has no such access: there the trait's default says `Unsupported`.
    #[cfg(CONFIG_64BIT)]
    fn read64(&self, offset: u64) -> Result<u64, BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 8))?;
        self.0.try_read64(at).map_err(|_| refusal(offset, 8))
    }

    #[cfg(CONFIG_64BIT)]
    fn write64(&self, offset: u64, value: u64) -> Result<(), BusError> {
        let at = usize::try_from(offset).map_err(|_| refusal(offset, 8))?;
        self.0.try_write64(value, at).map_err(|_| refusal(offset, 8))
    }

    // The kernel's windows hold registers only; video memory is reached by the device's own copies.
    fn read_bytes(&self, _: u64, _: &mut [u8]) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }

    fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }
}
