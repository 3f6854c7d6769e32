//! Contexts' address tables: which memory a context's commands reach, and where.

use lifeboat_driver::gpu::{ContextId, Segment, Target};
use lifeboat_driver::DriverError;
use lifeboat_pci::Bar;

use crate::regs::{self, segment, segment_field};
use crate::Lb1;

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Puts a segment into effect. The slot must be clear.
    ///
    /// # Errors
    /// [`DriverError::NoSuchThing`] if there is no such slot, or [`DriverError::Bus`].
    pub fn set_segment(&self, context: ContextId, slot: u8, segment: &Segment) -> Result<(), DriverError> {
        let field = |field| segment_field(context.0, slot, field);
        check(context, slot)?;
        self.write_pair(field(regs::SEG_VA_LO), segment.va.0)?;
        self.write(field(regs::SEG_PAGES), segment.pages)?;
        let (target, host) = match segment.target {
            Target::Vram(offset) => (offset, 0),
            Target::Host(iova) => (iova.0, segment::HOST),
        };
        self.write_pair(field(regs::SEG_TARGET_LO), target)?;
        let writable = if segment.writable { segment::WRITABLE } else { 0 };
        self.write(field(regs::SEG_FLAGS), segment::VALID | writable | host)
    }

    /// Takes a segment out of effect.
    ///
    /// # Errors
    /// As [`Lb1::set_segment`].
    pub fn clear_segment(&self, context: ContextId, slot: u8) -> Result<(), DriverError> {
        check(context, slot)?;
        self.write(segment_field(context.0, slot, regs::SEG_FLAGS), 0)
    }
}

fn check(context: ContextId, slot: u8) -> Result<(), DriverError> {
    let exists = context.0 < regs::CONTEXT_COUNT && slot < regs::SEGMENT_COUNT;
    if exists {
        Ok(())
    } else {
        Err(DriverError::NoSuchThing)
    }
}
