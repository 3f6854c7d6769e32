//! What a binding has of the hardware. It lives inside a revocable, so it can be used only in a section, and it is
//! dropped when the binding is cut.

use std::collections::HashSet;
use std::sync::Arc;

use lifeboat_driver::{BarUse, DriverError, Windows};
use lifeboat_pci::{Bar, BusError, DmaMemory, Function, HostMemory, Iova};
use lifeboat_sync::lint::{self, Mutex};

use crate::locks;
use crate::windows::{Fuse, Fused};

/// The windows and DMA mappings of one binding.
pub struct Hardware {
    function: Arc<dyn Function>,
    /// The BARs that the driver uses, by number. At most six.
    windows: Vec<(u8, Fused)>,
    fuse: Fuse,
    /// Addresses the device can reach. Taken back on drop: nothing outlives the binding.
    mapped: Mutex<HashSet<Iova>>,
}

/// Host memory under the address at which one device reaches it.
///
/// The memory belongs to whoever holds this; the address ends with the binding.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// The memory.
    pub memory: Arc<HostMemory>,
    /// The address.
    pub iova: Iova,
}

impl DmaMemory for Mapped {
    fn iova(&self) -> Iova {
        self.iova
    }

    fn size(&self) -> u64 {
        self.memory.size()
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.memory.read(offset, into)
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        self.memory.write(offset, from)
    }
}

impl Hardware {
    /// Maps BARs of a function, and refuses one that is shorter than its driver needs.
    pub(crate) fn new(function: &Arc<dyn Function>, bars: &[BarUse]) -> Result<Self, DriverError> {
        let fuse = Fuse::default();
        let map = |&BarUse { number, bytes }: &BarUse| {
            let window = function.bar(number)?;
            if window.size() < bytes {
                return Err(DriverError::Impossible("a BAR is shorter than its driver needs"));
            }
            Ok((number, Fused::new(window, fuse.clone())))
        };
        let windows = bars.iter().map(map).collect::<Result<_, DriverError>>()?;
        Ok(Self { function: function.clone(), windows, fuse, mapped: Mutex::new(&locks::MAPPED, HashSet::new()) })
    }

    /// What takes the windows away from code that keeps them.
    pub(crate) fn fuse(&self) -> Fuse {
        self.fuse.clone()
    }

    /// A window. To be used inside a section: the only way here is through the link's revocable,
    /// and the lint looks all the same.
    #[track_caller]
    pub(crate) fn bar(&self, bar: u8) -> Result<&(dyn Bar + Send + Sync + 'static), BusError> {
        lint::register_access();
        let window = self.windows.iter().find(|(number, _)| *number == bar);
        let window = window.map(|(_, window)| -> &(dyn Bar + Send + Sync + 'static) { window });
        window.ok_or(BusError::NoSuchBar(bar))
    }

    pub(crate) fn map(&self, memory: Arc<HostMemory>) -> Result<Mapped, DriverError> {
        let iova = self.function.dma_map(&memory)?;
        self.mapped.lock().insert(iova);
        Ok(Mapped { memory, iova })
    }

    pub(crate) fn unmap(&self, iova: Iova) {
        if self.mapped.lock().remove(&iova) {
            self.unmap_on_bus(iova);
        }
    }

    fn unmap_on_bus(&self, iova: Iova) {
        if let Err(error) = self.function.dma_unmap(iova) {
            tracing::warn!(?iova, %error, "the bus did not know a mapping of ours");
        }
    }
}

impl Windows for Hardware {
    #[track_caller]
    fn window(&self, bar: u8) -> Result<&dyn Bar, BusError> {
        let window: &dyn Bar = self.bar(bar)?;
        Ok(window)
    }
}

/// At the cut; or, if a register section was still open when that gave up, at the end of that section, on its thread.
impl Drop for Hardware {
    fn drop(&mut self) {
        for iova in std::mem::take(self.mapped.get_mut()) {
            self.unmap_on_bus(iova);
        }
    }
}
