//! What is shown.

use lifeboat_pci::Bar;

use crate::{regs, DriverError, Lb1};

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Shows a picture in VRAM at once.
    ///
    /// # Errors
    /// [`DriverError::NoSuchThing`] if the offset does not fit the register, or [`DriverError::Bus`].
    pub fn show(&self, vram_offset: u64, pitch: u32, width: u16, height: u16) -> Result<(), DriverError> {
        let base = scanout_base(vram_offset)?;
        self.write(regs::SCANOUT_CTRL, 0)?;
        self.write(regs::SCANOUT_BASE, base)?;
        self.write(regs::SCANOUT_PITCH, pitch)?;
        self.write(regs::SCANOUT_SIZE, u32::from(width) | u32::from(height) << 16)?;
        self.write(regs::SCANOUT_CTRL, 1)
    }

    /// Shows another picture of the same size from the next vertical blank on; an interrupt reports it.
    ///
    /// # Errors
    /// As [`Lb1::show`].
    pub fn flip(&self, vram_offset: u64) -> Result<(), DriverError> {
        self.write(regs::FLIP_BASE, scanout_base(vram_offset)?)
    }

    /// Whether a flip has been asked for and has not taken effect.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub fn flip_pending(&self) -> Result<bool, DriverError> {
        Ok(self.read(regs::FLIP_STATUS)? & 1 != 0)
    }
}

fn scanout_base(vram_offset: u64) -> Result<u32, DriverError> {
    u32::try_from(vram_offset).ok().filter(|_| vram_offset % regs::PAGE == 0).ok_or(DriverError::NoSuchThing)
}
