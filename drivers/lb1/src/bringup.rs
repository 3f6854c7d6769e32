//! Identity, enabling and device reset.

use lifeboat_core::health::Verdict;
use lifeboat_driver::{DriverError, Identity};
use lifeboat_pci::Bar;

use crate::regs::{self, device_ctrl, device_status};
use crate::scanout::UNWATCHED;
use crate::Lb1;

/// What a device is and has, read once at bring-up. No reset changes any of it: a device that says otherwise is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Register interface version, as in [`regs::VERSION`].
    pub version: u32,
    /// Serial number; 0 if the device has none.
    pub serial: u32,
    /// Rings, 1 to [`regs::MAX_RINGS`].
    pub rings: u8,
    /// Contexts.
    pub contexts: u8,
    /// Segments of each context.
    pub segments: u8,
    /// VRAM in bytes.
    pub vram_bytes: u64,
}

/// How far something is that the hardware takes time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Ask again.
    UnderWay,
    /// It has succeeded.
    Done,
    /// It has failed.
    Failed,
}

impl Info {
    /// Refuses what cannot be true. `registers` and `vram` are the sizes of the two BARs, in bytes.
    ///
    /// # Errors
    /// [`DriverError::Impossible`], with a sentence.
    pub(crate) const fn check(&self, registers: u64, vram: u64) -> Result<(), DriverError> {
        Err(DriverError::Impossible(if self.vram_bytes == 0 {
            "it has no VRAM"
        } else if self.vram_bytes > vram {
            "it has more VRAM than the BAR for it has room for"
        } else if regs::RINGS + self.rings as u64 * regs::RING_STRIDE > registers {
            "it has more rings than the BAR of its registers has room for"
        } else if regs::CONTEXTS + self.contexts as u64 * regs::CONTEXT_STRIDE > registers {
            "it has more contexts than the BAR of its registers has room for"
        } else {
            return Ok(());
        }))
    }
}

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Checks that this is an LB1 of a known version and reads what it has.
    ///
    /// # Errors
    /// [`DriverError::Gone`], or [`DriverError::Foreign`] naming the register that is wrong.
    pub(crate) fn info(&self) -> Result<Info, DriverError> {
        let id = self.read(regs::ID)?;
        if id != regs::ID_VALUE {
            return Err(DriverError::Foreign { register: regs::ID, value: id });
        }
        let version = self.read(regs::VERSION)?;
        if version >> 16 != regs::VERSION_VALUE >> 16 {
            return Err(DriverError::Foreign { register: regs::VERSION, value: version });
        }
        let caps = self.read(regs::CAPS)?;
        let [rings, contexts, segments, _] = caps.to_le_bytes();
        let within = (1..=regs::MAX_RINGS).contains(&rings)
            && (1..=regs::CONTEXT_COUNT).contains(&contexts)
            && (1..=regs::SEGMENT_COUNT).contains(&segments);
        if !within {
            return Err(DriverError::Foreign { register: regs::CAPS, value: caps });
        }
        let vram_bytes = u64::from(self.read(regs::VRAM_PAGES)?) * regs::PAGE;
        let serial = self.read(regs::SERIAL)?;
        Ok(Info { version, serial, rings, contexts, segments, vram_bytes })
    }

    /// Compares the device that answers now with the one that `before` was read of. Another one must
    /// give the same answers twice and compute, with `pattern`: a device that begins to answer nonsense
    /// is not a replacement.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn identify(&self, before: &Info, pattern: u32) -> Result<Identity, DriverError> {
        let info = match self.info() {
            Ok(info) if info == *before => return Ok(Identity::Same),
            // A model of another version has the same identity register.
            info @ (Ok(_) | Err(DriverError::Foreign { register: regs::VERSION | regs::CAPS, .. })) => info,
            Err(DriverError::Foreign { .. }) => return Ok(Identity::Unknown),
            Err(error) => return Err(error),
        };
        let computes = self.liveness(pattern)? == Verdict::Alive;
        Ok(if computes && self.info() == info { Identity::Other } else { Identity::Unknown })
    }

    /// After a reset: whether this is the device that it was before, with all that it had, and computes.
    ///
    /// # Errors
    /// [`DriverError::Changed`] if not, or [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn is_still(&self, before: &Info, pattern: u32) -> Result<(), DriverError> {
        match self.info() {
            Ok(info) if info == *before => {}
            Ok(_) | Err(DriverError::Foreign { .. }) => return Err(DriverError::Changed),
            Err(error) => return Err(error),
        }
        match self.liveness(pattern)? {
            Verdict::Alive => Ok(()),
            Verdict::Dead => Err(DriverError::Gone),
            Verdict::Unsure => Err(DriverError::Changed),
        }
    }

    /// Begins a reset to power-on state. Ask [`Lb1::device_reset`] until it is no longer under way, for at most
    /// [`regs::RESET_MAX_MS`].
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub(crate) fn begin_device_reset(&self) -> Result<(), DriverError> {
        self.write(regs::DEVICE_CTRL, device_ctrl::RESET)
    }

    /// How far the reset is.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn device_reset(&self) -> Result<Progress, DriverError> {
        let status = self.read(regs::DEVICE_STATUS)?;
        Ok(if status & device_status::RESETTING != 0 {
            Progress::UnderWay
        } else if status & device_status::RESET_FAILED != 0 || status & device_status::READY == 0 {
            Progress::Failed
        } else {
            Progress::Done
        })
    }

    /// Starts the device after a reset and unmasks the interrupts this driver always handles: all but
    /// vertical blanks, which [`Lb1::watch_vblanks`] adds.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub(crate) fn enable_device(&self) -> Result<(), DriverError> {
        self.write(regs::DEVICE_CTRL, device_ctrl::ENABLE)?;
        self.write(regs::IRQ_STATUS, regs::irq::ALL)?;
        self.write(regs::IRQ_MASK, UNWATCHED)
    }

    /// Masks all interrupts.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub(crate) fn mask_interrupts(&self) -> Result<(), DriverError> {
        self.write(regs::IRQ_MASK, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: Info = Info { version: 0, serial: 0, rings: 8, contexts: 64, segments: 64, vram_bytes: 1 << 20 };

    #[test]
    fn what_cannot_be_true_is_refused() {
        let registers = regs::CONTEXTS + 64 * regs::CONTEXT_STRIDE;
        assert_eq!(INFO.check(registers, 1 << 20), Ok(()));
        let refused = [
            (Info { vram_bytes: 0, ..INFO }, registers, 1 << 20),
            (INFO, registers, (1 << 20) - 1),
            (INFO, registers - 1, 1 << 20),
            (INFO, regs::RINGS + 8 * regs::RING_STRIDE - 1, 1 << 20),
        ];
        for (info, registers, vram) in refused {
            assert!(matches!(info.check(registers, vram), Err(DriverError::Impossible(_))), "{info:?}");
        }
    }
}
