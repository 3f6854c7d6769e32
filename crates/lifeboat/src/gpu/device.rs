//! The device: what users see, for as long as anyone holds it. It touches no hardware of its own.

use std::ops::Deref;
use std::sync::Arc;
use std::{fmt, ptr};

use lifeboat_core::class::Presence;
use lifeboat_core::core_call;
use lifeboat_driver::DriverError;
use lifeboat_lb1::Lb1;
use lifeboat_lb1::command::ContextId;
use lifeboat_pci::{Bar, Iova};
use lifeboat_sync::lint::Mutex;

use crate::base::Base;
use crate::calls::{Bound, Call, Driver, Entrance, Key, Reach};
use crate::gpu::Gpu;
use crate::gpu::display::Tenant;
use crate::gpu::pages::Pages;
use crate::hardware::Hardware;
use crate::ledger::{Kind, Ledger};
use crate::link::Link;
use crate::{CallError, Handle, locks};

/// A device. Cheap to clone; it is freed when the last clone, handle, buffer, context, job and export is.
#[derive(Clone)]
pub struct Device(pub(crate) Arc<Shared>);

/// What a device has. Stays readable after loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device's number.
    pub minor: u32,
    /// Where it is, or was, plugged in.
    pub location: String,
    /// Rings that jobs can be submitted to.
    pub rings: u8,
    /// VRAM in bytes.
    pub vram_bytes: u64,
    /// Serial number; 0 if it has none.
    pub serial: u32,
    /// Most commands of one job.
    pub max_commands: usize,
}

pub(crate) struct Shared {
    /// For tokens, and for what is [undone](Undo): nothing else gets to the hardware from here.
    link: Arc<Link>,
    users: Users,
}

/// The users' side of a device: what it is when its hardware is gone.
pub struct Users {
    pub(crate) info: DeviceInfo,
    /// Free VRAM, in pages.
    pub(crate) vram: Mutex<Pages>,
    pub(crate) gpu: Arc<Gpu>,
    pub(crate) segments: u8,
    pub(crate) ledger: Ledger,
    // Declared last: the number is free again only after all else of the device is gone.
    pub(crate) base: Arc<Base<Gpu>>,
}

impl Device {
    pub(crate) fn new(base: Arc<Base<Gpu>>, link: Arc<Link>) -> Self {
        let info = DeviceInfo {
            minor: base.minor,
            location: base.location.clone(),
            rings: base.info.rings,
            vram_bytes: base.info.vram_bytes,
            serial: base.info.serial,
            // A job's cost is its commands and its sequence number.
            max_commands: base.credits as usize - 1,
        };
        let pages = base.info.vram_bytes / lifeboat_pci::PAGE_SIZE;
        let users = Users {
            info,
            vram: Mutex::new(&locks::VRAM, Pages::new(0..pages)),
            gpu: base.subsystem.clone(),
            segments: base.info.segments,
            ledger: base.ledger.clone(),
            base,
        };
        Self(Arc::new(Shared { link, users }))
    }

    /// What the device has.
    pub fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    /// Whether the device is still there. A `true` may be out of date as soon as it is returned.
    pub fn is_live(&self) -> bool {
        self.presence() == Presence::Live
    }

    /// How it stands with the device: there, gone, or wedged and why (CALL-5). May be out of date as soon as it is
    /// returned.
    pub fn presence(&self) -> Presence {
        self.0.link.presence()
    }

    /// Opens the device. A wedged one can be opened, and refuses work.
    ///
    /// # Errors
    /// ENXIO if it has vanished (CALL-3).
    pub fn open(&self) -> Result<Handle, CallError> {
        self.0.link.enter(core_call::OPEN.class)?;
        Ok(Handle::new(self.clone(), Tenant::new(&self.0.gpu.display, None), self.0.ledger.enlist(Kind::Handle)))
    }

    /// Makes a call.
    #[track_caller]
    pub(crate) fn call<C: Call<Driver = Self>>(&self, call: C) -> Result<C::Reply, CallError> {
        call.make(&Entrance::new(self))
    }
}

impl Driver for Device {
    type Users = Users;
    type Hardware = Hardware;

    fn users(&self) -> &Users {
        &self.0.users
    }

    fn reach(&self, _: Key) -> &Reach<Hardware> {
        &self.0.link
    }
}

impl Shared {
    /// For destructors.
    pub(crate) fn undo(&self) -> Undo<'_> {
        Undo(&self.link)
    }
}

/// Takes back what calls have done to the hardware, as far as it is still there. All that an object can do to it when it is
/// dropped.
pub(crate) struct Undo<'a>(&'a Link);

impl Undo<'_> {
    /// Empties a context's address table.
    pub(crate) fn clear_segments(&self, context: ContextId, slots: impl IntoIterator<Item = u8>) {
        // The table of a lost device is not used again, and every access may take seconds.
        if self.0.presence() != Presence::Live {
            return;
        }
        self.0.access(|hardware| {
            let Ok(lb1) = hardware.lb1() else { return };
            for slot in slots {
                // On a lost device there is no table to clear.
                let _ = lb1.clear_segment(context, slot);
            }
        });
    }

    /// Takes memory out of the device's reach. After the binding there is no mapping left to take back.
    pub(crate) fn unmap(&self, iova: Iova) {
        self.0.access(|hardware| hardware.unmap(iova));
    }
}

impl<'a> Bound<'a, Device> {
    /// The device, for objects that are made of it.
    pub(crate) fn device(&self) -> &'a Device {
        self.driver()
    }

    /// The way to its registers, for who goes it more than once.
    pub(crate) fn link(&self) -> &'a Link {
        &self.driver().0.link
    }

    /// See [`Link::registers`].
    #[track_caller]
    pub(crate) fn registers<R>(
        &self,
        f: impl FnOnce(&Lb1<'_, dyn Bar + Send + Sync>) -> Result<R, DriverError>,
    ) -> Result<R, DriverError> {
        self.driver().0.link.registers(f)
    }
}

impl Users {
    /// Whether an object belongs to this device.
    pub(crate) fn owns(&self, other: &Device) -> Result<(), CallError> {
        let same = ptr::eq(self, other.users());
        if same { Ok(()) } else { Err(CallError::Invalid("the object belongs to another device")) }
    }

    pub(crate) fn has_ring(&self, ring: u8) -> Result<(), CallError> {
        if ring < self.info.rings { Ok(()) } else { Err(CallError::Invalid("no such ring")) }
    }
}

impl Deref for Shared {
    type Target = Users;

    fn deref(&self) -> &Users {
        &self.users
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("info", &self.0.info).field("live", &self.is_live()).finish_non_exhaustive()
    }
}
