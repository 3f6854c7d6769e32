// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A buffer: memory for jobs, in host memory or on the device.

use kernel::{page::PAGE_SIZE, prelude::*, sync::Arc};
use lifeboat_driver::gpu::Gpu;

use super::{binding::Stretches, host::Host, imported::Imported, vram::Vram};
use crate::device::Device;
use crate::glue::{DmaBuf, Frame, SgTable, Window};
use crate::registration::Driven;

/// Buffers are whole pages, for the processor as for the device.
pub(super) const UNIT: u64 = if Driven::PAGE > PAGE_SIZE as u64 { Driven::PAGE } else { PAGE_SIZE as u64 };
const _: () = assert!(UNIT % Driven::PAGE == 0 && UNIT % PAGE_SIZE as u64 == 0);
/// No context can reach more.
const MOST_BYTES: u64 = (Driven::ADDRESSES.end - Driven::ADDRESSES.start) * Driven::PAGE;

/// Where a buffer's memory is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In host memory, allocated at once.
    Host,
    /// In host memory, allocated at the first use.
    Lazy,
    /// On the device.
    Vram,
}

/// Memory, as the device reaches it.
pub(super) enum Target {
    /// Host memory, which may be in several stretches.
    Host(Stretches),
    /// Byte offset in video memory.
    Vram(u64),
}

/// See the module documentation.
pub(crate) struct Buffer {
    device: Arc<Device>,
    bytes: usize,
    place: Place,
}

enum Place {
    Host(Arc<Host>),
    Vram(Vram),
    Imported(Arc<Imported>),
}

impl Buffer {
    /// A zeroed buffer of at least so many bytes. Call it in a section of the gate. EINVAL for no byte, ENOSPC if there is
    /// no room in video memory.
    pub(crate) fn new(device: &Arc<Device>, bytes: u64, placement: Placement) -> Result<Self> {
        let bytes = bytes.checked_next_multiple_of(UNIT).filter(|bytes| *bytes > 0).ok_or(EINVAL)?;
        if bytes > MOST_BYTES {
            return Err(if placement == Placement::Vram { ENOSPC } else { ENOMEM });
        }
        let place = match placement {
            Placement::Vram => Place::Vram(video_memory(device, bytes)?),
            Placement::Host | Placement::Lazy => {
                let host = Host::new(usize::try_from(bytes)? / PAGE_SIZE)?;
                if placement == Placement::Host {
                    host.allocate()?;
                }
                Place::Host(host)
            }
        };
        Ok(Self::of(device, usize::try_from(bytes)?, place))
    }

    /// A buffer on another driver's. Call it in a section of the gate.
    pub(crate) fn imported(device: &Arc<Device>, origin: DmaBuf) -> Result<Self> {
        let bytes = origin.bytes();
        let imported = Imported::new(origin, &device.memory.lending)?;
        Ok(Self::of(device, bytes, Place::Imported(imported)))
    }

    fn of(device: &Arc<Device>, bytes: usize, place: Place) -> Self {
        device.memory.count_buffer(1);
        Self { device: device.clone(), bytes, place }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether maps of it are of the device's memory, while there is a device.
    pub(crate) fn is_device_memory(&self) -> bool {
        matches!(self.place, Place::Vram(_))
    }

    /// Where it was imported from.
    pub(crate) fn origin(&self) -> Option<&DmaBuf> {
        match &self.place {
            Place::Imported(imported) => Some(&imported.origin),
            _ => None,
        }
    }

    /// Whether users can map it.
    pub(crate) fn can_be_mapped(&self) -> bool {
        true
    }

    /// Whether it can be made known to other devices.
    pub(crate) fn can_be_exported(&self) -> bool {
        !matches!(self.place, Place::Imported(_))
    }

    /// Bytes of memory that it takes now. Takes no lock.
    pub(crate) fn resident(&self) -> usize {
        match &self.place {
            Place::Host(host) => host.resident(),
            Place::Vram(_) => self.bytes,
            Place::Imported(_) => 0,
        }
    }

    /// Calls `insert` with the frame that a map shows at a page: the buffer's, or, once the device is lost, the one that
    /// takes the place of all its video memory. Whoever ends that waits until `insert` has returned.
    pub(crate) fn with_frame<T>(&self, page: usize, insert: impl FnOnce(Frame) -> T) -> Result<T> {
        if page >= self.bytes / PAGE_SIZE {
            return Err(EINVAL);
        }
        match &self.place {
            Place::Host(host) => host.with_frame(page, insert),
            Place::Vram(vram) => match self.device.enter() {
                Some(_section) => Ok(insert(vram.frame(page))),
                None => vram.dummy().map(insert),
            },
            Place::Imported(_) => Err(EINVAL),
        }
    }

    /// The memory as the device reaches it from now on, until the binding ends. Call it in a section of the gate, after
    /// [`Buffer::begin_use`].
    pub(super) fn target(&self) -> Result<Target> {
        match &self.place {
            Place::Host(host) => host.reach(&self.device.memory.lending).map(Target::Host),
            Place::Imported(imported) => imported.reach().map(Target::Host),
            Place::Vram(vram) => Ok(Target::Vram(vram.offset())),
        }
    }

    /// From here on the contents are kept, whatever was [advised](Buffer::advise).
    pub(super) fn begin_use(&self) {
        if let Place::Host(host) = &self.place {
            host.begin_use();
        }
    }

    pub(super) fn end_use(&self) {
        if let Place::Host(host) = &self.place {
            host.end_use();
        }
    }

    /// Another device attaches to it. EOPNOTSUPP if that could not reach it.
    pub(crate) fn attach_other(&self) -> Result {
        match &self.place {
            Place::Host(host) => {
                host.begin_use();
                Ok(())
            }
            _ => Err(EOPNOTSUPP),
        }
    }

    pub(crate) fn detach_other(&self) {
        self.end_use();
    }

    /// Its pages for another driver, whose device is attached.
    pub(crate) fn table(&self) -> Result<SgTable> {
        match &self.place {
            Place::Host(host) => host.table(),
            _ => Err(EOPNOTSUPP),
        }
    }

    /// Says whether the contents are needed; `window` is the buffer's place in users' maps. Returns whether they are still
    /// there.
    pub(crate) fn advise(&self, needed: bool, window: Window) -> Result<bool> {
        let Place::Host(host) = &self.place else { return Ok(true) };
        self.device.memory.spare.advise(host, needed, window)
    }

    /// Whether the contents may be given up. Takes no lock.
    pub(crate) fn is_purgeable(&self) -> bool {
        matches!(&self.place, Place::Host(host) if host.is_spare())
    }

    pub(crate) fn map_opened(&self) {
        self.device.memory.count_map(1);
    }

    pub(crate) fn map_closed(&self) {
        self.device.memory.count_map(-1);
    }
}

/// A stretch of video memory, without what its last user left there.
fn video_memory(device: &Device, bytes: u64) -> Result<Vram> {
    let taken = device.memory.vram.as_ref().ok_or(ENOSPC)?.take(bytes)?;
    let aperture = device.memory.lending.aperture()?;
    aperture.clear(taken.start(), taken.bytes(), || device.link.is_ending())?;
    let first = aperture.frame(taken.start()).ok_or(ENOSPC)?;
    Vram::new(taken, first)
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = &self.device.memory;
        match &self.place {
            Place::Host(host) => {
                memory.spare.forget(host);
                host.leave(&memory.lending);
            }
            Place::Imported(imported) => imported.leave(&memory.lending),
            Place::Vram(_) => {}
        }
        memory.count_buffer(-1);
    }
}
