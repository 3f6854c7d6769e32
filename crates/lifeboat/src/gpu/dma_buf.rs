//! Buffers that devices share, also devices of different drivers.
//!
//! A buffer is exported by its device and imported by others. All of them, and every map, then reach the same bytes, and
//! the memory stays until the last of them has let go (LIFE-3). Host memory is simply given to one device more. Of a
//! buffer in VRAM the importing device is given the exporter's window: peer to peer, with no copy between. When the exporter is cut
//! off, the window has zeroes behind it, in one step: the importer's DMA goes on at the same bus addresses, and reaches
//! nobody (MAP-3). Its data is undefined from then on, as that of a map is.

use std::fmt;
use std::sync::Arc;

use lifeboat_pci::HostMemory;

use crate::calls::{Arguments, Bound};
use crate::gpu::buffer::{self, Buffer};
use crate::gpu::device::Users;
use crate::ledger::{Entry, Kind};
use crate::{CallError, Device, Placement};

/// A buffer for other devices to import. Cheap to clone; keeps the buffer, and with it the device that exported it, but
/// nothing of the hardware: that can go at any moment.
#[derive(Clone)]
pub struct DmaBuf(Arc<Exported>);

struct Exported {
    /// What others are given to reach.
    memory: Arc<HostMemory>,
    /// The exporter's.
    buffer: Buffer,
    _entry: Entry,
}

/// Arguments of `export`.
pub(crate) struct Export<'a>(pub(crate) &'a Buffer);

/// Arguments of `import`.
pub(crate) struct Import<'a>(pub(crate) &'a DmaBuf);

impl Arguments<Device> for Export<'_> {
    fn check(&self, users: &Users) -> Result<(), CallError> {
        users.owns(&self.0.0.device)
    }
}

impl Arguments<Device> for Import<'_> {
    /// Any will do.
    fn check(&self, _: &Users) -> Result<(), CallError> {
        Ok(())
    }
}

pub(crate) fn export(users: &Users, Export(buffer): Export<'_>) -> Result<DmaBuf, CallError> {
    let shared = &buffer.0;
    if let Some(origin) = shared.origin() {
        // Not a share of a share: whoever imports this has the first exporter's memory, and not by way of another device.
        return Ok(origin.clone());
    }
    let memory = match (shared.vram_offset(), shared.host_memory()) {
        (Some(offset), _) => Arc::new(HostMemory::of_peer(users.gpu.maps.open(shared, offset)?)),
        (None, Some(memory)) => memory.clone(),
        (None, None) => return Err(CallError::Invalid("the buffer has no memory")),
    };
    let exported = Exported { memory, buffer: buffer.clone(), _entry: users.ledger.enlist(Kind::Export) };
    Ok(DmaBuf(Arc::new(exported)))
}

pub(crate) fn import(bound: &Bound<'_, Device>, Import(dma_buf): Import<'_>) -> Result<Buffer, CallError> {
    let exported = &dma_buf.0;
    if bound.users().owns(&exported.buffer.0.device).is_ok() {
        // It has come home: the device reaches its own memory without a detour.
        return Ok(exported.buffer.clone());
    }
    buffer::imported(bound, dma_buf)
}

impl DmaBuf {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.0.buffer.size()
    }

    /// Where the memory is, for the device that exported it.
    pub fn placement(&self) -> Placement {
        self.0.buffer.placement()
    }

    pub(crate) fn memory(&self) -> &Arc<HostMemory> {
        &self.0.memory
    }
}

impl fmt::Debug for DmaBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaBuf").field("buffer", &self.0.buffer).finish_non_exhaustive()
    }
}
