//! An IOMMU in small: which bus addresses lead to which host memory.
//!
//! A transfer reaches only what is mapped, page by page; a copy may cross from one mapping into the next. Unmapping
//! waits for the transfers under way, so that a page taken back is not written any more.
//!
//! It belongs to the host and not to the card: behind a server the client decides the addresses ([`Iommu::map_at`]) and
//! its mappings outlive the card in the slot; in this process the IOMMU chooses them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use lifeboat_pci::{BusError, HostMemory, PAGE_SIZE};
use parking_lot::RwLock;

/// Memory that a device can be given. [`HostMemory`] in this process; a guest's memory behind a server.
pub trait DmaTarget: Send + Sync {
    /// Size in bytes, a multiple of the page size.
    fn size(&self) -> u64;
    /// Copies bytes out.
    ///
    /// # Errors
    /// Any makes the transfer one to an address that is not mapped.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError>;
    /// Copies bytes in.
    ///
    /// # Errors
    /// As [`DmaTarget::read`].
    fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError>;
}

/// Why bus addresses cannot be mapped, or not be unmapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapError {
    /// There is nothing to map.
    Empty,
    /// An address or a size is not a multiple of the page size.
    Misaligned,
    /// It would reach past the end of the address space.
    PastEnd,
    /// Part of it is mapped already.
    Overlap,
    /// There are as many mappings as there may be.
    TooMany,
    /// The range to unmap begins or ends within a mapping.
    Divides,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a mapping has at least one page",
            Self::Misaligned => "mappings begin and end at multiples of the page size",
            Self::PastEnd => "the mapping reaches past the end of the address space",
            Self::Overlap => "part of the range is mapped already",
            Self::TooMany => "there are too many mappings",
            Self::Divides => "the range begins or ends within a mapping",
        })
    }
}

impl std::error::Error for MapError {}

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

/// Which bus addresses lead to which host memory.
pub struct Iommu {
    table: RwLock<Table>,
}

struct Table {
    /// By first bus address; no two overlap.
    mappings: BTreeMap<u64, Arc<dyn DmaTarget>>,
    next: u64,
    random: u64,
}

impl Iommu {
    /// Most mappings by [`Iommu::map_at`]: what a VFIO client may expect to be allowed (the kernel's `dma_entry_limit`).
    /// A guest behind an IOMMU maps page by page.
    pub const MAX_MAPPINGS: usize = 65536;

    /// Nothing is mapped. `seed` decides where allocated mappings lie.
    pub fn new(seed: u64) -> Self {
        Self { table: RwLock::new(Table { mappings: BTreeMap::new(), next: FIRST_IOVA, random: seed }) }
    }

    /// Maps memory at an address of the IOMMU's choice, with unmapped pages around it.
    pub(crate) fn allocate(&self, memory: Arc<dyn DmaTarget>) -> Result<u64, BusError> {
        let mut table = self.table.write();
        let gap = (1 + table.random() % 16) * PAGE_SIZE;
        // Also above whatever was mapped at an address of somebody else's choice.
        let above = table.mappings.last_key_value().map_or(0, |(begin, memory)| begin + memory.size());
        let iova = table.next.max(above).checked_add(gap).ok_or(BusError::NoMemory)?;
        let end = iova.checked_add(memory.size()).filter(|end| *end < LAST_IOVA).ok_or(BusError::NoMemory)?;
        // Addresses are not used again: 2^47 bytes outlast any run, and a stale one can then never hit another mapping.
        table.next = end;
        table.mappings.insert(iova, memory);
        Ok(iova)
    }

    /// Maps memory at an address of the caller's choice.
    ///
    /// # Errors
    /// Every [`MapError`] but the last; then nothing has changed.
    pub fn map_at(&self, iova: u64, memory: Arc<dyn DmaTarget>) -> Result<(), MapError> {
        let size = memory.size();
        let end = page_range(iova, size)?;
        let mut table = self.table.write();
        if table.mappings.len() >= Self::MAX_MAPPINGS {
            return Err(MapError::TooMany);
        }
        // No two overlap, so the last that begins before the end is the one that could.
        if table
            .mappings
            .range(..end)
            .next_back()
            .is_some_and(|(begin, before)| before.size() > iova.saturating_sub(*begin))
        {
            return Err(MapError::Overlap);
        }
        table.mappings.insert(iova, memory);
        Ok(())
    }

    /// Takes back every mapping in a range, after the transfers under way. Returns how many bytes were mapped.
    ///
    /// # Errors
    /// [`MapError::Empty`], [`MapError::Misaligned`], [`MapError::PastEnd`]; [`MapError::Divides`] if the range holds only
    /// a part of a mapping. Then nothing has changed.
    pub fn unmap_range(&self, iova: u64, size: u64) -> Result<u64, MapError> {
        // Nothing is mapped in the last page, so a range up to the very end can stop before it.
        let end = match page_range(iova, size) {
            Err(MapError::PastEnd) if iova.wrapping_add(size) == 0 => u64::MAX,
            end => end?,
        };
        let mut table = self.table.write();
        let divided = |at: u64| {
            let before = table.mappings.range(..at).next_back();
            before.is_some_and(|(begin, memory)| memory.size() > at - begin)
        };
        if divided(iova) || divided(end) {
            return Err(MapError::Divides);
        }
        let inside: Vec<u64> = table.mappings.range(iova..end).map(|(begin, _)| *begin).collect();
        let removed = inside.into_iter().filter_map(|begin| table.mappings.remove(&begin));
        Ok(removed.map(|memory| memory.size()).sum())
    }

    /// Takes back every mapping, after the transfers under way.
    pub fn clear(&self) {
        let mappings = std::mem::take(&mut self.table.write().mappings);
        drop(mappings); // Possibly 65536 of them: so not under the lock.
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.table.read().mappings.len()
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

/// The end of a range of whole pages.
fn page_range(iova: u64, size: u64) -> Result<u64, MapError> {
    if size == 0 {
        return Err(MapError::Empty);
    }
    if !iova.is_multiple_of(PAGE_SIZE) || !size.is_multiple_of(PAGE_SIZE) {
        return Err(MapError::Misaligned);
    }
    iova.checked_add(size).ok_or(MapError::PastEnd)
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
        iommu.map_at(0x1_0000, a).unwrap();
        iommu.map_at(0x1_2000, b.clone()).unwrap();
        iommu.write(0x1_1ffe, &[1, 2, 3, 4]).unwrap();
        let mut bytes = [0; 2];
        b.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [3, 4]);
        let mut all = [0; 4];
        iommu.read(0x1_1ffe, &mut all).unwrap();
        assert_eq!(all, [1, 2, 3, 4]);
    }

    #[test]
    fn mappings_do_not_overlap() {
        let iommu = Iommu::new(0);
        iommu.map_at(0x1_0000, memory()).unwrap();
        for at in [0xf000, 0x1_0000, 0x1_1000] {
            assert_eq!(iommu.map_at(at, memory()), Err(MapError::Overlap), "{at:#x}");
        }
        iommu.map_at(0xe000, memory()).unwrap();
        iommu.map_at(0x1_2000, memory()).unwrap();
        assert_eq!(iommu.map_at(0x1_4800, memory()), Err(MapError::Misaligned));
        assert_eq!(iommu.map_at(!0xfff, memory()), Err(MapError::PastEnd));
        assert_eq!(iommu.len(), 3);
    }

    #[test]
    fn a_range_takes_back_whole_mappings_only() {
        let iommu = Iommu::new(0);
        for at in [0x1_0000, 0x1_2000, 0x2_0000] {
            iommu.map_at(at, memory()).unwrap();
        }
        for (at, size) in [(0x1_1000, 0x3000), (0x1_0000, 0x3000), (0x1_1000, 0x1000)] {
            assert_eq!(iommu.unmap_range(at, size), Err(MapError::Divides), "{at:#x}");
        }
        assert_eq!(iommu.unmap_range(0, 0), Err(MapError::Empty));
        assert_eq!(iommu.unmap_range(0x10, 0x1000), Err(MapError::Misaligned));
        assert_eq!(iommu.unmap_range(!0xfff, 0x2000), Err(MapError::PastEnd));
        assert_eq!(iommu.unmap_range(!0xfff, 0x1000), Ok(0));
        assert_eq!(iommu.len(), 3);
        assert_eq!(iommu.unmap_range(0xf000, 0x6000), Ok(0x4000));
        assert_eq!(iommu.unmap_range(0xf000, 0x6000), Ok(0));
        assert_eq!(iommu.len(), 1);
        iommu.clear();
        assert!(iommu.is_empty());
    }

    #[test]
    fn the_number_of_mappings_is_limited() {
        let iommu = Iommu::new(0);
        let page: Arc<dyn DmaTarget> = Arc::new(HostMemory::new(PAGE_SIZE).unwrap());
        for index in 0..Iommu::MAX_MAPPINGS as u64 {
            iommu.map_at(index * PAGE_SIZE, page.clone()).unwrap();
        }
        assert_eq!(iommu.map_at(!0xffff, page), Err(MapError::TooMany));
    }

    #[test]
    fn the_seed_decides_the_addresses() {
        let first = |seed| Iommu::new(seed).allocate(memory()).unwrap();
        assert_eq!(first(1), first(1));
        assert!((0..8).any(|seed| first(seed) != first(1)));
    }
}
