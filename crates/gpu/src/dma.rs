//! DMA: the one way from the card to host memory.

use lifeboat_lb1::regs::fault;

use crate::board::Board;
use crate::iommu::NotMapped;
use crate::presence::Crossing;
use crate::ring::{Ring, Stop};
use crate::witness::Violation;

/// Most bytes of one transfer: how long a removal or an unmapping may have to wait.
pub(crate) const TRANSFER_BYTES: usize = 64 << 10;

/// Who wants to reach host memory.
#[derive(Clone, Copy)]
pub(crate) struct Initiator<'a> {
    pub(crate) board: &'a Board,
    pub(crate) ring: &'a Ring,
    /// `None` while fetching a descriptor.
    pub(crate) context: Option<u8>,
}

impl Initiator<'_> {
    /// Copies at most [`TRANSFER_BYTES`] from host memory.
    pub(crate) fn read(self, iova: u64, into: &mut [u8]) -> Result<(), Stop> {
        self.transfer(iova, into.len(), |board| board.iommu.read(iova, into))
    }

    /// Copies at most [`TRANSFER_BYTES`] to host memory.
    pub(crate) fn write(self, iova: u64, from: &[u8]) -> Result<(), Stop> {
        self.transfer(iova, from.len(), |board| board.iommu.write(iova, from))
    }

    fn transfer(self, iova: u64, bytes: usize, copy: impl FnOnce(&Board) -> Result<(), NotMapped>) -> Result<(), Stop> {
        let _crossing: Crossing<'_> = self.board.presence.enter().ok_or(Stop::Abandoned)?;
        if !self.board.config_space.is_bus_master() {
            // A function-level reset stops the rings before it takes bus mastering away.
            self.ring.checkpoint()?;
            let (ring, context) = (self.ring.index(), self.context);
            self.board.witness.record(|at| Violation::DmaWhileDisabled { at, ring, context });
            return Err(Stop::Fault { code: fault::DMA, address: iova });
        }
        match copy(self.board) {
            Ok(()) => {
                self.board.counters.dma_bytes.add(bytes as u64);
                Ok(())
            }
            Err(NotMapped(iova)) => {
                self.ring.checkpoint()?;
                let (ring, context) = (self.ring.index(), self.context);
                self.board.witness.record(|at| Violation::DmaUnmapped { at, iova, ring, context });
                Err(Stop::Fault { code: fault::DMA, address: iova })
            }
        }
    }
}
