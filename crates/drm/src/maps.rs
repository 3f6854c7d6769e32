//! Users' maps of buffers: memory of this process that is the buffer's, for as long as there is a device.
//!
//! A map outlives the device. When the binding is cut, what is behind the maps of VRAM is replaced by zeroes of the
//! process's own, in one step for each map, however large it is and whoever is using it (MAP-1); maps that are made
//! afterwards are such from the start (MAP-2). Only who made a map ends it. Maps of host memory keep their contents. What
//! other devices are given of VRAM ([`DmaBuf`](crate::DmaBuf)) is a map, too.

use std::fs::File;
use std::sync::{Arc, Weak};

use lifeboat::roster::{Number, Roster};
use lifeboat::{CallError, Link};
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu;
use lifeboat_pci::{BusError, Window};
use lifeboat_sync::lint::Mutex;

use crate::locks;

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
