//! A buffer in the address space of this process.

use std::fmt;
use std::sync::Arc;

use lifeboat::calls::Arguments;
use lifeboat::{CallError, Entry};
use lifeboat_driver::gpu::Gpu;
use lifeboat_pci::{HostMemory, Window};

use crate::buffer::{self, Buffer};
use crate::device::{Device, Users};
use crate::kinds;

/// A buffer in the address space of this process. Unmapped when dropped; keeps the buffer until then.
///
/// The device and others write there at any moment: bytes are copied in and out, or reached by volatile accesses through
/// [`CpuMap::as_ptr`]. No access ever fails or faults because of the device, whatever becomes of it.
pub struct CpuMap<G: Gpu> {
    memory: Memory,
    buffer: Arc<buffer::BufferInner<G>>,
    _entry: Entry,
}

enum Memory {
    Vram(Arc<Window>),
    Host(Arc<HostMemory>),
}

/// Arguments of `mmap`.
pub(crate) struct Mmap<'a, G: Gpu>(pub(crate) &'a Buffer<G>);

impl<G: Gpu> Arguments<Device<G>> for Mmap<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.owns(&self.0.0.device)
    }
}

pub(crate) fn mmap<G: Gpu>(users: &Users<G>, Mmap(buffer): Mmap<'_, G>) -> Result<CpuMap<G>, CallError> {
    let shared = &buffer.0;
    let memory = match (shared.vram_offset(), shared.host_memory()) {
        (Some(offset), _) => Memory::Vram(users.gpu.maps()?.open(offset, shared.whole_bytes())?),
        (None, Some(memory)) => Memory::Host(memory.clone()),
        (None, None) => return Err(CallError::Invalid("the buffer has no memory")),
    };
    Ok(CpuMap { memory, buffer: shared.clone(), _entry: users.ledger.enlist(kinds::MAP) })
}

impl<G: Gpu> CpuMap<G> {
    /// Length in bytes, as the buffer's.
    pub fn size(&self) -> u64 {
        self.buffer.size()
    }

    /// The first address. Valid as long as this map; see [`CpuMap`] for how to use it.
    pub fn as_ptr(&self) -> *mut u8 {
        match &self.memory {
            Memory::Vram(window) => window.as_ptr(),
            Memory::Host(memory) => memory.as_ptr(),
        }
    }

    /// Copies bytes out. After loss they are undefined, or what was written since.
    ///
    /// # Errors
    /// [`CallError::Invalid`] past the end.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), CallError> {
        self.buffer.check(offset, into.len())?;
        match &self.memory {
            Memory::Vram(window) => window.read(offset, into),
            Memory::Host(memory) => memory.read(offset, into),
        }
        .map_err(buffer::past_the_end)
    }

    /// Copies bytes in. After loss they reach nobody else.
    ///
    /// # Errors
    /// As [`CpuMap::read`].
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<(), CallError> {
        self.buffer.check(offset, from.len())?;
        match &self.memory {
            Memory::Vram(window) => window.write(offset, from),
            Memory::Host(memory) => memory.write(offset, from),
        }
        .map_err(buffer::past_the_end)
    }
}

impl<G: Gpu> fmt::Debug for CpuMap<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuMap").field("at", &self.as_ptr()).field("size", &self.size()).finish()
    }
}
