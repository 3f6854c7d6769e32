//! The contexts' address tables: which GPU addresses lead to VRAM or to the bus.
//!
//! A context has a fixed number of segments, each a run of pages. A command takes the table as it stands when it
//! begins and keeps it until it ends, as a TLB would.

use std::sync::Arc;

use lifeboat_lb1::regs::{self, fault, segment};
use parking_lot::Mutex;

use crate::halves::{PAGE_MASK, half, set_half};

/// What a piece of GPU memory is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A VRAM offset.
    Vram(u64),
    /// A bus address.
    Bus(u64),
}

/// Why the memory is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// The registers of one segment.
#[derive(Debug, Clone, Copy, Default)]
struct Segment {
    va: u64,
    pages: u32,
    flags: u32,
    target: u64,
}

/// The valid segments of a context at one moment.
pub(crate) type Table = Arc<[Valid]>;

/// A segment that is in effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Valid {
    begin: u64,
    /// One past the last address. The segment does not reach the end of the address space, so this does not overflow.
    end: u64,
    target: u64,
    flags: u32,
}

/// The table of the driver's own commands: addresses are bus addresses, but for the last page of
/// them.
pub(crate) fn bus() -> Table {
    let all = Valid { begin: 0, end: !u64::from(!PAGE_MASK), target: 0, flags: segment::HOST | segment::WRITABLE };
    Arc::new([all])
}

pub(crate) struct Contexts {
    contexts: Vec<Mutex<ContextState>>,
}

struct ContextState {
    segments: [Segment; regs::SEGMENT_COUNT as usize],
    table: Table,
}

impl Contexts {
    pub(crate) fn new() -> Self {
        let empty =
            || ContextState { segments: [Segment::default(); regs::SEGMENT_COUNT as usize], table: Arc::new([]) };
        Self { contexts: (0..regs::CONTEXT_COUNT).map(|_| Mutex::new(empty())).collect() }
    }

    /// Clears every table.
    pub(crate) fn reset(&self) {
        for context in &self.contexts {
            let mut context = context.lock();
            context.segments = [Segment::default(); regs::SEGMENT_COUNT as usize];
            context.table = Arc::new([]);
        }
    }

    /// The table of a context, or `None` if there is no such context.
    pub(crate) fn table(&self, context: u8) -> Option<Table> {
        Some(self.contexts.get(usize::from(context))?.lock().table.clone())
    }

    /// Reads a register; `offset` from the start of the first table.
    pub(crate) fn read(&self, offset: u64) -> u32 {
        let Some((context, index, field)) = self.locate(offset) else { return 0 };
        let context = context.lock();
        let segment = &context.segments[index];
        match field {
            regs::SEG_VA_LO => half(segment.va, 0),
            regs::SEG_VA_HI => half(segment.va, 1),
            regs::SEG_PAGES => segment.pages,
            regs::SEG_FLAGS => segment.flags,
            regs::SEG_TARGET_LO => half(segment.target, 0),
            regs::SEG_TARGET_HI => half(segment.target, 1),
            _ => 0,
        }
    }

    /// Writes a register. While the segment is valid only its flags can be written.
    pub(crate) fn write(&self, offset: u64, value: u32) {
        let Some((context, index, field)) = self.locate(offset) else { return };
        let mut context = context.lock();
        let segment = &mut context.segments[index];
        if field == regs::SEG_FLAGS {
            segment.flags = value & (segment::VALID | segment::WRITABLE | segment::HOST);
            context.table = context.segments.iter().filter_map(Segment::valid).collect();
        } else if segment.flags & segment::VALID == 0 {
            match field {
                regs::SEG_VA_LO => set_half(&mut segment.va, 0, value & PAGE_MASK),
                regs::SEG_VA_HI => set_half(&mut segment.va, 1, value),
                regs::SEG_PAGES => segment.pages = value,
                regs::SEG_TARGET_LO => set_half(&mut segment.target, 0, value & PAGE_MASK),
                regs::SEG_TARGET_HI => set_half(&mut segment.target, 1, value),
                _ => {}
            }
        }
    }

    fn locate(&self, offset: u64) -> Option<(&Mutex<ContextState>, usize, u64)> {
        let context = self.contexts.get(usize::try_from(offset / regs::CONTEXT_STRIDE).ok()?)?;
        let within = offset % regs::CONTEXT_STRIDE;
        let index = usize::try_from(within / regs::SEGMENT_STRIDE).ok()?;
        Some((context, index, within % regs::SEGMENT_STRIDE))
    }
}

impl Segment {
    fn valid(&self) -> Option<Valid> {
        let bytes = u64::from(self.pages) * regs::PAGE;
        if self.flags & segment::VALID == 0 || bytes == 0 {
            return None;
        }
        let end = self.va.checked_add(bytes)?;
        self.target.checked_add(bytes)?;
        Some(Valid { begin: self.va, end, target: self.target, flags: self.flags })
    }
}

/// Finds what a GPU address leads to, and for how many bytes on.
///
/// # Errors
/// The fault code.
pub(crate) fn translate(table: &[Valid], va: u64, access: Access) -> Result<(Target, u64), u8> {
    let found = table.iter().find(|segment| (segment.begin..segment.end).contains(&va)).ok_or(fault::UNMAPPED)?;
    if access == Access::Write && found.flags & segment::WRITABLE == 0 {
        return Err(fault::READ_ONLY);
    }
    let target = found.target + (va - found.begin);
    let target = if found.flags & segment::HOST == 0 { Target::Vram(target) } else { Target::Bus(target) };
    Ok((target, found.end - va))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(contexts: &Contexts, context: u8, index: u8, va: u64, pages: u32, flags: u32, target: u64) {
        let at = |field| regs::segment_field(context, index, field) - regs::CONTEXTS;
        contexts.write(at(regs::SEG_VA_LO), half(va, 0));
        contexts.write(at(regs::SEG_VA_HI), half(va, 1));
        contexts.write(at(regs::SEG_PAGES), pages);
        contexts.write(at(regs::SEG_TARGET_LO), half(target, 0));
        contexts.write(at(regs::SEG_TARGET_HI), half(target, 1));
        contexts.write(at(regs::SEG_FLAGS), flags);
    }

    #[test]
    fn translates_within_bounds_only() {
        let contexts = Contexts::new();
        set(&contexts, 3, 5, 0x9_0000_0000, 2, segment::VALID | segment::HOST, 0x7_0000_0000);
        let table = contexts.table(3).unwrap();
        assert_eq!(translate(&table, 0x9_0000_1fff, Access::Read), Ok((Target::Bus(0x7_0000_1fff), 1)));
        assert_eq!(translate(&table, 0x9_0000_2000, Access::Read), Err(fault::UNMAPPED));
        assert_eq!(translate(&table, 0x8_ffff_ffff, Access::Read), Err(fault::UNMAPPED));
        assert_eq!(translate(&table, 0x9_0000_0000, Access::Write), Err(fault::READ_ONLY));
        assert!(contexts.table(2).unwrap().is_empty());
        assert!(contexts.table(64).is_none());
    }

    #[test]
    fn a_valid_segment_keeps_its_fields() {
        let contexts = Contexts::new();
        set(&contexts, 0, 0, 0x1000, 1, segment::VALID | segment::WRITABLE, 0);
        set(&contexts, 0, 0, 0x5000, 9, segment::VALID | segment::WRITABLE, 0x3000);
        let table = contexts.table(0).unwrap();
        assert_eq!(translate(&table, 0x1000, Access::Write), Ok((Target::Vram(0), 4096)));
        assert_eq!(translate(&table, 0x5000, Access::Write), Err(fault::UNMAPPED));
    }

    #[test]
    fn segments_past_the_end_of_the_address_space_are_not_valid() {
        let contexts = Contexts::new();
        set(&contexts, 0, 0, !0xfff, 1, segment::VALID, 0);
        set(&contexts, 0, 1, 0, u32::MAX, segment::VALID, !0xfff);
        assert!(contexts.table(0).unwrap().is_empty());
    }
}
