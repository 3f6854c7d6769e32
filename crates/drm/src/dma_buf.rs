//! Buffers that devices share, also devices of different drivers.
//!
//! A buffer is exported by its device and imported by others. All of them, and every map, then reach the same bytes, and
//! the memory stays until the last of them has let go (LIFE-3). Host memory is simply given to one device more. Of a
//! buffer in VRAM the importing device is given the exporter's window: peer to peer, with no copy between. When the exporter is cut
//! off, the window has zeroes behind it, in one step: the importer's DMA goes on at the same bus addresses, and reaches
//! nobody (MAP-3). Its data is undefined from then on, as that of a map is.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use lifeboat::calls::{Arguments, Bound};
use lifeboat::{CallError, Entry};
use lifeboat_driver::gpu::Gpu;
use lifeboat_pci::HostMemory;

use crate::buffer::{self, Buffer};
use crate::device::Users;
use crate::{Device, Placement, kinds};

/// A buffer for other devices to import. Cheap to clone; keeps the buffer, and with it the device that exported it, but
/// nothing of the hardware: that can go at any moment.
#[derive(Clone)]
pub struct DmaBuf(Arc<Exported>);

struct Exported {
    /// What others are given to reach.
    memory: Arc<HostMemory>,
    /// The exporter's buffer, of whatever driver.
    buffer: Arc<dyn Any + Send + Sync>,
    /// In bytes, as asked for.
    size: u64,
    placement: Placement,
    _entry: Entry,
}

/// Arguments of `export`.
pub(crate) struct Export<'a, G: Gpu>(pub(crate) &'a Buffer<G>);

/// Arguments of `import`.
pub(crate) struct Import<'a>(pub(crate) &'a DmaBuf);

impl<G: Gpu> Arguments<Device<G>> for Export<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.owns(&self.0.0.device)
    }
}

impl<G: Gpu> Arguments<Device<G>> for Import<'_> {
    /// Any will do.
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        Ok(())
    }
}

pub(crate) fn export<G: Gpu>(users: &Users<G>, Export(buffer): Export<'_, G>) -> Result<DmaBuf, CallError> {
    let shared = &buffer.0;
    if let Some(origin) = shared.origin() {
        // Not a share of a share: whoever imports this has the first exporter's memory, and not by way of another device.
        return Ok(origin.clone());
    }
    let memory = match (shared.vram_offset(), shared.host_memory()) {
        (Some(offset), _) => Arc::new(HostMemory::of_peer(users.gpu.maps()?.open(offset, shared.whole_bytes())?)),
        (None, Some(memory)) => memory.clone(),
        (None, None) => return Err(CallError::Invalid("the buffer has no memory")),
    };
    let (size, placement) = (buffer.size(), buffer.placement());
    let entry = users.ledger.enlist(kinds::EXPORT);
    let exported = Exported { memory, buffer: shared.clone(), size, placement, _entry: entry };
    Ok(DmaBuf(Arc::new(exported)))
}

pub(crate) fn import<G: Gpu>(
    bound: &Bound<'_, Device<G>>,
    Import(dma_buf): Import<'_>,
) -> Result<Buffer<G>, CallError> {
    match dma_buf.0.buffer.clone().downcast::<buffer::BufferInner<G>>() {
        // It has come home: the device reaches its own memory without a detour.
        Ok(own) if bound.users().owns(&own.device).is_ok() => Ok(Buffer(own)),
        _ => buffer::imported(bound, dma_buf),
    }
}

impl DmaBuf {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Where the memory is, for the device that exported it.
    pub fn placement(&self) -> Placement {
        self.0.placement
    }

    pub(crate) fn memory(&self) -> &Arc<HostMemory> {
        &self.0.memory
    }
}

impl fmt::Debug for DmaBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaBuf")
            .field("size", &self.0.size)
            .field("placement", &self.0.placement)
            .finish_non_exhaustive()
    }
}
