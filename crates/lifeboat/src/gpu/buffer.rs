//! Buffers: memory for jobs, in VRAM or in host memory. They outlive the device if someone holds them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lifeboat_core::class::Refusal;
use lifeboat_driver::DriverError;
use lifeboat_lb1::{Target, regs};
use lifeboat_pci::{Bar, BusError, HostMemory};

use crate::CallError;
use crate::calls::{Arguments, Bound};
use crate::gpu::context;
use crate::gpu::device::{Device, Users};
use crate::gpu::dma_buf::DmaBuf;
use crate::hardware::Mapped;
use crate::ledger::{Entry, Kind};

/// Bytes of VRAM copied in one register section, which must stay short.
const VRAM_CHUNK: usize = 64 * 1024;
static ZEROS: [u8; VRAM_CHUNK] = [0; VRAM_CHUNK];

/// Where a buffer's memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On the device. Gone with it.
    Vram,
    /// In this process; the device reaches it by DMA. Keeps its contents when the device is lost. So does what was
    /// imported, as far as this device is concerned; but if it is another one's VRAM, it is gone with that.
    Host,
}

/// A buffer, zeroed when created. Cheap to clone; freed when the last clone, mapping and job is gone.
#[derive(Clone)]
pub struct Buffer(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) device: Device,
    size: u64,
    place: Place,
    /// Where it was imported from.
    origin: Option<DmaBuf>,
    _entry: Entry,
}

enum Place {
    /// Pages of VRAM.
    Vram(Range<u64>),
    Host(Mapped),
}

/// Arguments of `create-buffer`.
pub(crate) struct CreateBuffer {
    pub(crate) placement: Placement,
    pub(crate) size: u64,
}

/// Arguments of `read-host-buffer`.
pub(crate) struct ReadHost<'a>(Read<'a>);

/// Arguments of `read-vram-buffer`.
pub(crate) struct ReadVram<'a>(Read<'a>);

/// Arguments of `write-host-buffer`.
pub(crate) struct WriteHost<'a>(Write<'a>);

/// Arguments of `write-vram-buffer`.
pub(crate) struct WriteVram<'a>(Write<'a>);

struct Read<'a> {
    buffer: &'a Shared,
    offset: u64,
    into: &'a mut [u8],
}

struct Write<'a> {
    buffer: &'a Shared,
    offset: u64,
    from: &'a [u8],
}

impl Arguments<Device> for CreateBuffer {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        match self.size {
            0 => Err(CallError::Invalid("a buffer needs at least one byte")),
            size if size > context::ADDRESS_BYTES => {
                Err(CallError::Exhausted("addresses: no context can reach so much"))
            }
            _ => Ok(()),
        }
    }
}

impl Arguments<Device> for ReadHost<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        self.0.buffer.check(self.0.offset, self.0.into.len())
    }
}

impl Arguments<Device> for ReadVram<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        self.0.buffer.check(self.0.offset, self.0.into.len())
    }
}

impl Arguments<Device> for WriteHost<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        self.0.buffer.check(self.0.offset, self.0.from.len())
    }
}

impl Arguments<Device> for WriteVram<'_> {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        self.0.buffer.check(self.0.offset, self.0.from.len())
    }
}

pub(crate) fn create(bound: &Bound<'_, Device>, arguments: CreateBuffer) -> Result<Buffer, CallError> {
    let CreateBuffer { placement, size } = arguments;
    let device = bound.device();
    let place = match placement {
        Placement::Vram => {
            let pages = device.0.vram.lock().take(size.div_ceil(regs::PAGE));
            Place::Vram(pages.ok_or(CallError::Exhausted("VRAM; free some buffers"))?)
        }
        Placement::Host => {
            let memory = HostMemory::new(size).map_err(|_| CallError::Exhausted("host memory"))?;
            Place::Host(reach(bound, Arc::new(memory))?)
        }
    };
    let entry = device.0.ledger.enlist(Kind::Buffer);
    let buffer = Buffer(Arc::new(Shared { device: device.clone(), size, place, origin: None, _entry: entry }));
    if placement == Placement::Vram {
        // Whoever had this VRAM before may have left something in it.
        buffer.0.clear(bound)?;
    }
    Ok(buffer)
}

/// A buffer on the memory of another device's.
pub(crate) fn imported(bound: &Bound<'_, Device>, origin: &DmaBuf) -> Result<Buffer, CallError> {
    let device = bound.device().clone();
    let place = Place::Host(reach(bound, origin.memory().clone())?);
    let entry = device.0.ledger.enlist(Kind::Buffer);
    let shared = Shared { device, size: origin.size(), place, origin: Some(origin.clone()), _entry: entry };
    Ok(Buffer(Arc::new(shared)))
}

/// Gives the device memory to reach by DMA.
fn reach(bound: &Bound<'_, Device>, memory: Arc<HostMemory>) -> Result<Mapped, CallError> {
    let mapped = bound.link().hardware(|hardware| hardware.map(memory));
    mapped.map_err(|error| match error {
        DriverError::Bus(BusError::NoMemory) => CallError::Exhausted("bus addresses"),
        DriverError::Bus(BusError::Unsupported) => CallError::Invalid(
            "this device cannot reach another one's VRAM; copy to a buffer in host memory and share that",
        ),
        _ => Refusal::Gone.into(),
    })
}

pub(crate) fn read_host(_: &Users, ReadHost(read): ReadHost<'_>) -> Result<(), CallError> {
    let memory = read.buffer.host_memory().ok_or(NOT_IN_HOST_MEMORY)?;
    memory.read(read.offset, read.into).map_err(past_the_end)
}

pub(crate) fn write_host(_: &Users, WriteHost(write): WriteHost<'_>) -> Result<(), CallError> {
    let memory = write.buffer.host_memory().ok_or(NOT_IN_HOST_MEMORY)?;
    memory.write(write.offset, write.from).map_err(past_the_end)
}

pub(crate) fn read_vram(bound: &Bound<'_, Device>, ReadVram(read): ReadVram<'_>) -> Result<(), CallError> {
    let start = read.buffer.vram_offset().ok_or(NOT_IN_VRAM)? + read.offset;
    in_chunks(start, read.into.chunks_mut(VRAM_CHUNK), |at, chunk| on_vram(bound, |bar| bar.read_bytes(at, chunk)))?;
    // From where the device went, there are only ones. But a buffer may hold them, too.
    if read.into.last() == Some(&u8::MAX) {
        bound.registers(|lb1| lb1.check()).map_err(|_| Refusal::Gone)?;
    }
    Ok(())
}

pub(crate) fn write_vram(bound: &Bound<'_, Device>, WriteVram(write): WriteVram<'_>) -> Result<(), CallError> {
    let start = write.buffer.vram_offset().ok_or(NOT_IN_VRAM)? + write.offset;
    in_chunks(start, write.from.chunks(VRAM_CHUNK), |at, chunk| on_vram(bound, |bar| bar.write_bytes(at, chunk)))
}

impl Buffer {
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
        let read = Read { buffer: &self.0, offset, into };
        match self.placement() {
            Placement::Host => self.0.device.call(ReadHost(read)),
            Placement::Vram => self.0.device.call(ReadVram(read)),
        }
    }

    /// Copies bytes in. Not ordered with jobs already submitted.
    ///
    /// # Errors
    /// As [`Buffer::read`].
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<(), CallError> {
        let write = Write { buffer: &self.0, offset, from };
        match self.placement() {
            Placement::Host => self.0.device.call(WriteHost(write)),
            Placement::Vram => self.0.device.call(WriteVram(write)),
        }
    }
}

const NOT_IN_HOST_MEMORY: CallError = CallError::Invalid("the buffer is not in host memory");
const NOT_IN_VRAM: CallError = CallError::Invalid("the buffer is not in VRAM");

/// Does one chunk after the other, from `at` in VRAM on.
fn in_chunks<C: AsRef<[u8]>>(
    mut at: u64,
    chunks: impl Iterator<Item = C>,
    mut copy: impl FnMut(u64, C) -> Result<(), CallError>,
) -> Result<(), CallError> {
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

    /// Where it was imported from, if it was.
    pub(crate) fn origin(&self) -> Option<&DmaBuf> {
        self.origin.as_ref()
    }

    pub(crate) fn check(&self, offset: u64, len: usize) -> Result<(), CallError> {
        let end = offset.checked_add(len as u64);
        if end.is_some_and(|end| end <= self.size) {
            return Ok(());
        }
        Err(past_the_end(BusError::OutOfRange { offset, len: len as u64 }))
    }

    /// Fills it with zeroes.
    fn clear(&self, bound: &Bound<'_, Device>) -> Result<(), CallError> {
        let start = self.vram_offset().ok_or(NOT_IN_VRAM)?;
        let mut left = self.pages() * regs::PAGE;
        let chunks = std::iter::from_fn(|| {
            let bytes = usize::try_from(left).unwrap_or(VRAM_CHUNK).min(VRAM_CHUNK);
            left -= bytes as u64;
            (bytes > 0).then(|| &ZEROS[..bytes])
        });
        in_chunks(start, chunks, |at, chunk| on_vram(bound, |bar| bar.write_bytes(at, chunk)))
    }
}

/// One access to VRAM, in a register section of its own.
fn on_vram(
    bound: &Bound<'_, Device>,
    access: impl FnOnce(&(dyn Bar + Send + Sync)) -> Result<(), BusError>,
) -> Result<(), CallError> {
    match bound.hardware(|hardware| access(hardware.vram()?)) {
        Some(Ok(())) => Ok(()),
        Some(Err(BusError::Unmapped)) | None => Err(Refusal::Gone.into()),
        Some(Err(error)) => Err(past_the_end(error)),
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        match &self.place {
            // VRAM of a device that is gone is nobody's ever again. To note it as free takes
            // memory, which the way to a wedged device must not (WEDGE-5).
            Place::Vram(pages) if self.device.is_live() => self.device.0.vram.lock().give_back(pages.clone()),
            Place::Vram(_) => {}
            Place::Host(mapped) => self.device.0.undo().unmap(mapped.iova),
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("size", &self.size()).field("placement", &self.placement()).finish()
    }
}
