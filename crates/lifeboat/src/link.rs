//! The way from a device to its hardware, as long as there is one.
//!
//! The device lives as long as anyone holds it; the hardware ends with the binding. Everything that wants from the one
//! to the other goes through here: whole operations through the gate, register access through the revocable.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use lifeboat_core::class::{Class, Presence, Refusal};
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{DriverError, Io};
use lifeboat_pci::{HostMemory, Iova};
use lifeboat_sync::{Bound, Revocable, Section};

use crate::calls::{Inside, Reach};
use crate::hardware::{Hardware, Mapped};
use crate::locks;
use crate::panics::caught;

/// Tells the bus side that the driver found the device lost. Must not block.
pub(crate) type ReportLoss = Box<dyn Fn(Loss) + Send + Sync>;

/// The way from a device to its hardware, for its subsystem. Nothing leads past a section (GATE-1).
pub struct Link {
    reach: Reach<Hardware>,
    loss_reported: AtomicBool,
    /// The driver's code has panicked: what state it has is not known, so it is not run any more.
    panicked: AtomicBool,
    report_loss: ReportLoss,
}

/// The way to the registers inside a bus callback (probe, the cut of an unplug), which cannot be taken away before the
/// callback returns: no check, and it may wait in between (GATE-10).
pub(crate) struct BoundLink<'a> {
    link: &'a Link,
    hardware: Bound<'a, Hardware>,
}

impl Deref for Link {
    type Target = Reach<Hardware>;

    fn deref(&self) -> &Reach<Hardware> {
        &self.reach
    }
}

/// Either way to the hardware, for a procedure that is the same in a bus callback and outside of
/// one.
pub(crate) trait Sections {
    /// As [`Link::io`].
    fn io<R>(&self, f: impl FnOnce(&Io<'_>) -> Result<R, DriverError>) -> Result<R, DriverError>;
}

impl Sections for Link {
    #[track_caller]
    fn io<R>(&self, f: impl FnOnce(&Io<'_>) -> Result<R, DriverError>) -> Result<R, DriverError> {
        self.io(f)
    }
}

impl Sections for BoundLink<'_> {
    fn io<R>(&self, f: impl FnOnce(&Io<'_>) -> Result<R, DriverError>) -> Result<R, DriverError> {
        self.hardware(|hardware| self.link.run(hardware, f))
    }
}

impl BoundLink<'_> {
    /// As [`Link::hardware`].
    pub(crate) fn hardware<R>(&self, f: impl FnOnce(&Hardware) -> Result<R, DriverError>) -> Result<R, DriverError> {
        let _inside = Inside::begin();
        let result = f(&self.hardware);
        self.link.notice(&result);
        result
    }
}

impl Link {
    pub(crate) fn new(hardware: Hardware, check_entry: bool, report_loss: ReportLoss) -> Self {
        let hardware = Revocable::with_class(&locks::REGISTERS, hardware);
        Self {
            reach: Reach::new(&locks::GATE, hardware, check_entry),
            loss_reported: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            report_loss,
        }
    }

    /// Runs `f` on the hardware, in a section that must not block. If there is none any more, or `f`
    /// finds the device dead, that is [`DriverError::Gone`], and the bus side learns of it.
    #[track_caller]
    pub(crate) fn hardware<R>(&self, f: impl FnOnce(&Hardware) -> Result<R, DriverError>) -> Result<R, DriverError> {
        let result = self.access(f).unwrap_or(Err(DriverError::Gone));
        self.notice(&result);
        result
    }

    /// Runs code of the driver on the hardware, in a section that must not block. A panic of it is
    /// [`DriverError::Panicked`]; the bus side learns of that, too.
    ///
    /// # Errors
    /// [`DriverError::Gone`] if the hardware has been taken away, those of `f`.
    #[track_caller]
    pub fn io<R>(&self, f: impl FnOnce(&Io<'_>) -> Result<R, DriverError>) -> Result<R, DriverError> {
        self.hardware(|hardware| self.run(hardware, f))
    }

    /// Runs code of the driver. Its panic ends here (DRV-3): it must not take the caller with it,
    /// which may be an interrupt handler or an unplug. After it the driver is asked nothing more.
    pub(crate) fn run<R>(
        &self,
        hardware: &Hardware,
        f: impl FnOnce(&Io<'_>) -> Result<R, DriverError>,
    ) -> Result<R, DriverError> {
        if self.panicked.load(SeqCst) {
            return Err(DriverError::Panicked);
        }
        caught("the driver", || f(&Io::new(hardware))).unwrap_or_else(|| {
            self.panicked.store(true, SeqCst);
            Err(DriverError::Panicked)
        })
    }

    fn notice<R>(&self, result: &Result<R, DriverError>) {
        match result {
            Err(DriverError::Gone) => self.lost(Loss::FellOff),
            Err(DriverError::Panicked) => self.lost(Loss::Crashed),
            _ => {}
        }
    }

    /// Keeps the registers for the time of a bus callback; `None` once they have been cut off.
    #[track_caller]
    pub(crate) fn bound(&self) -> Option<BoundLink<'_>> {
        Some(BoundLink { link: self, hardware: self.hardware.bound()? })
    }

    /// A section of the gate: whole operations happen in one. `None` once the loss is announced.
    #[track_caller]
    pub fn enter_gate(&self) -> Option<Section<'_>> {
        self.gate.enter()
    }

    /// How it stands with the device: there, gone, or wedged and why (CALL-5). May be out of date as
    /// soon as it is returned.
    pub fn presence(&self) -> Presence {
        self.reach.presence()
    }

    /// Refuses a call of this class if there is no device for it.
    ///
    /// # Errors
    /// As the class says.
    #[track_caller]
    pub fn admit(&self, class: Class) -> Result<(), Refusal> {
        self.reach.enter(class).map(drop)
    }

    /// Gives the device memory to reach by DMA, until it is [unmapped](Self::unmap), at the latest by
    /// the cut.
    ///
    /// # Errors
    /// [`DriverError::Gone`] if the hardware has been taken away, [`DriverError::Bus`] if the bus has
    /// no address for it or cannot reach such memory.
    #[track_caller]
    pub fn map(&self, memory: Arc<HostMemory>) -> Result<Mapped, DriverError> {
        self.hardware(|hardware| hardware.map(memory))
    }

    /// Takes memory out of the device's reach. Nothing is left to do after the cut.
    #[track_caller]
    pub fn unmap(&self, iova: Iova) {
        self.access(|hardware| hardware.unmap(iova));
    }

    /// Whether the driver has found the device lost: then nothing that it reads means anything.
    pub fn is_lost(&self) -> bool {
        self.loss_reported.load(SeqCst)
    }

    /// The driver has found the device lost. Reported once; the unplug follows on the bus side.
    pub fn lost(&self, loss: Loss) {
        if self.presence() == Presence::Live && !self.loss_reported.swap(true, SeqCst) {
            (self.report_loss)(loss);
        }
    }
}
