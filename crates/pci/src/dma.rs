//! Host memory that a device can reach.

use core::fmt;

use crate::BusError;

/// An address as the device uses it on the bus (I/O virtual address). Not a CPU address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iova(pub u64);

impl Iova {
    /// This address moved up by `bytes`, or `None` past the end of the address space.
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }
}

impl fmt::Debug for Iova {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iova({:#x})", self.0)
    }
}

/// Host memory shared with the device.
///
/// It is ordinary RAM: it stays readable and writable when the device is gone. The device may change it at any
/// moment, so it is only ever copied in and out, never borrowed.
pub trait DmaMemory: Send {
    /// Where the device finds the first byte.
    fn iova(&self) -> Iova;

    /// Size in bytes.
    fn size(&self) -> u64;

    /// Copies bytes out.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`]; then nothing was copied.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError>;

    /// Copies bytes in. A later register write (a doorbell) is ordered after it.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`]; then nothing was copied.
    fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError>;
}
