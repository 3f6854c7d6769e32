//! Contexts: address spaces on the device.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use lifeboat::calls::{Arguments, Bound, Doorway};
use lifeboat::{CallError, Entry, Link, sched};
use lifeboat_core::class::Refusal;
use lifeboat_core::sched::ResetStats;
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu::{ContextId, Gpu, GpuVa, Segment};
use lifeboat_sync::lint::Mutex;

use crate::buffer::{self, Buffer};
use crate::client::{Client, Held};
use crate::contexts::AddressTable;
use crate::device::{self, Device, Users};
use crate::job::Job;
use crate::pages::Pages;
use crate::retained::Retained;
use crate::turns::Turn;
use crate::{kinds, locks};

/// A context. The hardware's context is reused only after its queues are closed and its jobs have ended.
pub struct Context<G: Gpu>(pub(crate) Arc<ContextInner<G>>);

pub(crate) struct ContextInner<G: Gpu> {
    pub(crate) device: Device<G>,
    pub(crate) id: ContextId,
    /// What the scheduler knows it by.
    pub(crate) scheduled: sched::Context<Job<G>>,
    space: Mutex<Space<G>>,
    _entry: Entry,
    /// Dropped after the context's number was given back: what its client no longer holds is free
    /// for all.
    _held: Held,
}

struct Space<G: Gpu> {
    free: Pages,
    free_slots: Vec<u8>,
    /// As many as the hardware's table has segments, at most 255: they may be searched.
    mappings: Vec<Mapping<G>>,
    /// Ended by each unmapping.
    retained: Arc<Retained>,
}

struct Mapping<G: Gpu> {
    slot: u8,
    pages: Range<u64>,
    buffer: Arc<buffer::BufferInner<G>>,
}

impl<G: Gpu> Mapping<G> {
    fn va(&self) -> GpuVa {
        GpuVa(self.pages.start * G::PAGE)
    }

    /// As the hardware's address table has it.
    fn segment(&self) -> Segment {
        // Buffers are bounded by VRAM or host memory in pages, which fits.
        let pages = u32::try_from(self.pages.end - self.pages.start).unwrap_or(u32::MAX);
        Segment { va: self.va(), pages, writable: true, target: self.buffer.target() }
    }
}

/// Arguments of `create-context`: whose share it is of.
pub(crate) struct CreateContext<'a> {
    pub(crate) client: &'a Client,
}

/// Arguments of `map`.
pub(crate) struct Map<'a, G: Gpu> {
    pub(crate) context: &'a Context<G>,
    pub(crate) buffer: &'a Buffer<G>,
}

/// Arguments of `unmap`.
pub(crate) struct Unmap<'a, G: Gpu> {
    pub(crate) context: &'a Context<G>,
    pub(crate) va: GpuVa,
}

impl<G: Gpu> Arguments<Device<G>> for CreateContext<'_> {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        Ok(())
    }
}

impl<G: Gpu> Arguments<Device<G>> for Map<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.owns(&self.context.0.device)?;
        users.owns(&self.buffer.0.device)
    }
}

impl<G: Gpu> Arguments<Device<G>> for Unmap<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.owns(&self.context.0.device)
    }
}

pub(crate) fn create<G: Gpu>(
    bound: &Bound<'_, Device<G>>,
    CreateContext { client }: CreateContext<'_>,
) -> Result<Context<G>, CallError> {
    let device = bound.device();
    let held = client.hold_context(device.0.gpu.context_share).ok_or(CallError::OverShare("contexts; close some"))?;
    let exhausted = CallError::Exhausted("contexts; close some");
    let id = device.0.gpu.contexts.take().ok_or(exhausted)?;
    let Some(scheduled) = device.0.base.scheduler().context() else {
        device.0.gpu.contexts.give_back(id);
        return Err(exhausted);
    };
    let space = Space {
        free: Pages::new(G::ADDRESSES),
        free_slots: (0..device.0.gpu.has.segments).rev().collect(),
        mappings: Vec::new(),
        retained: Arc::default(),
    };
    let shared = ContextInner {
        device: device.clone(),
        id: ContextId(id),
        scheduled,
        space: Mutex::sleeping(&locks::SPACE, space),
        _entry: device.0.ledger.enlist(kinds::CONTEXT),
        _held: held,
    };
    let shared = Arc::new(shared);
    let table = Arc::downgrade(&shared);
    device.0.gpu.contexts.register(id, table);
    Ok(Context(shared))
}

/// Makes a buffer reachable for a context's commands, and says where.
pub(crate) fn map<G: Gpu>(bound: &Bound<'_, Device<G>>, arguments: Map<'_, G>) -> Result<GpuVa, CallError> {
    let Map { context: Context(context), buffer } = arguments;
    let _turn = context.device.0.gpu.contexts.tables.take().ok_or(Refusal::Gone)?;
    let mut space = context.space.lock();
    let slot = space.free_slots.pop().ok_or(CallError::Exhausted("segments; unmap some buffers"))?;
    let Some(range) = space.free.take(buffer.0.pages()) else {
        space.free_slots.push(slot);
        return Err(CallError::Exhausted("address space; unmap some buffers"));
    };
    let mapping = Mapping { slot, pages: range, buffer: buffer.0.clone() };
    let segment = mapping.segment();
    // The turn keeps the slot and its register; the lock is free while they are written.
    drop(space);
    let written = device::link(bound).io(|io| G::set_segment(io, context.id, slot, &segment));
    if let Err(error) = written {
        // Perhaps half written; it is not valid, and on a lost device there is no table.
        let _ = device::link(bound).io(|io| G::clear_segment(io, context.id, slot));
        let mut space = context.space.lock();
        space.free_slots.push(slot);
        space.free.give_back(mapping.pages.clone());
        drop(space);
        tracing::debug!(%error, "a segment could not be set");
        return Err(Refusal::Gone.into());
    }
    context.space.lock().mappings.push(mapping);
    Ok(segment.va)
}

/// Takes a buffer out of reach. Jobs already submitted that use it fault or succeed; its memory stays until they have
/// ended.
pub(crate) fn unmap<G: Gpu>(doorway: &Doorway<'_, Device<G>>, arguments: Unmap<'_, G>) -> Result<(), CallError> {
    let Unmap { context: Context(context), va } = arguments;
    // On a lost device there is no table to change, and no turn to wait for.
    let bound = doorway.enter();
    let turn = bound.as_ref().and_then(|_| context.device.0.gpu.contexts.tables.take());
    let mut space = context.space.lock();
    let found = space.mappings.iter().position(|mapping| mapping.va() == va);
    let mapping = space.mappings.swap_remove(found.ok_or(CallError::Invalid("nothing is mapped there"))?);
    drop(space);
    // In the turn: nobody is given the slot, or restores the table, before it is cleared.
    if let (Some(bound), Some(_)) = (&bound, &turn) {
        let _ = device::link(bound).io(|io| G::clear_segment(io, context.id, mapping.slot));
    }
    let mut space = context.space.lock();
    space.free_slots.push(mapping.slot);
    space.free.give_back(mapping.pages);
    // The last reference may be in here; it goes after the lock.
    let before = space.retained.clone();
    Retained::end(&mut space.retained, mapping.buffer);
    drop(space);
    drop(turn);
    drop(before);
    Ok(())
}

impl<G: Gpu> Context<G> {
    /// The resets that its jobs caused, those by which its jobs were lost through another's fault, and whether the device was lost
    /// without anybody known to have caused it. Never fails, also not after loss.
    ///
    /// A context that has caused as many as [`Policy::guilty_limit`](lifeboat::Policy::guilty_limit) is banned: its
    /// submissions are refused with ECANCELED, and only another context goes on (SCHED-7).
    pub fn reset_stats(&self) -> ResetStats {
        self.0.scheduled.reset_stats()
    }
}

impl<G: Gpu> ContextInner<G> {
    /// What a job that is submitted now holds; see [`Retained`].
    pub(crate) fn retained(&self) -> Arc<Retained> {
        self.space.lock().retained.clone()
    }

    fn mapped(&self, index: usize) -> Option<(u8, Segment)> {
        self.space.lock().mappings.get(index).map(|mapping| (mapping.slot, mapping.segment()))
    }
}

impl<G: Gpu> AddressTable for ContextInner<G> {
    fn restore(&self, link: &Link, _: &Turn<'_>) -> Result<(), DriverError> {
        let mut next = 0;
        while let Some((slot, segment)) = self.mapped(next) {
            link.io(|io| G::set_segment(io, self.id, slot, &segment))?;
            next += 1;
        }
        Ok(())
    }
}

impl<G: Gpu> Drop for ContextInner<G> {
    fn drop(&mut self) {
        // Nobody submits and no job is left. The table must be empty before the context's number means somebody else; after
        // a loss it never does.
        let slots = self.space.get_mut().mappings.iter().map(|mapping| mapping.slot);
        self.device.0.undo().clear_segments::<G>(self.id, slots);
        self.device.0.gpu.contexts.give_back(self.id.0);
    }
}

impl<G: Gpu> fmt::Debug for Context<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.0.id).finish()
    }
}
