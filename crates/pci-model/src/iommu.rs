//! Which memory a device reaches, and under which addresses.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_pci::{HostMemory, Iova, PAGE_SIZE};
use parking_lot::{Mutex, MutexGuard};

/// The first address that is given out. Address 0 leads nowhere.
const FIRST: u64 = 1 << 20;

#[derive(Default)]
pub(crate) struct Iommu(Mutex<Mappings>);

#[derive(Default)]
struct Mappings {
    by_address: BTreeMap<u64, Arc<HostMemory>>,
    /// Bytes of address space that have been given out, ever: an old address never leads elsewhere.
    given: u64,
}

impl Iommu {
    /// Maps memory, a page apart from all other.
    pub(crate) fn map(&self, memory: &Arc<HostMemory>) -> Iova {
        let mut mappings = self.lock();
        let at = FIRST + mappings.given;
        mappings.given += memory.size().next_multiple_of(PAGE_SIZE) + PAGE_SIZE;
        mappings.by_address.insert(at, memory.clone());
        Iova(at)
    }

    /// Takes a mapping back; `false` if there is none.
    pub(crate) fn unmap(&self, at: Iova) -> bool {
        let memory = self.lock().by_address.remove(&at.0);
        memory.is_some()
    }

    pub(crate) fn clear(&self) {
        let mappings = std::mem::take(&mut self.lock().by_address);
        drop(mappings);
    }

    pub(crate) fn read(&self, from: Iova, into: &mut [u8]) -> bool {
        self.find(from).is_some_and(|(memory, offset)| memory.read(offset, into).is_ok())
    }

    pub(crate) fn write(&self, to: Iova, from: &[u8]) -> bool {
        self.find(to).is_some_and(|(memory, offset)| memory.write(offset, from).is_ok())
    }

    /// The memory behind an address, and where in it.
    fn find(&self, at: Iova) -> Option<(Arc<HostMemory>, u64)> {
        let mappings = self.lock();
        let (first, memory) = mappings.by_address.range(..=at.0).next_back()?;
        Some((memory.clone(), at.0 - first))
    }

    fn lock(&self) -> MutexGuard<'_, Mappings> {
        self.0.lock()
    }
}
