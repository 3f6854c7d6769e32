//! DMA: the one way from the card to host memory.

use std::time::Duration;

use lifeboat_lb1::regs::fault;

use crate::board::Board;
use crate::iommu::NotMapped;
use crate::presence::Crossing;
use crate::ring::{Ring, Stop};
use crate::witness::Violation;

/// Who wants to reach host memory.
#[derive(Clone, Copy)]
pub(crate) struct Initiator<'a> {
    pub(crate) board: &'a Board,
    pub(crate) ring: &'a Ring,
    /// `None` while fetching a descriptor.
    pub(crate) context: Option<u8>,
}

/// Which way a transfer goes.
#[derive(Clone, Copy)]
enum Way {
    /// From host memory: somebody has to answer.
    Read,
    /// To host memory.
    Write,
}

impl Initiator<'_> {
    /// Copies at most [`TRANSFER_BYTES`](crate::presence::TRANSFER_BYTES) from host memory. Faults while the link is down: nobody answers.
    pub(crate) fn read(self, iova: u64, into: &mut [u8]) -> Result<(), Stop> {
        self.transfer(iova, into.len(), Way::Read, |board| board.iommu.read(iova, into))
    }

    /// Copies at most [`TRANSFER_BYTES`](crate::presence::TRANSFER_BYTES) to host memory. Lost without a word while the link is down, as posted writes are.
    pub(crate) fn write(self, iova: u64, from: &[u8]) -> Result<(), Stop> {
        self.transfer(iova, from.len(), Way::Write, |board| board.iommu.write(iova, from))
    }

    fn transfer(
        self,
        iova: u64,
        bytes: usize,
        way: Way,
        copy: impl FnOnce(&Board) -> Result<(), NotMapped>,
    ) -> Result<(), Stop> {
        let crossing: Crossing<'_> = self.board.presence.enter().ok_or(Stop::Abandoned)?;
        if !self.board.config_space.is_bus_master() {
            // A function-level reset stops the rings before it takes bus mastering away.
            self.ring.checkpoint()?;
            let (ring, context) = (self.ring.index(), self.context);
            self.record(|at| Violation::DmaWhileDisabled { at, ring, context });
            return Err(Stop::Fault { code: fault::DMA, address: iova });
        }
        if !crossing.link_is_up() {
            self.ring.checkpoint()?;
            return match way {
                Way::Read => Err(Stop::Fault { code: fault::DMA, address: iova }),
                Way::Write => Ok(()),
            };
        }
        match copy(self.board) {
            Ok(()) => {
                self.board.counters.dma_bytes.add(bytes as u64);
                Ok(())
            }
            Err(NotMapped(iova)) => {
                self.ring.checkpoint()?;
                let (ring, context) = (self.ring.index(), self.context);
                self.record(|at| Violation::DmaUnmapped { at, iova, ring, context });
                Err(Stop::Fault { code: fault::DMA, address: iova })
            }
        }
    }

    /// Tells the witness, unless the driver could not have stopped the card.
    fn record(self, violation: impl FnOnce(Duration) -> Violation) {
        if !self.board.is_out_of_reach() {
            self.board.witness.record(violation);
        }
    }
}
