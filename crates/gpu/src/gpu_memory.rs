//! Memory as a command sees it: a context's address space over VRAM and host memory.
//!
//! Copies are cut at segment borders and into transfers of at most 64 KiB; between two of them the command looks
//! whether it is to stop. So a copy may cross from one segment into an adjacent one, and a copy that faults has
//! happened up to the address of the fault.

use lifeboat_lb1::command::GpuVa;
use lifeboat_lb1::regs::fault;

use crate::board::Board;
use crate::context::{self, Access, Table, Target};
use crate::dma::Initiator;
use crate::presence::TRANSFER_BYTES;
use crate::ring::{Ring, Stop};

pub(crate) struct GpuMemory<'a> {
    board: &'a Board,
    ring: &'a Ring,
    context: u8,
    table: Table,
}

impl<'a> GpuMemory<'a> {
    pub(crate) fn new(board: &'a Board, ring: &'a Ring, context: u8, table: Table) -> Self {
        Self { board, ring, context, table }
    }

    /// Copies out of the address space.
    pub(crate) fn read(&self, va: u64, into: &mut [u8]) -> Result<(), Stop> {
        let mut rest = into;
        let mut at = va;
        while !rest.is_empty() {
            let (target, len) = self.piece(at, rest.len(), Access::Read)?;
            let (piece, after) = rest.split_at_mut(len);
            match target {
                Target::Vram(offset) => self.board.read_vram(offset, piece).map_err(|_| unmapped(at))?,
                Target::Bus(iova) => self.initiator().read(iova, piece)?,
            }
            rest = after;
            at = at.wrapping_add(len as u64); // Wraps only where no segment is: that is the next piece's fault.
        }
        Ok(())
    }

    /// Copies into the address space.
    pub(crate) fn write(&self, va: u64, from: &[u8]) -> Result<(), Stop> {
        let mut rest = from;
        let mut at = va;
        while !rest.is_empty() {
            let (target, len) = self.piece(at, rest.len(), Access::Write)?;
            let (piece, after) = rest.split_at(len);
            match target {
                Target::Vram(offset) => {
                    // The host may have the VRAM mapped: then this is seen there, and must not be after a removal.
                    let _crossing = self.board.presence.enter().ok_or(Stop::Abandoned)?;
                    self.board.write_vram(offset, piece).map_err(|_| unmapped(at))?;
                }
                Target::Bus(iova) => self.initiator().write(iova, piece)?,
            }
            rest = after;
            at = at.wrapping_add(len as u64); // As in `read`.
        }
        Ok(())
    }

    /// Whether to go on.
    pub(crate) fn checkpoint(&self) -> Result<(), Stop> {
        self.ring.checkpoint()
    }

    /// Where the next bytes are, and how many of the `wanted` to copy there at once.
    fn piece(&self, va: u64, wanted: usize, access: Access) -> Result<(Target, usize), Stop> {
        self.checkpoint()?;
        let (target, here) =
            context::translate(&self.table, va, access).map_err(|code| Stop::Fault { code, address: va })?;
        let most = wanted.min(TRANSFER_BYTES);
        Ok((target, usize::try_from(here).map_or(most, |here| here.min(most))))
    }

    fn initiator(&self) -> Initiator<'a> {
        Initiator { board: self.board, ring: self.ring, context: Some(self.context) }
    }
}

/// The address of a row, or the fault of a picture that runs past the end of the address space.
pub(crate) fn row(base: GpuVa, row: u32, pitch: u32) -> Result<u64, Stop> {
    base.0.checked_add(u64::from(row) * u64::from(pitch)).ok_or(unmapped(u64::MAX))
}

fn unmapped(address: u64) -> Stop {
    Stop::Fault { code: fault::UNMAPPED, address }
}
