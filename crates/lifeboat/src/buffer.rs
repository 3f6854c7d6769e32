//! Buffers: memory for jobs, in VRAM or in host memory. They outlive the device if someone holds them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lifeboat_core::class::Refusal;
use lifeboat_lb1::{Target, regs};
use lifeboat_pci::{Bar, BusError, HostMemory};

use crate::device::Device;
use crate::hardware::Mapped;
use crate::ledger::{Entry, Kind};
use crate::{CallError, call};

/// Bytes of VRAM copied in one register section, which must stay short.
const VRAM_CHUNK: usize = 64 * 1024;
static ZEROS: [u8; VRAM_CHUNK] = [0; VRAM_CHUNK];

/// Where a buffer's memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On the device. Gone with it.
    Vram,
    /// In this process; the device reaches it by DMA. Keeps its contents when the device is lost.
    Host,
}

/// A buffer, zeroed when created. Cheap to clone; freed when the last clone, mapping and job is gone.
#[derive(Clone)]
pub struct Buffer(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) device: Device,
    size: u64,
    place: Place,
    _entry: Entry,
}

enum Place {
    /// Pages of VRAM.
    Vram(Range<u64>),
    Host(Mapped),
}

impl Buffer {
    pub(crate) fn new(device: &Device, placement: Placement, size: u64) -> Result<Self, CallError> {
        let _section = call::CREATE_BUFFER.enter_section(&device.0.link)?;
        if size == 0 {
            return Err(CallError::Invalid("a buffer needs at least one byte"));
        }
        let place = match placement {
            Placement::Vram => {
                let pages = device.0.vram.lock().allocate_range(size.div_ceil(regs::PAGE));
                Place::Vram(pages.map_err(|_| CallError::Exhausted("VRAM; free some buffers"))?)
            }
            Placement::Host => {
                let memory = HostMemory::new(size).map_err(|_| CallError::Exhausted("host memory"))?;
                let mapped = device.0.link.registers(|_, hardware| hardware.map(Arc::new(memory)));
                Place::Host(mapped.map_err(|error| match error {
                    lifeboat_lb1::DriverError::Bus(BusError::NoMemory) => CallError::Exhausted("bus addresses"),
                    _ => Refusal::Gone.into(),
                })?)
            }
        };
        let entry = device.0.ledger.enlist(Kind::Buffer);
        let buffer = Self(Arc::new(Shared { device: device.clone(), size, place, _entry: entry }));
        if placement == Placement::Vram {
            // Whoever had this VRAM before may have left something in it.
            buffer.0.clear()?;
        }
        Ok(buffer)
    }

    /// Size in bytes, as asked for.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Where its memory is.
    pub fn placement(&self) -> Placement {
        match self.0.place {
            Place::Vram(_) => Placement::Vram,
            Place::Host(_) => Placement::Host,
        }
    }

    /// Copies bytes out. Not ordered with jobs: wait for their fences.
    ///
    /// # Errors
    /// [`CallError::Invalid`] past the end; ENODEV for VRAM of a lost device. Host memory never fails for loss.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), CallError> {
        self.0.check(offset, into.len())?;
        match &self.0.place {
            Place::Host(mapped) => {
                call::READ_HOST.enter(&self.0.device.0.link)?;
                mapped.memory.read(offset, into).map_err(past_the_end)
            }
            Place::Vram(pages) => {
                let _section = call::READ_VRAM.enter_section(&self.0.device.0.link)?;
                let chunks = into.chunks_mut(VRAM_CHUNK);
                chunked(pages, offset, chunks, |at, chunk| self.0.vram(|bar| bar.read_bytes(at, chunk)))
            }
        }
    }

    /// Copies bytes in. Not ordered with jobs already submitted.
    ///
    /// # Errors
    /// As [`Buffer::read`].
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<(), CallError> {
        self.0.check(offset, from.len())?;
        match &self.0.place {
            Place::Host(mapped) => {
                call::WRITE_HOST.enter(&self.0.device.0.link)?;
                mapped.memory.write(offset, from).map_err(past_the_end)
            }
            Place::Vram(pages) => {
                let _section = call::WRITE_VRAM.enter_section(&self.0.device.0.link)?;
                let chunks = from.chunks(VRAM_CHUNK);
                chunked(pages, offset, chunks, |at, chunk| self.0.vram(|bar| bar.write_bytes(at, chunk)))
            }
        }
    }
}

/// Does each chunk at its place in VRAM.
fn chunked<C: AsRef<[u8]>>(
    pages: &Range<u64>,
    offset: u64,
    chunks: impl Iterator<Item = C>,
    mut copy: impl FnMut(u64, C) -> Result<(), CallError>,
) -> Result<(), CallError> {
    let mut at = pages.start * regs::PAGE + offset;
    for chunk in chunks {
        let bytes = chunk.as_ref().len() as u64;
        copy(at, chunk)?;
        at += bytes;
    }
    Ok(())
}

pub(crate) fn past_the_end(_: BusError) -> CallError {
    CallError::Invalid("the range reaches past the end of the buffer")
}

impl Shared {
    pub(crate) fn pages(&self) -> u64 {
        self.size.div_ceil(regs::PAGE)
    }

    pub(crate) fn target(&self) -> Target {
        match &self.place {
            Place::Vram(pages) => Target::Vram(pages.start * regs::PAGE),
            Place::Host(mapped) => Target::Host(mapped.iova),
        }
    }

    /// Where it begins in VRAM, if it is there.
    pub(crate) fn vram_offset(&self) -> Option<u64> {
        match &self.place {
            Place::Vram(pages) => Some(pages.start * regs::PAGE),
            Place::Host(_) => None,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Its memory in this process, if it is there.
    pub(crate) fn host_memory(&self) -> Option<&Arc<HostMemory>> {
        match &self.place {
            Place::Vram(_) => None,
            Place::Host(mapped) => Some(&mapped.memory),
        }
    }

    pub(crate) fn check(&self, offset: u64, len: usize) -> Result<(), CallError> {
        let end = offset.checked_add(len as u64);
        if end.is_some_and(|end| end <= self.size) {
            return Ok(());
        }
        Err(past_the_end(BusError::OutOfRange { offset, len: len as u64 }))
    }

    /// One access to VRAM, in a register section of its own.
    fn vram(&self, access: impl FnOnce(&(dyn Bar + Send + Sync)) -> Result<(), BusError>) -> Result<(), CallError> {
        let done = self.device.0.link.hardware.try_access_with(|hardware| access(hardware.vram()));
        match done {
            Some(Ok(())) => Ok(()),
            Some(Err(BusError::Unmapped)) | None => Err(Refusal::Gone.into()),
            Some(Err(error)) => Err(past_the_end(error)),
        }
    }

    fn clear(&self) -> Result<(), CallError> {
        let Place::Vram(pages) = &self.place else { return Ok(()) };
        let mut left = self.pages() * regs::PAGE;
        let chunks = std::iter::from_fn(|| {
            let bytes = usize::try_from(left).unwrap_or(VRAM_CHUNK).min(VRAM_CHUNK);
            left -= bytes as u64;
            (bytes > 0).then(|| &ZEROS[..bytes])
        });
        chunked(pages, 0, chunks, |at, chunk| self.vram(|bar| bar.write_bytes(at, chunk)))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        match &self.place {
            Place::Vram(pages) => self.device.0.vram.lock().free_range(pages.clone()),
            // After the binding there is no mapping left to take back.
            Place::Host(mapped) => {
                self.device.0.link.hardware.try_access_with(|hardware| hardware.unmap(mapped.iova));
            }
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("size", &self.size()).field("placement", &self.placement()).finish()
    }
}
