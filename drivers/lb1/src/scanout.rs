//! What is shown.

use lifeboat_driver::gpu::Picture;
use lifeboat_driver::DriverError;
use lifeboat_pci::Bar;

use crate::regs::{self, irq};
use crate::Lb1;

/// The one refresh rate there is, in pictures per thousand seconds: a vertical blank every 16.666 ms.
pub const REFRESH_MILLIHERTZ: u32 = 60_002;
/// Most pixels in a row, and most rows: what the size register holds.
pub(crate) const MAX_SIDE: u16 = u16::MAX;

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Shows a picture in VRAM at once.
    ///
    /// # Errors
    /// [`DriverError::NoSuchThing`] if the offset does not fit the register, or [`DriverError::Bus`].
    pub fn show(&self, picture: Picture) -> Result<(), DriverError> {
        let base = scanout_base(picture.offset)?;
        self.write(regs::SCANOUT_CTRL, 0)?;
        self.write(regs::SCANOUT_BASE, base)?;
        self.write(regs::SCANOUT_PITCH, picture.pitch())?;
        self.write(regs::SCANOUT_SIZE, u32::from(picture.width) | u32::from(picture.height) << 16)?;
        self.write(regs::SCANOUT_CTRL, 1)
    }

    /// Shows another picture of the same size from the next vertical blank on; an interrupt reports it.
    ///
    /// # Errors
    /// As [`Lb1::show`].
    pub fn flip(&self, vram_offset: u64) -> Result<(), DriverError> {
        self.write(regs::FLIP_BASE, scanout_base(vram_offset)?)
    }

    /// Shows nothing any more. There are no vertical blanks then.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub fn turn_off(&self) -> Result<(), DriverError> {
        self.write(regs::SCANOUT_CTRL, 0)
    }

    /// Vertical blanks since the display was turned on, modulo 2^32.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub fn vblank_count(&self) -> Result<u32, DriverError> {
        self.read(regs::VBLANK_COUNT)
    }

    /// Has vertical blanks raise an interrupt, or no longer. One that began before reports nothing.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub fn watch_vblanks(&self, on: bool) -> Result<(), DriverError> {
        if on {
            self.write(regs::IRQ_STATUS, irq::VBLANK)?;
            return self.write(regs::IRQ_MASK, irq::ALL);
        }
        self.write(regs::IRQ_MASK, UNWATCHED)
    }

    /// The VRAM offset of the picture that is shown; `None` while the display is off.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub fn showing(&self) -> Result<Option<u64>, DriverError> {
        let (on, base) = (self.read(regs::SCANOUT_CTRL)? & 1 != 0, self.read(regs::SCANOUT_BASE)?);
        Ok(on.then_some(base.into()))
    }

    /// Whether a flip has been asked for and has not taken effect.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub fn flip_pending(&self) -> Result<bool, DriverError> {
        Ok(self.read(regs::FLIP_STATUS)? & 1 != 0)
    }
}

/// The interrupts that this driver always handles.
pub(crate) const UNWATCHED: u32 = irq::ALL & !irq::VBLANK;

fn scanout_base(vram_offset: u64) -> Result<u32, DriverError> {
    u32::try_from(vram_offset).ok().filter(|_| vram_offset % regs::PAGE == 0).ok_or(DriverError::NoSuchThing)
}
