// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The address table of a context: which buffers its commands reach, and where.
//!
//! The table in the device is written under the lock of the table here, in short register sections, so the two agree. A
//! reset of the device forgets the one, and is given it again from the other.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Arc, Mutex},
};
use lifeboat_driver::{
    gpu::{ContextId, Gpu, GpuVa, Segment, Target as At},
    DriverError,
};
use lifeboat_pci::Iova;

use super::{
    buffer::Target,
    retained::{Retained, Used},
    unit::UNIT,
    Memory, Object,
};
use crate::errno::errno;
use crate::glue::Content;
use crate::link::Link;
use crate::registration::Driven;

/// A part of a buffer, and the addresses that are to lead to it. All in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    /// Whether commands may write there.
    pub(crate) writable: bool,
}

/// See the module documentation.
#[pin_data]
pub(crate) struct Table {
    context: ContextId,
    /// That the device's table has.
    segments: u8,
    #[pin]
    space: Mutex<Space>,
}

struct Space {
    /// As many as the device's table has segments, at most 255: they may be searched. There is room for all.
    mappings: KVec<Mapping>,
    free_slots: KVec<u8>,
    /// What a job that is submitted now holds.
    retained: Retained,
}

struct Mapping {
    part: Part,
    /// By their slots.
    segments: KVec<(u8, Segment)>,
    object: Used,
    /// For the unmapping, which must not fail.
    next: Retained,
    /// The memory is no longer to be reached: the device has no segment of it.
    is_revoked: bool,
}

impl Mapping {
    fn overlaps(&self, other: &Part) -> bool {
        self.part.address < other.address + other.bytes && other.address < self.part.address + self.part.bytes
    }
}

impl Table {
    /// The empty table of a context of the hardware, which must be empty, too.
    pub(super) fn new(context: ContextId, segments: u8) -> Result<Arc<Self>> {
        let mut free_slots = KVec::with_capacity(segments.into(), GFP_KERNEL)?;
        for slot in (0..segments).rev() {
            free_slots.push(slot, GFP_KERNEL)?;
        }
        let mappings = KVec::with_capacity(segments.into(), GFP_KERNEL)?;
        let space = Space { mappings, free_slots, retained: Retained::new()? };
        Arc::pin_init(pin_init!(Self { context, segments, space <- new_mutex!(space, "lifeboat::space") }), GFP_KERNEL)
    }

    pub(crate) fn context(&self) -> ContextId {
        self.context
    }

    /// Maps a part of a buffer. Enters the gate itself, once all is allocated that is needed: an unplug must not wait for
    /// that. EINVAL for what is no whole pages, or past an end; EEXIST if an address is taken, ENOSPC if there are too few
    /// segments, EFAULT if its program has unmapped or replaced the memory; the errno of the refusal if the device is lost.
    pub(crate) fn map(&self, memory: &Memory, object: ARef<Object>, part: Part) -> Result {
        check(&part, object.bytes() as u64)?;
        if part.writable && !object.is_writable() {
            return Err(EINVAL);
        }
        let object = Used::new(object);
        object.verify()?;
        let mut segments = segments(object.target(part.offset, part.bytes)?, &part)?;
        let next = Retained::new()?;
        let _section = memory.gate.call()?;
        let mut space = self.space.lock();
        if space.mappings.iter().any(|mapping| mapping.overlaps(&part)) {
            return Err(EEXIST);
        }
        if object.is_revoked() {
            return Err(EFAULT);
        }
        if space.free_slots.len() < segments.len() {
            return Err(ENOSPC);
        }
        for (slot, _) in &mut segments {
            *slot = space.free_slots.pop().ok_or(ENOSPC)?;
        }
        let written = memory.link.io(|io| {
            segments.iter().try_for_each(|(slot, segment)| Driven::set_segment(io, self.context, *slot, segment))
        });
        let mapping = Mapping { part, segments, object, next, is_revoked: false };
        if let Err(error) = written {
            // Perhaps half of them are written.
            self.clear(memory, &mapping);
            space.give_back(&mapping);
            drop(space);
            return Err(errno(error));
        }
        // There is room: each mapping has a segment.
        let _ = space.mappings.push_within_capacity(mapping);
        Ok(())
    }

    /// Unmaps what begins at an address. Touches no hardware if the device is lost. ENOENT if nothing does.
    pub(crate) fn unmap(&self, memory: &Memory, address: u64) -> Result {
        let mut space = self.space.lock();
        let index = space.mappings.iter().position(|mapping| mapping.part.address == address).ok_or(ENOENT)?;
        let before = self.end(memory, &mut space, index);
        drop(space);
        // Perhaps with the buffer.
        drop(before);
        Ok(())
    }

    /// Empties the table, for good. What was mapped stays for the jobs that hold it.
    pub(super) fn empty(&self, memory: &Memory) {
        loop {
            let mut space = self.space.lock();
            let Some(last) = space.mappings.len().checked_sub(1) else { break };
            let before = self.end(memory, &mut space, last);
            drop(space);
            drop(before);
        }
    }

    /// What a job that is submitted now holds until it has ended; see [`Retained`]. It holds the table, too.
    pub(crate) fn retained(&self) -> Retained {
        self.space.lock().retained.clone()
    }

    /// Looks whether mapped memory of programs is still theirs, and takes what is not out of the device's reach. Call it with
    /// no lock held, before a job is submitted.
    pub(crate) fn verify(&self) -> Result {
        // Each pass settles one buffer.
        for _ in 0..self.segments {
            let in_doubt = |mapping: &&Mapping| !mapping.is_revoked && mapping.object.is_in_doubt();
            let Some(object) = self.space.lock().mappings.iter().find(in_doubt).map(|mapping| mapping.object.object())
            else {
                break;
            };
            match object.verify() {
                Err(error) if error != EFAULT => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The buffers that are mapped, each as often as it is, and whether commands may write to it.
    pub(crate) fn objects(&self) -> Result<KVec<(ARef<Object>, bool)>> {
        let mut objects = KVec::with_capacity(self.segments.into(), GFP_KERNEL)?;
        for mapping in &self.space.lock().mappings {
            let _ = objects.push_within_capacity((mapping.object.object(), mapping.part.writable));
        }
        Ok(objects)
    }

    /// Writes the table to a device that has forgotten it.
    pub(super) fn restore(&self, link: &Link) -> Result<(), DriverError> {
        let space = self.space.lock();
        let valid = space.mappings.iter().filter(|mapping| !mapping.is_revoked);
        valid
            .flat_map(|mapping| &mapping.segments)
            .try_for_each(|(slot, segment)| link.io(|io| Driven::set_segment(io, self.context, *slot, segment)))
    }

    /// Takes memory out of the device's reach. The mapping stays, and with it the buffer, until it is unmapped. `false` if
    /// that could not be done without waiting, where `may_wait` is. Allocates nothing.
    pub(super) fn revoke(&self, memory: &Memory, key: usize, may_wait: bool) -> bool {
        let space = if may_wait { Some(self.space.lock()) } else { self.space.try_lock() };
        let Some(mut space) = space else { return false };
        for mapping in &mut space.mappings {
            if mapping.object.key() == Some(key) && !mapping.is_revoked {
                mapping.is_revoked = true;
                self.clear(memory, mapping);
            }
        }
        true
    }

    /// Ends one mapping. Returns what may go with it once the lock is free.
    fn end(&self, memory: &Memory, space: &mut Space, index: usize) -> Option<Retained> {
        let last = space.mappings.len().checked_sub(1)?;
        space.mappings.swap(index, last);
        let mapping = space.mappings.pop()?;
        self.clear(memory, &mapping);
        space.give_back(&mapping);
        let Mapping { object, next, .. } = mapping;
        Some(Retained::end(&mut space.retained, object, next))
    }

    /// Clears the segments of a mapping in the device, if there is one.
    fn clear(&self, memory: &Memory, mapping: &Mapping) {
        if let Ok(_section) = memory.gate.enter() {
            // An error says that there is no table any more.
            let _ = memory.link.io(|io| {
                let mut slots = mapping.segments.iter();
                slots.try_for_each(|(slot, _)| Driven::clear_segment(io, self.context, *slot))
            });
        }
    }
}

impl Space {
    fn give_back(&mut self, mapping: &Mapping) {
        for (slot, _) in &mapping.segments {
            // They came from there.
            let _ = self.free_slots.push_within_capacity(*slot);
        }
    }
}

/// Refuses parts that are no whole pages, or past an end.
fn check(part: &Part, buffer: u64) -> Result {
    let is_whole = [part.address, part.offset, part.bytes].iter().all(|place| place % UNIT == 0);
    let end = part.offset.checked_add(part.bytes).filter(|end| *end <= buffer);
    let pages = Driven::ADDRESSES;
    let last = part.address.checked_add(part.bytes).filter(|end| end.div_ceil(Driven::PAGE) <= pages.end);
    if is_whole && part.bytes > 0 && end.is_some() && last.is_some() && part.address / Driven::PAGE >= pages.start {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

/// A segment for each stretch of the part, all in slot 0 yet. EINVAL for memory of others whose pieces are smaller than a page
/// of the device: that reaches none of it.
fn segments(target: Target, part: &Part) -> Result<KVec<(u8, Segment)>> {
    let mut segments = KVec::new();
    let mut add = |va, bytes: u64, target| {
        let pages = u32::try_from(bytes / Driven::PAGE)?;
        let segment = Segment { va: GpuVa(va), pages, writable: part.writable, target };
        segments.push((0, segment), GFP_KERNEL).map_err(Error::from)
    };
    match target {
        Target::Vram(offset) => add(part.address, part.bytes, At::Vram(offset))?,
        Target::Host(stretches) => {
            let mut va = part.address;
            for stretch in stretches.iter() {
                if stretch.bytes % Driven::PAGE != 0 {
                    return Err(EINVAL);
                }
                add(va, stretch.bytes, At::Host(Iova(stretch.iova.0)))?;
                va += stretch.bytes;
            }
        }
    }
    Ok(segments)
}
