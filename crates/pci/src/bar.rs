//! Windows of device registers and memory.

use crate::BusError;

/// What a 32-bit read from a device that is no longer there returns. Some registers may legally hold it.
pub const ALL_ONES: u32 = u32::MAX;

/// A BAR: a window of registers or device memory.
///
/// Accesses take `&self`; a register is shared with the hardware anyway. Values are little-endian on the bus and
/// native here.
pub trait Bar {
    /// Size of the window in bytes.
    fn size(&self) -> u64;

    /// Reads one 32-bit register.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`], [`BusError::Misaligned`] (offset not a multiple of 4) or [`BusError::Unmapped`].
    fn read32(&self, offset: u64) -> Result<u32, BusError>;

    /// Writes one 32-bit register. Posted: returning says nothing about the device having seen it.
    ///
    /// # Errors
    /// As [`Bar::read32`].
    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError>;

    /// Copies bytes out of device memory. Not for registers: the access width is unspecified.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`] (then nothing was copied) or [`BusError::Unmapped`].
    fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError>;

    /// Copies bytes into device memory. Not for registers: the access width is unspecified.
    ///
    /// # Errors
    /// As [`Bar::read_bytes`].
    fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), BusError>;

    /// The file behind a part of the window, for a [`Window`](crate::Window) on it, and where that part begins in it.
    ///
    /// # Errors
    /// [`BusError::Unsupported`] if it cannot be mapped, [`BusError::OutOfRange`] or [`BusError::Unmapped`]; and what may be
    /// otherwise the next time: [`BusError::NoMemory`], [`BusError::TooManyFiles`].
    #[cfg(feature = "std")]
    fn backing(&self, offset: u64, bytes: u64) -> Result<(std::fs::File, u64), BusError> {
        let _ = (offset, bytes);
        Err(BusError::Unsupported)
    }
}
