//! What a client has on one device: queues, and memory for the tiles it has under way.
//!
//! A tile takes three jobs: *upload* from host memory to VRAM, *convolve* there, *download*. Each waits for the one
//! before; upload and download run on one ring and the convolution on the next, and neighbouring tiles change sides, so
//! that all rings have all kinds of work. Each slot has queues of its own, since jobs of one queue wait for one another.

use std::time::Instant;

use lifeboat::WaitError;
use lifeboat_lb1::command::{Copy, GpuVa, Work};

use super::budget::Budget;
use super::devices::{Memory, Opened, Refused};
use super::error::RunError;
use super::filter::Convolution;
use super::picture::Picture;
use super::tally::Tally;
use super::tiles::{Rect, Tile};
use super::workload::{Item, row_bytes, rows};

pub(super) struct Session<'a, O: Opened> {
    source: &'a Picture,
    convolution: &'a Convolution,
    slots: Vec<Slot<O>>,
    device: O,
    turn: usize,
}

/// What one tile needs.
struct Slot<O: Opened> {
    /// One on each ring.
    queues: Vec<O::Queue>,
    host: O::Buffer,
    host_va: GpuVa,
    vram_in: GpuVa,
    vram_out: GpuVa,
    /// Keeps the addresses of the device's memory.
    _vram: [O::Buffer; 2],
}

/// A tile under way.
pub(super) struct Flight<F> {
    item: Item,
    /// Those of its jobs that were accepted, in order.
    fences: Vec<F>,
    /// Whether all its jobs were accepted.
    complete: bool,
    slot: usize,
    pub(super) began: Instant,
}

/// How a tile came back.
pub(super) struct Landing {
    pub(super) item: Item,
    pub(super) slot: usize,
    /// The first error of a fence; `None` if all was well, or the device did not take all jobs.
    pub(super) error: Option<WaitError>,
    /// Whether the pixels are there.
    pub(super) done: bool,
}

impl<'a, O: Opened> Session<'a, O> {
    /// Makes room on the device for the tiles that the budget allows.
    pub(super) fn begin(
        device: O,
        source: &'a Picture,
        convolution: &'a Convolution,
        budget: &Budget,
    ) -> Result<Self, Refused> {
        let mut slots = Vec::with_capacity(budget.depth);
        for _ in 0..budget.depth {
            // One buffer in host memory serves both ways: the download comes long after the upload.
            let (host, host_va) = device.buffer(Memory::Host, budget.source_bytes)?;
            let (input, vram_in) = device.buffer(Memory::Device, budget.source_bytes)?;
            let (output, vram_out) = device.buffer(Memory::Device, budget.output_bytes)?;
            let queues = (0..device.rings()).map(|ring| device.queue(ring)).collect::<Result<_, _>>()?;
            slots.push(Slot { queues, host, host_va, vram_in, vram_out, _vram: [input, output] });
        }
        Ok(Self { source, convolution, slots, device, turn: 0 })
    }

    /// How many tiles can be under way.
    pub(super) fn depth(&self) -> usize {
        self.slots.len()
    }

    /// See [`Opened::is_live`].
    pub(super) fn is_live(&self) -> bool {
        self.device.is_live()
    }

    /// Brings a tile on its way. If the device is lost meanwhile, the tile is under way as far as it was taken.
    pub(super) fn submit(
        &mut self,
        mut item: Item,
        slot: usize,
        tally: &mut Tally,
    ) -> Result<Flight<O::Fence>, RunError> {
        let began = Instant::now();
        self.upload(item.tile.source, &self.slots[slot].host)?;
        let queues = &self.slots[slot].queues;
        let (copies, computes) = (self.turn, (self.turn + 1) % queues.len());
        let mut fences: Vec<O::Fence> = Vec::with_capacity(3);
        let mut complete = true;
        for (work, ring) in self.jobs(&item.tile, &self.slots[slot]).into_iter().zip([copies, computes, copies]) {
            match self.device.submit(&queues[ring], work, fences.last()) {
                Ok(fence) => fences.push(fence),
                Err(Refused::Lost | Refused::Banned) => {
                    complete = false;
                    break;
                }
                Err(Refused::Failed(error)) => return Err(error),
            }
        }
        self.turn = computes;
        tally.submitted(fences.len());
        if complete {
            tally.made_good(std::mem::take(&mut item.failed_jobs));
        }
        Ok(Flight { item, fences, complete, slot, began })
    }

    /// Waits for a tile.
    pub(super) fn land(&self, flight: Flight<O::Fence>, tally: &mut Tally) -> Landing {
        let Flight { mut item, fences, complete, slot, .. } = flight;
        let mut first_error = None;
        for fence in &fences {
            if let Err(error) = tally.wait_for_job(|limit| self.device.wait(fence, limit)) {
                item.failed_jobs += 1;
                first_error.get_or_insert(error);
            }
        }
        Landing { item, slot, done: complete && first_error.is_none(), error: first_error }
    }

    /// Copies the pixels of a tile that is done. See [`Opened::read`].
    pub(super) fn download(&self, landing: &Landing, pixels: &mut Vec<u8>) -> Result<(), Refused> {
        let output = landing.item.tile.output;
        pixels.resize(row_bytes(output) * usize::from(output.height), 0);
        self.device.read(&self.slots[landing.slot].host, pixels)
    }

    fn upload(&self, rect: Rect, host: &O::Buffer) -> Result<(), RunError> {
        let mut at = 0;
        for row in rows(self.source, rect) {
            self.device.write(host, at, row)?;
            at += row.len() as u64;
        }
        Ok(())
    }

    /// Upload, convolve, download.
    fn jobs(&self, tile: &Tile, slot: &Slot<O>) -> [Work; 3] {
        let bytes = |rect: Rect| pitch(rect) * u32::from(rect.height);
        let (dst, src) = ((slot.vram_out, pitch(tile.output)), (slot.vram_in, pitch(tile.source)));
        let convolve = self.convolution.command(tile, dst, src);
        [
            Work::Copy(Copy::linear(slot.vram_in, slot.host_va, bytes(tile.source))),
            Work::Convolve(convolve),
            Work::Copy(Copy::linear(slot.host_va, slot.vram_out, bytes(tile.output))),
        ]
    }
}

/// Bytes of a tile's row; tiles have at most some thousand pixels a side.
fn pitch(rect: Rect) -> u32 {
    u32::from(rect.width) * 4
}
