//! An IOMMU in small: which bus addresses lead to which host memory.
//!
//! A transfer reaches only what is mapped, page by page; a copy may cross from one mapping into the next. Unmapping
//! waits for the transfers under way, so that a page taken back is not written any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_pci::{BusError, HostMemory, PAGE_SIZE};
use parking_lot::RwLock;

/// Memory that a device can be given. [`HostMemory`] in this process; a guest's memory behind a server.
pub(crate) trait DmaTarget: Send + Sync {
    /// Size in bytes, a multiple of the page size.
    fn size(&self) -> u64;
    /// Copies bytes out.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError>;
    /// Copies bytes in.
    fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError>;
}

impl DmaTarget for HostMemory {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        Self::read(self, offset, into)
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        Self::write(self, offset, from)
    }
}

/// The first bus address that is not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotMapped(pub(crate) u64);

/// Where [`Iommu::allocate`] begins: above 4 GiB, so that a driver that drops the high half is found out.
const FIRST_IOVA: u64 = 1 << 32;
/// Where it ends: PCI Express devices commonly drive 48 bits at least.
const LAST_IOVA: u64 = 1 << 47;

pub(crate) struct Iommu {
    table: RwLock<Table>,
}

struct Table {
    /// By first bus address; no two overlap.
    mappings: BTreeMap<u64, Arc<dyn DmaTarget>>,
    next: u64,
    random: u64,
}

impl Iommu {
    /// `seed` decides where allocated mappings lie.
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: RwLock::new(Table { mappings: BTreeMap::new(), next: FIRST_IOVA, random: seed }) }
    }

    /// Maps memory at an address of the IOMMU's choice, with unmapped pages around it.
    pub(crate) fn allocate(&self, memory: Arc<dyn DmaTarget>) -> Result<u64, BusError> {
        let mut table = self.table.write();
        let gap = (1 + table.random() % 16) * PAGE_SIZE;
        let iova = table.next.checked_add(gap).ok_or(BusError::NoMemory)?;
        let end = iova.checked_add(memory.size()).filter(|end| *end < LAST_IOVA).ok_or(BusError::NoMemory)?;
        // Addresses are not used again: 2^47 bytes outlast any run, and a stale one can then never hit another mapping.
        table.next = end;
        table.mappings.insert(iova, memory);
        Ok(iova)
    }

    /// Takes a mapping back, after the transfers under way. `false` if none begins there.
    pub(crate) fn unmap(&self, iova: u64) -> bool {
        self.table.write().mappings.remove(&iova).is_some()
    }

    /// Copies host memory to the device.
    pub(crate) fn read(&self, iova: u64, into: &mut [u8]) -> Result<(), NotMapped> {
        let table = self.table.read();
        let mut done = 0;
        while done < into.len() {
            let (at, memory, offset, len) = table.find(iova, done, into.len())?;
            memory.read(offset, &mut into[done..done + len]).map_err(|_| NotMapped(at))?;
            done += len;
        }
        Ok(())
    }

    /// Copies from the device to host memory.
    pub(crate) fn write(&self, iova: u64, from: &[u8]) -> Result<(), NotMapped> {
        let table = self.table.read();
        let mut done = 0;
        while done < from.len() {
            let (at, memory, offset, len) = table.find(iova, done, from.len())?;
            memory.write(offset, &from[done..done + len]).map_err(|_| NotMapped(at))?;
            done += len;
        }
        Ok(())
    }
}

impl Table {
    /// The mapping of the byte `done` bytes past `iova`: its bus address, its memory, the offset there, and how many
    /// of the bytes up to `len` it holds (at least one).
    fn find(&self, iova: u64, done: usize, len: usize) -> Result<(u64, &dyn DmaTarget, u64, usize), NotMapped> {
        let at = iova.checked_add(done as u64).ok_or(NotMapped(u64::MAX))?;
        let (begin, memory) = self.mappings.range(..=at).next_back().ok_or(NotMapped(at))?;
        let offset = at - begin;
        let here = memory.size().saturating_sub(offset);
        if here == 0 {
            return Err(NotMapped(at));
        }
        let wanted = len - done;
        Ok((at, &**memory, offset, usize::try_from(here).map_or(wanted, |here| here.min(wanted))))
    }

    /// splitmix64: all that is needed is that the seed decides.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Arc<HostMemory> {
        Arc::new(HostMemory::new(2 * PAGE_SIZE).unwrap())
    }

    #[test]
    fn reaches_what_is_mapped_and_nothing_else() {
        let iommu = Iommu::new(7);
        let (a, b) = (memory(), memory());
        let (at_a, at_b) = (iommu.allocate(a.clone()).unwrap(), iommu.allocate(b).unwrap());
        assert!(at_a > u64::from(u32::MAX) && at_b > at_a + 2 * PAGE_SIZE);
        iommu.write(at_a + 8190, &[1, 2]).unwrap();
        let mut bytes = [0; 2];
        a.read(8190, &mut bytes).unwrap();
        assert_eq!(bytes, [1, 2]);
        assert_eq!(iommu.write(at_a + 8191, &[1, 2]), Err(NotMapped(at_a + 8192)));
        assert_eq!(iommu.read(at_a - 1, &mut bytes), Err(NotMapped(at_a - 1)));
        assert_eq!(iommu.read(u64::MAX, &mut bytes), Err(NotMapped(u64::MAX)));
        assert!(iommu.unmap(at_a));
        assert!(!iommu.unmap(at_a));
        assert_eq!(iommu.read(at_a, &mut bytes), Err(NotMapped(at_a)));
    }

    #[test]
    fn copies_cross_from_one_mapping_into_the_next() {
        let iommu = Iommu::new(0);
        let (a, b) = (memory(), memory());
        iommu.table.write().mappings.extend([(0x1_0000, a as Arc<dyn DmaTarget>), (0x1_2000, b.clone())]);
        iommu.write(0x1_1ffe, &[1, 2, 3, 4]).unwrap();
        let mut bytes = [0; 2];
        b.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [3, 4]);
        let mut all = [0; 4];
        iommu.read(0x1_1ffe, &mut all).unwrap();
        assert_eq!(all, [1, 2, 3, 4]);
    }

    #[test]
    fn the_seed_decides_the_addresses() {
        let first = |seed| Iommu::new(seed).allocate(memory()).unwrap();
        assert_eq!(first(1), first(1));
        assert!((0..8).any(|seed| first(seed) != first(1)));
    }
}
