//! The way from a device to its hardware, as long as there is one.
//!
//! The device lives as long as anyone holds it; the hardware ends with the binding. Everything that wants from the one
//! to the other goes through here: whole operations through the gate, register access through the revocable.
//!
//! Driver code is entered here, too, so here its mistakes end (DRV-3): a panic, and a stay that the
//! [watchdog](crate::watchdog) finds too long. After either, the driver is asked nothing more.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lifeboat_core::class::{Class, Presence, Refusal};
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{DriverError, Io};
use lifeboat_pci::{HostMemory, Iova};
use lifeboat_sync::{BoundProof, Gate, Holdout, OpenSection, Revocable, Section, Stay};

use crate::calls::{Inside, Reach};
use crate::hardware::{Hardware, Mapped};
use crate::listeners::ReportLoss;
use crate::locks;
use crate::panics::caught;
use crate::primitive::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};
use crate::windows::Fuse;

/// The driver has made no mistake that ends it.
const NONE: u8 = 0;
/// The driver's code has panicked: what state it has is not known, so it is not run any more.
const PANICKED: u8 = 1;
/// The driver's code has not returned in time.
const STUCK: u8 = 2;

/// The way from a device to its hardware, for its subsystem. Nothing leads past a section (GATE-1).
pub struct Link {
    reach: Reach<Hardware>,
    /// Sections of driver code that is in no register section of its own. Never shut.
    code: Gate,
    /// Blown, it keeps code that is still in a section from the registers.
    fuse: Fuse,
    loss_reported: AtomicBool,
    mistake: AtomicU8,
    /// The section that did not end in time.
    overstay: OnceLock<Holdout>,
    callback: Callback,
    report_loss: ReportLoss,
}

/// The way to the registers inside a bus callback (probe, the cut of an unplug), which cannot be taken away before the
/// callback returns: no check, and it may wait in between (GATE-10).
pub(crate) struct BoundLink<'a> {
    link: &'a Link,
    hardware: BoundProof<'a, Hardware>,
}

/// Whether the thread of a bus callback is in the driver's code. Only there it can be left behind: everywhere else it may
/// be doing something to the function that its successor must not find done.
struct Callback(AtomicU8);

const OUTSIDE: u8 = 0;
const INSIDE: u8 = 1;
const ABANDONED: u8 = 2;

impl Callback {
    fn moves(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }

    /// Runs driver code.
    fn visit<R>(&self, f: impl FnOnce() -> Result<R, DriverError>) -> Result<R, DriverError> {
        if !self.moves(OUTSIDE, INSIDE) {
            return Err(DriverError::Stuck);
        }
        let result = f();
        if self.moves(INSIDE, OUTSIDE) { result } else { Err(DriverError::Stuck) }
    }
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

    /// As [`Link::code`].
    fn code<R>(&self, f: impl FnOnce() -> R) -> Result<R, DriverError>;
}

impl Sections for Link {
    #[track_caller]
    fn io<R>(&self, f: impl FnOnce(&Io<'_>) -> Result<R, DriverError>) -> Result<R, DriverError> {
        self.io(f)
    }

    #[track_caller]
    fn code<R>(&self, f: impl FnOnce() -> R) -> Result<R, DriverError> {
        self.code(f)
    }
}

impl Sections for BoundLink<'_> {
    #[track_caller]
    fn io<R>(&self, f: impl FnOnce(&Io<'_>) -> Result<R, DriverError>) -> Result<R, DriverError> {
        let Self { link, hardware } = self;
        let _inside = Inside::begin();
        let section = link.code.enter();
        let result = link.callback.visit(|| link.run(hardware, f));
        drop(section);
        link.notice(&result);
        result
    }

    #[track_caller]
    fn code<R>(&self, f: impl FnOnce() -> R) -> Result<R, DriverError> {
        let section = self.link.code.enter();
        let result = self.link.callback.visit(|| self.link.guarded(|| Ok(f())));
        drop(section);
        self.link.notice(&result);
        result
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
        let fuse = hardware.fuse();
        let hardware = Revocable::with_class(&locks::REGISTERS, hardware);
        Self {
            reach: Reach::new(&locks::GATE, hardware, check_entry),
            code: Gate::with_class(&locks::DRIVER),
            fuse,
            loss_reported: AtomicBool::new(false),
            mistake: AtomicU8::new(NONE),
            overstay: OnceLock::new(),
            callback: Callback(AtomicU8::new(OUTSIDE)),
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

    /// Runs code of the driver that gets no hardware.
    ///
    /// # Errors
    /// [`DriverError::Panicked`], [`DriverError::Stuck`].
    #[track_caller]
    pub fn code<R>(&self, f: impl FnOnce() -> R) -> Result<R, DriverError> {
        let section = self.code.enter();
        let result = self.guarded(|| Ok(f()));
        drop(section);
        self.notice(&result);
        result
    }

    /// Runs code of the driver. Its panic ends here (DRV-3): it must not take the caller with it,
    /// which may be an interrupt handler or an unplug. After it the driver is asked nothing more.
    pub(crate) fn run<R>(
        &self,
        hardware: &Hardware,
        f: impl FnOnce(&Io<'_>) -> Result<R, DriverError>,
    ) -> Result<R, DriverError> {
        self.guarded(|| f(&Io::new(hardware)))
    }

    #[inline]
    fn guarded<R>(&self, f: impl FnOnce() -> Result<R, DriverError>) -> Result<R, DriverError> {
        match self.mistake.load(SeqCst) {
            NONE => {}
            STUCK => return Err(DriverError::Stuck),
            _ => return Err(DriverError::Panicked),
        }
        caught("the driver", f).unwrap_or_else(|| {
            self.errs(PANICKED);
            Err(DriverError::Panicked)
        })
    }

    /// The first mistake counts.
    fn errs(&self, mistake: u8) {
        let _ = self.mistake.compare_exchange(NONE, mistake, SeqCst, SeqCst);
    }

    fn notice<R>(&self, result: &Result<R, DriverError>) {
        match result {
            Err(DriverError::Gone) => self.lost(Loss::FellOff),
            Err(DriverError::Panicked | DriverError::Stuck) => self.lost(Loss::Crashed),
            _ => {}
        }
    }

    /// The sections that the driver's code and accesses to registers are in now.
    pub(crate) fn stays(&self) -> Vec<Stay> {
        let mut stays = self.hardware.stays();
        stays.append(&mut self.code.stays());
        stays
    }

    /// A section has lasted for longer than the driver may take. Nothing more is asked of the driver, and the bus side
    /// learns that the device is lost.
    pub(crate) fn overstays(&self, OpenSection { place, thread }: OpenSection, limit: Duration) {
        self.errs(STUCK);
        if self.overstay.get().is_none() {
            tracing::error!(%place, thread, ?limit, "the driver has not returned in time; its device is given up");
        }
        let _ = self.overstay.set(Holdout { place, age: limit, thread });
        self.lost(Loss::Crashed);
    }

    /// The section that [overstays](Self::overstays), the first that did.
    pub(crate) fn overstay(&self) -> Option<&Holdout> {
        self.overstay.get()
    }

    /// Whether the driver is asked nothing any more because of a mistake.
    pub(crate) fn is_asked_nothing(&self) -> bool {
        self.mistake.load(SeqCst) != NONE
    }

    /// Leaves the thread of a bus callback behind if it is in the driver's code and that overstays: when the code returns,
    /// the callback fails with [`DriverError::Stuck`]. If not, it goes on.
    pub(crate) fn abandons_callback(&self) -> bool {
        self.overstay.get().is_some() && self.callback.moves(INSIDE, ABANDONED)
    }

    /// From now on also code that is still in a section reaches no register: reads give all-ones, writes are dropped.
    pub(crate) fn blow_fuse(&self) {
        self.fuse.blow();
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
