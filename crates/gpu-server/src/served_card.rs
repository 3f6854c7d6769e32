//! What a client asks of the card: the handlers behind the protocol.
//!
//! They need no socket and check every argument themselves. On a card that is gone reads give all-ones and writes go
//! nowhere, without an error; an error means that the request makes no sense.

use std::fs::File;
use std::io;
use std::sync::Arc;

use lifeboat_gpu::{Endpoint, MapError};
use lifeboat_lb1::regs;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TYPE_MASK, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
    VFIO_IRQ_SET_DATA_TYPE_MASK,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, ServerBackend};

use crate::bay::Bay;
use crate::guest_memory::{GuestFiles, Hole};
use crate::{layout, vectors};

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("the card has no region {0}")]
    NoRegion(u32),
    #[error("{len} bytes at {offset:#x} do not lie within the region")]
    OutOfRange { offset: u64, len: usize },
    #[error("registers are accessed as aligned words of 32 bits, not as {len} bytes at {offset:#x}")]
    NotWords { offset: u64, len: usize },
    #[error(transparent)]
    Map(#[from] MapError),
    #[error("unmapping everything takes neither address nor size")]
    UnmapAllOfRange,
    #[error("no pages are marked dirty here")]
    NoDirtyPages,
    #[error("the card has no interrupts {start}..{start}+{count} of kind {index}")]
    NoInterrupt { index: u32, start: u32, count: u32 },
    #[error("{fds} descriptors for {count} interrupts")]
    DescriptorCount { fds: usize, count: u32 },
    #[error("interrupts cannot be set that way (flags {0:#x})")]
    InterruptFlags(u32),
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        let kind = match refused {
            Refused::Map(MapError::TooMany) => io::ErrorKind::QuotaExceeded,
            Refused::Map(MapError::Overlap) => io::ErrorKind::AlreadyExists,
            Refused::NoDirtyPages => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, refused)
    }
}

/// The card in a bay, for one client.
pub struct ServedCard {
    bay: Arc<Bay>,
    files: GuestFiles,
}

impl ServedCard {
    /// A client's view of whatever card is in `bay`: the machine is switched on. Dropping it is the client's leaving.
    pub fn attach(bay: Arc<Bay>) -> Self {
        bay.attach();
        Self { bay, files: GuestFiles::default() }
    }

    pub(crate) fn bay(&self) -> &Bay {
        &self.bay
    }

    fn size(&self, region: u32) -> Result<u64, Refused> {
        let endpoint = self.bay.endpoint();
        let region_of = layout::region(region, self.bay.vram().bytes(), endpoint.vram_bar_size());
        region_of.map(|region| region.size).filter(|size| *size > 0).ok_or(Refused::NoRegion(region))
    }

    fn check(&self, region: u32, offset: u64, len: usize) -> Result<(), Refused> {
        let size = self.size(region)?;
        if offset.checked_add(len as u64).is_none_or(|end| end > size) {
            return Err(Refused::OutOfRange { offset, len });
        }
        if region == layout::REGISTERS && !(offset.is_multiple_of(4) && len.is_multiple_of(4)) {
            return Err(Refused::NotWords { offset, len });
        }
        Ok(())
    }
}

impl Drop for ServedCard {
    fn drop(&mut self) {
        self.bay.detach();
    }
}

/// An offset that [`ServedCard::check`] found to lie in configuration space.
fn config_offset(offset: u64) -> u16 {
    const { assert!(Endpoint::CONFIG_BYTES <= u16::MAX as usize) };
    u16::try_from(offset).unwrap_or(u16::MAX)
}

impl ServerBackend for ServedCard {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.check(region, offset, data.len())?;
        let endpoint = self.bay.endpoint();
        match region {
            layout::REGISTERS => {
                let (words, _) = data.as_chunks_mut::<4>();
                for (at, word) in (offset..).step_by(4).zip(words) {
                    *word = endpoint.read_register(at).to_le_bytes();
                }
            }
            layout::VRAM => endpoint.read_vram(offset, data),
            _ => endpoint.read_config(config_offset(offset), data),
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(region, offset, data.len())?;
        let endpoint = self.bay.endpoint();
        match region {
            layout::REGISTERS => {
                let (words, _) = data.as_chunks::<4>();
                for (at, word) in (offset..).step_by(4).zip(words) {
                    endpoint.write_register(at, u32::from_le_bytes(*word));
                }
            }
            layout::VRAM => endpoint.write_vram(offset, data),
            _ => endpoint.write_config(config_offset(offset), data),
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        let mapped = match fd {
            Some(file) => self.bay.iommu().map_at(address, self.files.memory(file, offset, size, flags)?),
            None => self.bay.iommu().map_at(address, Arc::new(Hole(size))),
        };
        Ok(mapped.map_err(Refused::Map)?)
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        if flags.contains(DmaUnmapFlags::GET_DIRTY_PAGE_INFO) {
            return Err(Refused::NoDirtyPages.into());
        }
        if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            if (address, size) != (0, 0) {
                return Err(Refused::UnmapAllOfRange.into());
            }
            self.bay.iommu().clear();
            return Ok(());
        }
        self.bay.iommu().unmap_range(address, size).map_err(Refused::Map)?;
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.bay.endpoint().bus_reset().map_err(|timeout| io::Error::new(io::ErrorKind::TimedOut, timeout))
    }

    fn set_irqs(&mut self, index: u32, flags: u32, start: u32, count: u32, fds: Vec<File>) -> io::Result<()> {
        let (_, have) = layout::irq(index).unwrap_or_default();
        if start.checked_add(count).is_none_or(|end| end > have) {
            return Err(Refused::NoInterrupt { index, start, count }.into());
        }
        if flags & VFIO_IRQ_SET_ACTION_TYPE_MASK != VFIO_IRQ_SET_ACTION_TRIGGER {
            return Err(Refused::InterruptFlags(flags).into());
        }
        let vectors = self.bay.vectors();
        match flags & VFIO_IRQ_SET_DATA_TYPE_MASK {
            // No interrupts, and no data: all of this kind are turned off.
            VFIO_IRQ_SET_DATA_NONE if count == 0 && index == layout::MSI => vectors.disconnect(0, vectors::COUNT),
            // A kind that the card lacks is off.
            _ if have == 0 => {}
            VFIO_IRQ_SET_DATA_NONE => (start..start + count).for_each(|vector| vectors.signal(vector.to_le_bytes()[0])),
            VFIO_IRQ_SET_DATA_EVENTFD if fds.is_empty() => vectors.disconnect(start as usize, count as usize),
            VFIO_IRQ_SET_DATA_EVENTFD if fds.len() == count as usize => {
                fds.iter().try_for_each(vectors::check_eventfd)?;
                vectors.connect(start as usize, fds);
            }
            VFIO_IRQ_SET_DATA_EVENTFD => return Err(Refused::DescriptorCount { fds: fds.len(), count }.into()),
            _ => return Err(Refused::InterruptFlags(flags).into()),
        }
        Ok(())
    }
}

const _: () = assert!(regs::VECTORS as usize == vectors::COUNT);
