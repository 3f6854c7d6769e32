//! What a client has on one device: a handle, a context, and memory for the tiles it has under way.
//!
//! A tile takes three jobs: *upload* from host memory to VRAM, *convolve* there, *download*. Each waits for the one
//! before; upload and download run on one ring and the convolution on the next, and neighbouring tiles change sides, so
//! that all rings have all kinds of work. Each slot has queues of its own, since jobs of one queue wait for one another.

use std::time::Instant;

use lifeboat::{CallError, Fence, Priority, WaitError};
use lifeboat_lb1_hosted::command::{Copy, GpuVa, Work};
use lifeboat_lb1_hosted::{Buffer, Context, Device, Handle, Placement, Queue, Submission};

use super::budget::Budget;
use super::filter::Convolution;
use super::picture::Picture;
use super::tally::Tally;
use super::tiles::{Rect, Tile};
use super::workload::{Item, row_bytes, rows};

pub(super) struct Session<'a> {
    source: &'a Picture,
    convolution: &'a Convolution,
    slots: Vec<Slot>,
    /// Keeps the addresses of the slots' buffers.
    context: Context,
    handle: Handle,
    turn: usize,
}

/// What one tile needs.
struct Slot {
    /// One on each ring.
    queues: Vec<Queue>,
    host: Buffer,
    host_va: GpuVa,
    vram_in: GpuVa,
    vram_out: GpuVa,
}

/// A tile under way.
pub(super) struct Flight {
    item: Item,
    /// Those of its jobs that were accepted, in order.
    fences: Vec<Fence>,
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

impl<'a> Session<'a> {
    /// Opens the device and makes room for the tiles that the budget allows.
    pub(super) fn open(
        device: &Device,
        source: &'a Picture,
        convolution: &'a Convolution,
        budget: &Budget,
    ) -> Result<Self, CallError> {
        let handle = device.open()?;
        let context = handle.create_context()?;
        let mut slots = Vec::with_capacity(budget.depth);
        for _ in 0..budget.depth {
            // One buffer in host memory serves both ways: the download comes long after the upload.
            let host = handle.create_buffer(Placement::Host, budget.source_bytes)?;
            let vram_in = handle.create_buffer(Placement::Vram, budget.source_bytes)?;
            let vram_out = handle.create_buffer(Placement::Vram, budget.output_bytes)?;
            let rings = 0..handle.info().rings;
            let queue = |ring| handle.create_queue(&context, ring, Priority::Normal);
            slots.push(Slot {
                queues: rings.map(queue).collect::<Result<_, _>>()?,
                host_va: handle.map(&context, &host)?,
                vram_in: handle.map(&context, &vram_in)?,
                vram_out: handle.map(&context, &vram_out)?,
                host,
            });
        }
        Ok(Self { source, convolution, slots, context, handle, turn: 0 })
    }

    /// How many tiles can be under way.
    pub(super) fn depth(&self) -> usize {
        self.slots.len()
    }

    /// Whether more can be submitted: the device is there, and this context is not banned for what its jobs did.
    pub(super) fn is_live(&self) -> bool {
        self.handle.is_live() && !self.context.reset_stats().banned
    }

    /// Brings a tile on its way. If the device is lost meanwhile, the tile is under way as far as it was taken.
    pub(super) fn submit(&mut self, mut item: Item, slot: usize, tally: &mut Tally) -> Result<Flight, CallError> {
        let began = Instant::now();
        self.upload(item.tile.source, &self.slots[slot].host)?;
        let queues = &self.slots[slot].queues;
        let (copies, computes) = (self.turn, (self.turn + 1) % queues.len());
        let mut fences: Vec<Fence> = Vec::with_capacity(3);
        let mut complete = true;
        for (work, ring) in self.jobs(&item.tile, &self.slots[slot]).into_iter().zip([copies, computes, copies]) {
            let after = fences.last().map_or(&[][..], std::slice::from_ref);
            let work = [work];
            let submission = Submission { after, restartable: true, ..Submission::new(&queues[ring], &work) };
            match self.handle.submit(&submission) {
                Ok(fence) => fences.push(fence),
                Err(error) if error.is_loss() || error.is_banned() => {
                    complete = false;
                    break;
                }
                Err(error) => return Err(error),
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
    pub(super) fn land(flight: Flight, tally: &mut Tally) -> Landing {
        let Flight { mut item, fences, complete, slot, .. } = flight;
        let mut first_error = None;
        for fence in &fences {
            if let Err(error) = tally.wait_for_job(fence) {
                item.failed_jobs += 1;
                first_error.get_or_insert(error);
            }
        }
        Landing { item, slot, done: complete && first_error.is_none(), error: first_error }
    }

    /// Copies the pixels of a tile that is done.
    pub(super) fn download(&self, landing: &Landing, pixels: &mut Vec<u8>) -> Result<(), CallError> {
        let output = landing.item.tile.output;
        pixels.resize(row_bytes(output) * usize::from(output.height), 0);
        self.slots[landing.slot].host.read(0, pixels)
    }

    fn upload(&self, rect: Rect, host: &Buffer) -> Result<(), CallError> {
        let mut at = 0;
        for row in rows(self.source, rect) {
            host.write(at, row)?;
            at += row.len() as u64;
        }
        Ok(())
    }

    /// Upload, convolve, download.
    fn jobs(&self, tile: &Tile, slot: &Slot) -> [Work; 3] {
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
