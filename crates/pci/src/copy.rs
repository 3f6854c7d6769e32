//! Bytes copied in and out of memory that others may write meanwhile.

use vm_memory::{Bytes, VolatileSlice};

use crate::BusError;

/// Copies bytes out of memory.
///
/// # Errors
/// [`BusError::OutOfRange`]; then nothing was copied.
pub(crate) fn copy_out(memory: VolatileSlice<'_>, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
    let at = within(memory.len() as u64, offset, into.len())?;
    memory.read_slice(into, at).map_err(|_| BusError::Unmapped)
}

/// Copies bytes into memory.
///
/// # Errors
/// [`BusError::OutOfRange`]; then nothing was copied.
pub(crate) fn copy_in(memory: VolatileSlice<'_>, offset: u64, from: &[u8]) -> Result<(), BusError> {
    let at = within(memory.len() as u64, offset, from.len())?;
    memory.write_slice(from, at).map_err(|_| BusError::Unmapped)
}

/// The offset as an index, if `len` bytes from there on are within `size` bytes.
///
/// # Errors
/// [`BusError::OutOfRange`].
pub(crate) fn within(size: u64, offset: u64, len: usize) -> Result<usize, BusError> {
    let len = len as u64;
    match (offset.checked_add(len), usize::try_from(offset)) {
        (Some(end), Ok(offset)) if end <= size => Ok(offset),
        _ => Err(BusError::OutOfRange { offset, len }),
    }
}
