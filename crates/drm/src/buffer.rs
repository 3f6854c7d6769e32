//! Buffers: memory for jobs, in VRAM or in host memory. They outlive the device if someone holds them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lifeboat::calls::{Arguments, Bound};
use lifeboat::{CallError, Entry, Mapped};
use lifeboat_core::class::Refusal;
use lifeboat_core::health::Verdict;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu::{Gpu, Target};
use lifeboat_pci::{Bar, BusError, HostMemory};

use crate::device::{self, Device, Users};
use crate::dma_buf::DmaBuf;
use crate::drm::NO_VRAM;
use crate::kinds;
use crate::pages;
use crate::pixels::Pixels;

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
pub struct Buffer<G: Gpu>(pub(crate) Arc<BufferInner<G>>);

pub(crate) struct BufferInner<G: Gpu> {
    pub(crate) device: Device<G>,
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
pub(crate) struct ReadHost<'a, G: Gpu>(Read<'a, G>);

/// Arguments of `read-vram-buffer`.
pub(crate) struct ReadVram<'a, G: Gpu>(Read<'a, G>);

/// Arguments of `write-host-buffer`.
pub(crate) struct WriteHost<'a, G: Gpu>(Write<'a, G>);

/// Arguments of `write-vram-buffer`.
pub(crate) struct WriteVram<'a, G: Gpu>(Write<'a, G>);

struct Read<'a, G: Gpu> {
    buffer: &'a BufferInner<G>,
    offset: u64,
    into: &'a mut [u8],
}

struct Write<'a, G: Gpu> {
    buffer: &'a BufferInner<G>,
    offset: u64,
    from: &'a [u8],
}

impl<G: Gpu> Arguments<Device<G>> for CreateBuffer {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        match self.size {
            0 => Err(CallError::Invalid("a buffer needs at least one byte")),
            size if size > pages::address_bytes::<G>() => {
                Err(CallError::Exhausted("addresses: no context can reach so much"))
            }
            _ => Ok(()),
        }
    }
}

impl<G: Gpu> Arguments<Device<G>> for ReadHost<'_, G> {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        self.0.buffer.check(self.0.offset, self.0.into.len())
    }
}

impl<G: Gpu> Arguments<Device<G>> for ReadVram<'_, G> {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        self.0.buffer.check(self.0.offset, self.0.into.len())
    }
}

impl<G: Gpu> Arguments<Device<G>> for WriteHost<'_, G> {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        self.0.buffer.check(self.0.offset, self.0.from.len())
    }
}

impl<G: Gpu> Arguments<Device<G>> for WriteVram<'_, G> {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        self.0.buffer.check(self.0.offset, self.0.from.len())
    }
}

pub(crate) fn create<G: Gpu>(bound: &Bound<'_, Device<G>>, arguments: CreateBuffer) -> Result<Buffer<G>, CallError> {
    let CreateBuffer { placement, size } = arguments;
    let device = bound.device();
    let place = match placement {
        Placement::Vram => {
            let pages = device.0.vram.as_ref().ok_or(NO_VRAM)?.lock().take(size.div_ceil(G::PAGE));
            Place::Vram(pages.ok_or(CallError::Exhausted("VRAM; free some buffers"))?)
        }
        Placement::Host => {
            let memory =
                HostMemory::new(size.next_multiple_of(G::PAGE)).map_err(|_| CallError::Exhausted("host memory"))?;
            Place::Host(reach(bound, Arc::new(memory))?)
        }
    };
    let entry = device.0.ledger.enlist(kinds::BUFFER);
    let buffer = Buffer(Arc::new(BufferInner { device: device.clone(), size, place, origin: None, _entry: entry }));
    if placement == Placement::Vram {
        // Whoever had this VRAM before may have left something in it.
        buffer.0.clear(bound)?;
    }
    Ok(buffer)
}

/// A buffer on the memory of another device's.
pub(crate) fn imported<G: Gpu>(bound: &Bound<'_, Device<G>>, origin: &DmaBuf) -> Result<Buffer<G>, CallError> {
    let device = bound.device().clone();
    let place = Place::Host(reach(bound, origin.memory().clone())?);
    let entry = device.0.ledger.enlist(kinds::BUFFER);
    let shared = BufferInner { device, size: origin.size(), place, origin: Some(origin.clone()), _entry: entry };
    Ok(Buffer(Arc::new(shared)))
}

/// Gives the device memory to reach by DMA.
fn reach<G: Gpu>(bound: &Bound<'_, Device<G>>, memory: Arc<HostMemory>) -> Result<Mapped, CallError> {
    let mapped = device::link(bound).map(memory);
    mapped.map_err(|error| match error {
        DriverError::Bus(BusError::NoMemory) => CallError::Exhausted("bus addresses"),
        DriverError::Bus(BusError::Unsupported) => CallError::Invalid(
            "this device cannot reach another one's VRAM; copy to a buffer in host memory and share that",
        ),
        _ => Refusal::Gone.into(),
    })
}

pub(crate) fn read_host<G: Gpu>(_: &Users<G>, ReadHost(read): ReadHost<'_, G>) -> Result<(), CallError> {
    let memory = read.buffer.host_memory().ok_or(NOT_IN_HOST_MEMORY)?;
    memory.read(read.offset, read.into).map_err(past_the_end)
}

pub(crate) fn write_host<G: Gpu>(_: &Users<G>, WriteHost(write): WriteHost<'_, G>) -> Result<(), CallError> {
    let memory = write.buffer.host_memory().ok_or(NOT_IN_HOST_MEMORY)?;
    memory.write(write.offset, write.from).map_err(past_the_end)
}

pub(crate) fn read_vram<G: Gpu>(
    bound: &Bound<'_, Device<G>>,
    ReadVram(read): ReadVram<'_, G>,
) -> Result<(), CallError> {
    let start = read.buffer.vram_offset().ok_or(NOT_IN_VRAM)? + read.offset;
    in_chunks(start, read.into.chunks_mut(VRAM_CHUNK), |at, chunk| on_vram(bound, |bar| bar.read_bytes(at, chunk)))?;
    // From where the device went, there are only ones. But a buffer may hold them, too.
    if read.into.last() == Some(&u8::MAX) {
        let presence = device::link(bound).io(G::presence).map_err(|_| Refusal::Gone)?;
        if presence == Verdict::Dead {
            device::link(bound).lost(Loss::FellOff);
            return Err(Refusal::Gone.into());
        }
    }
    Ok(())
}

pub(crate) fn write_vram<G: Gpu>(
    bound: &Bound<'_, Device<G>>,
    WriteVram(write): WriteVram<'_, G>,
) -> Result<(), CallError> {
    let start = write.buffer.vram_offset().ok_or(NOT_IN_VRAM)? + write.offset;
    in_chunks(start, write.from.chunks(VRAM_CHUNK), |at, chunk| on_vram(bound, |bar| bar.write_bytes(at, chunk)))
}

impl<G: Gpu> Clone for Buffer<G> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<G: Gpu> Buffer<G> {
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

impl<G: Gpu> BufferInner<G> {
    pub(crate) fn pages(&self) -> u64 {
        self.size.div_ceil(G::PAGE)
    }

    /// Size in bytes, in whole pages of the device.
    pub(crate) fn whole_bytes(&self) -> u64 {
        self.pages() * G::PAGE
    }

    pub(crate) fn target(&self) -> Target {
        match &self.place {
            Place::Vram(pages) => Target::Vram(pages.start * G::PAGE),
            Place::Host(mapped) => Target::Host(mapped.iova),
        }
    }

    /// Where it begins in VRAM, if it is there.
    pub(crate) fn vram_offset(&self) -> Option<u64> {
        match &self.place {
            Place::Vram(pages) => Some(pages.start * G::PAGE),
            Place::Host(_) => None,
        }
    }

    /// It as a picture; `None` if it is not in VRAM.
    pub(crate) fn pixels(self: &Arc<Self>) -> Option<Pixels> {
        Some(Pixels::new(self.vram_offset()?, self.clone()))
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
    fn clear(&self, bound: &Bound<'_, Device<G>>) -> Result<(), CallError> {
        let start = self.vram_offset().ok_or(NOT_IN_VRAM)?;
        let mut left = self.whole_bytes();
        let chunks = std::iter::from_fn(|| {
            let bytes = usize::try_from(left).unwrap_or(VRAM_CHUNK).min(VRAM_CHUNK);
            left -= bytes as u64;
            (bytes > 0).then(|| &ZEROS[..bytes])
        });
        in_chunks(start, chunks, |at, chunk| on_vram(bound, |bar| bar.write_bytes(at, chunk)))
    }
}

/// One access to VRAM, in a register section of its own.
fn on_vram<G: Gpu>(
    bound: &Bound<'_, Device<G>>,
    access: impl FnOnce(&dyn Bar) -> Result<(), BusError>,
) -> Result<(), CallError> {
    let vram = bound.users().gpu.has.vram.ok_or(NO_VRAM)?;
    match device::link(bound).io(|io| Ok(access(io.bar(vram.bar)?)?)) {
        Ok(()) => Ok(()),
        Err(DriverError::Bus(error)) if error != BusError::Unmapped => Err(past_the_end(error)),
        Err(_) => Err(Refusal::Gone.into()),
    }
}

impl<G: Gpu> Drop for BufferInner<G> {
    fn drop(&mut self) {
        match &self.place {
            // VRAM of a device that is gone is nobody's ever again. To note it as free takes
            // memory, which the way to a wedged device must not (WEDGE-5).
            Place::Vram(pages) if self.device.is_live() => {
                self.device.0.vram.iter().for_each(|vram| vram.lock().give_back(pages.clone()));
            }
            Place::Vram(_) => {}
            Place::Host(mapped) => self.device.0.undo().unmap(mapped.iova),
        }
    }
}

impl<G: Gpu> fmt::Debug for Buffer<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("size", &self.size()).field("placement", &self.placement()).finish()
    }
}
