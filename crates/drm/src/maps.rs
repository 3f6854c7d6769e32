//! Users' maps of buffers: memory of this process that is the buffer's, for as long as there is a device.
//!
//! A map outlives the device. When the binding is cut, what is behind the maps of VRAM is replaced by zeroes of the
//! process's own, in one step for each map, however large it is and whoever is using it (MAP-1); maps that are made
//! afterwards are such from the start (MAP-2). Only who made a map ends it. Maps of host memory keep their contents. What
//! other devices are given of VRAM ([`DmaBuf`](crate::DmaBuf)) is a map, too.

use std::fmt;
use std::fs::File;
use std::sync::{Arc, Weak};

use lifeboat::calls::Arguments;
use lifeboat::roster::{Number, Roster};
use lifeboat::{CallError, Entry, Link};
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu::{self, Gpu};
use lifeboat_pci::{BusError, HostMemory, Window};
use lifeboat_sync::lint::Mutex;

use crate::buffer::{self, Buffer};
use crate::device::Users;
use crate::{Device, kinds, locks};

/// A buffer in the address space of this process. Unmapped when dropped; keeps the buffer until then.
///
/// The device and others write there at any moment: bytes are copied in and out, or reached by volatile accesses through
/// [`CpuMap::as_ptr`]. No access ever fails or faults because of the device, whatever becomes of it.
pub struct CpuMap<G: Gpu> {
    memory: Memory,
    buffer: Arc<buffer::Shared<G>>,
    _entry: Entry,
}

enum Memory {
    Vram(Arc<Window>),
    Host(Arc<HostMemory>),
}

/// All maps of one device's VRAM, by users and by other devices.
pub(crate) struct Maps {
    link: Arc<Link>,
    memory: gpu::Vram,
    vram: Mutex<Vram>,
    windows: Arc<Windows>,
}

/// What is behind maps.
enum Vram {
    /// The file that is the VRAM, and where in it.
    There(File, u64),
    /// The system could not open it. It may the next time.
    NotYet,
    /// The device's VRAM is nothing that can be mapped.
    Never,
    /// There is no VRAM any more.
    Cut { could_be_mapped: bool },
}

/// The windows on VRAM that there are. A window that is dropped, wherever that is, takes itself
/// out.
type Windows = Mutex<Roster<Weak<Window>>>;

/// Kept by a window: its place among the others.
struct Place {
    windows: Arc<Windows>,
    number: Number,
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

impl Maps {
    /// Of a device with that VRAM. If it cannot be opened now, for want of memory or descriptors, that is tried again at each use.
    pub(crate) fn new(link: Arc<Link>, memory: gpu::Vram) -> Self {
        let vram = match backing(&link, memory) {
            Ok((file, start)) => Vram::There(file, start),
            Err(error) if is_passing(error) => Vram::NotYet,
            // A device whose VRAM cannot be mapped is one all the same.
            Err(_) => Vram::Never,
        };
        let windows = Arc::new(Mutex::new(&locks::WINDOWS, Roster::new()));
        Self { link, memory, vram: Mutex::sleeping(&locks::MAPS, vram), windows }
    }

    /// Whether the device is one whose VRAM can be mapped. Stays so after loss.
    pub(crate) fn can_map(&self) -> bool {
        !matches!(*self.vram.lock(), Vram::Never | Vram::Cut { could_be_mapped: false })
    }

    /// A window on so many bytes of VRAM, or on nothing.
    pub(crate) fn open(&self, offset: u64, bytes: u64) -> Result<Arc<Window>, CallError> {
        // Held over the mapping: a cut comes before, and then there is nothing to map, or finds the window.
        let mut vram = self.vram.lock();
        if matches!(*vram, Vram::NotYet) {
            drop(vram);
            let opened = backing(&self.link, self.memory);
            vram = self.vram.lock();
            match (&*vram, opened) {
                (Vram::NotYet, Ok((file, start))) => *vram = Vram::There(file, start),
                (Vram::NotYet, Err(BusError::TooManyFiles)) => return Err(CallError::TooManyFiles),
                (Vram::NotYet, Err(BusError::NoMemory)) => {
                    return Err(CallError::Exhausted("memory for the device's VRAM"));
                }
                // The device is gone, and its cut follows.
                (Vram::NotYet, Err(BusError::Unmapped)) => {}
                (Vram::NotYet, Err(_)) => *vram = Vram::Never,
                // Another thread was faster.
                _ => {}
            }
        }
        let window = match &*vram {
            Vram::There(file, start) => Window::map(file, start + offset, bytes),
            Vram::NotYet | Vram::Cut { could_be_mapped: true } => Window::dummy(bytes),
            Vram::Never | Vram::Cut { could_be_mapped: false } => {
                return Err(CallError::Invalid("this device's VRAM cannot be mapped, and so not shared either"));
            }
        };
        let window = window.map_err(|_| CallError::Exhausted("address space or maps; unmap some"))?;
        Ok(Arc::new_cyclic(|entry| {
            let number = self.windows.lock().add(entry.clone());
            window.keeping(Place { windows: self.windows.clone(), number })
        }))
    }

    /// Takes the VRAM from behind all maps that there are and will be. How many there were.
    pub(crate) fn cut(&self) -> usize {
        let mut vram = self.vram.lock();
        let could_be_mapped = !matches!(*vram, Vram::Never);
        let before = std::mem::replace(&mut *vram, Vram::Cut { could_be_mapped });
        drop(vram);
        drop(before);
        let windows = self.windows.lock().take_all();
        let mut cut = 0;
        for window in windows.filter_map(|window| window.upgrade()) {
            cut += 1;
            if let Err(error) = window.detach() {
                // The old pages stay: they are still memory, and that of the next binding if the device is only unbound.
                tracing::error!(%error, bytes = window.bytes(), "a map could not be taken off the device");
            }
        }
        cut
    }
}

/// The file behind the whole VRAM. [`BusError::Unmapped`] if the hardware has been taken away.
fn backing(link: &Link, memory: gpu::Vram) -> Result<(File, u64), BusError> {
    link.io(|io| Ok(io.bar(memory.bar)?.backing(0, memory.bytes)?)).map_err(|error| match error {
        DriverError::Bus(error) => error,
        _ => BusError::Unmapped,
    })
}

/// Whether it may be otherwise the next time.
fn is_passing(error: BusError) -> bool {
    matches!(error, BusError::NoMemory | BusError::TooManyFiles)
}

impl Drop for Place {
    fn drop(&mut self) {
        let entry = self.windows.lock().remove(self.number);
        // Freed after the lock.
        drop(entry);
    }
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
