//! The kinds of interrupts, and how many vectors a function has of each.

use crate::{find_capability, BusError, CapabilityId, ConfigSpace};

/// A kind of message signalled interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IrqKind {
    /// Up to 32 vectors, a power of two, described in configuration space.
    Msi,
    /// Up to 2048 vectors, any number, described in a table in a BAR.
    MsiX,
}

/// Vectors of a function with the largest MSI capability, as a power of two. Larger values are reserved.
const MSI_MAX_ORDER: u16 = 5;

/// How many vectors of a kind the function has by its capability list. 0 if it has none, or is gone.
///
/// # Errors
/// Those of [`ConfigSpace::read16`].
pub fn irq_vectors(config: &(impl ConfigSpace + ?Sized), kind: IrqKind) -> Result<u16, BusError> {
    let id = match kind {
        IrqKind::Msi => CapabilityId::MSI,
        IrqKind::MsiX => CapabilityId::MSI_X,
    };
    let Some(at) = find_capability(config, id)? else { return Ok(0) };
    let control = config.read16(at + 2)?;
    // A reserved bit of either register is 0.
    if control == u16::MAX {
        return Ok(0);
    }
    Ok(match kind {
        IrqKind::Msi => 1 << (control >> 1 & 7).min(MSI_MAX_ORDER),
        IrqKind::MsiX => (control & 0x7ff) + 1,
    })
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    /// An MSI and an MSI-X capability, of a function that vanishes after some reads.
    struct Fake {
        msi: u16,
        msi_x: u16,
        reads_left: Cell<usize>,
    }

    impl ConfigSpace for Fake {
        fn read16(&self, offset: u16) -> Result<u16, BusError> {
            let Some(left) = self.reads_left.get().checked_sub(1) else { return Ok(u16::MAX) };
            self.reads_left.set(left);
            Ok(match offset {
                0x34 => 0x50,
                0x50 => 0x7005,
                0x52 => self.msi,
                0x70 => 0x0011,
                0x72 => self.msi_x,
                _ => 0,
            })
        }
        fn read32(&self, _: u16) -> Result<u32, BusError> {
            Err(BusError::Unsupported)
        }
        fn write16(&self, _: u16, _: u16) -> Result<(), BusError> {
            Err(BusError::Unsupported)
        }
        fn write32(&self, _: u16, _: u32) -> Result<(), BusError> {
            Err(BusError::Unsupported)
        }
    }

    #[test]
    fn the_capabilities_say_how_many_vectors_there_are() {
        for (msi, msi_x, vectors) in [(0x0080, 0x8000, (1, 1)), (0x000b, 0x0004, (32, 5)), (0x000f, 0x07ff, (32, 2048))]
        {
            let config = Fake { msi, msi_x, reads_left: Cell::new(usize::MAX) };
            assert_eq!(irq_vectors(&config, IrqKind::Msi), Ok(vectors.0));
            assert_eq!(irq_vectors(&config, IrqKind::MsiX), Ok(vectors.1));
        }
    }

    #[test]
    fn health_1_a_function_that_vanishes_has_none() {
        for reads in 0..4 {
            let config = Fake { msi: 0x0a, msi_x: 4, reads_left: Cell::new(reads) };
            assert_eq!(irq_vectors(&config, IrqKind::MsiX), Ok(0), "gone after {reads} reads");
        }
    }
}
