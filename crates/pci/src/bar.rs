//! Windows of device registers and memory.

use crate::BusError;

/// What a 32-bit read from a device that is no longer there returns. Some registers may legally hold it.
///
/// Reads of other widths give `MAX` of their type. The narrower a register, the likelier it holds that legally: a lost
/// device is told by a register that never reads all-ones.
pub const ALL_ONES: u32 = u32::MAX;

/// A BAR: a window of registers or device memory.
///
/// Accesses take `&self`; a register is shared with the hardware anyway. Values are little-endian on the bus and
/// native here.
///
/// An access to a register is one access on the bus, of the width that its name says, or it fails: a backend never makes
/// one access out of several, nor a wide one out of a narrow one, because registers can act when they are read or written.
/// Every backend has 32-bit accesses; one that cannot do another width answers [`BusError::Unsupported`], as the default
/// bodies here do. What a driver may do then about 64 bits is [`Halves`](crate::Halves).
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

    /// Reads one 8-bit register. [`u8::MAX`] from a device that is no longer there.
    ///
    /// # Errors
    /// As [`Bar::read32`] (no offset is misaligned), or [`BusError::Unsupported`].
    fn read8(&self, offset: u64) -> Result<u8, BusError> {
        let _ = offset;
        Err(BusError::Unsupported)
    }

    /// Writes one 8-bit register, and none of its neighbours. Posted.
    ///
    /// # Errors
    /// As [`Bar::read8`].
    fn write8(&self, offset: u64, value: u8) -> Result<(), BusError> {
        let _ = (offset, value);
        Err(BusError::Unsupported)
    }

    /// Reads one 16-bit register. [`u16::MAX`] from a device that is no longer there.
    ///
    /// # Errors
    /// As [`Bar::read32`] (for an offset that is not a multiple of 2), or [`BusError::Unsupported`].
    fn read16(&self, offset: u64) -> Result<u16, BusError> {
        let _ = offset;
        Err(BusError::Unsupported)
    }

    /// Writes one 16-bit register, and none of its neighbours. Posted.
    ///
    /// # Errors
    /// As [`Bar::read16`].
    fn write16(&self, offset: u64, value: u16) -> Result<(), BusError> {
        let _ = (offset, value);
        Err(BusError::Unsupported)
    }

    /// Reads one 64-bit register. [`u64::MAX`] from a device that is no longer there: all of it or nothing, since it is one
    /// access.
    ///
    /// # Errors
    /// As [`Bar::read32`] (for an offset that is not a multiple of 8), or [`BusError::Unsupported`] where that would take
    /// two accesses: a 32-bit processor, a 32-bit path to the device. Then [`Halves`](crate::Halves) is the driver's choice.
    fn read64(&self, offset: u64) -> Result<u64, BusError> {
        let _ = offset;
        Err(BusError::Unsupported)
    }

    /// Writes one 64-bit register. Posted.
    ///
    /// # Errors
    /// As [`Bar::read64`].
    fn write64(&self, offset: u64, value: u64) -> Result<(), BusError> {
        let _ = (offset, value);
        Err(BusError::Unsupported)
    }

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
