//! The device: what users see, for as long as anyone holds it. It touches no hardware of its own.

use std::ops::Deref;
use std::sync::Arc;
use std::{fmt, ptr};

use lifeboat::calls::{Bound, Call, Callee, Entrance, InfallibleCall, Key, Reach};
use lifeboat::{Base, CallError, Hardware, Ledger, Link, Minor};
use lifeboat_core::class::Presence;
use lifeboat_driver::gpu::{ContextId, Gpu};
use lifeboat_pci::Iova;
use lifeboat_sync::lint::Mutex;

use crate::drm::{Drm, Has};
use crate::locks;
use crate::pages::Pages;

/// A device. Cheap to clone; it is freed when the last clone, handle, buffer, context, job and export is.
pub struct Device<G: Gpu>(pub(crate) Arc<DeviceInner<G>>);

/// What a device has. Stays readable after loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device's number.
    pub minor: Minor,
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

pub(crate) struct DeviceInner<G: Gpu> {
    /// For tokens, and for what is [undone](Undo): nothing else gets to the hardware from here.
    pub(crate) link: Arc<Link>,
    users: Users<G>,
}

/// The users' side of a device: what it is when its hardware is gone.
pub struct Users<G: Gpu> {
    pub(crate) info: DeviceInfo,
    /// Free VRAM, in pages; `None` if it has none.
    pub(crate) vram: Option<Mutex<Pages>>,
    pub(crate) gpu: Arc<Drm<G>>,
    pub(crate) ledger: Ledger,
    // Declared last: the number is free again only after all else of the device is gone.
    pub(crate) base: Arc<Base<Drm<G>>>,
}

impl<G: Gpu> Device<G> {
    pub(crate) fn new(base: Arc<Base<Drm<G>>>, link: Arc<Link>) -> Self {
        let gpu = base.subsystem().clone();
        let Has { rings, vram, serial, commands, .. } = gpu.has;
        let info = DeviceInfo {
            minor: base.minor(),
            location: base.location().to_owned(),
            rings,
            vram_bytes: vram.map_or(0, |vram| vram.bytes),
            serial,
            max_commands: commands as usize,
        };
        let users = Users {
            info,
            vram: vram.map(|vram| Mutex::new(&locks::VRAM, Pages::new(0..vram.bytes / G::PAGE))),
            gpu,
            ledger: base.ledger().clone(),
            base,
        };
        Self(Arc::new(DeviceInner { link, users }))
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

    /// Makes a call.
    #[track_caller]
    pub(crate) fn call<C: Call<Self>>(&self, call: C) -> Result<C::Reply, CallError> {
        call.make(&Entrance::new(self))
    }

    /// Makes a call that cannot fail.
    pub(crate) fn ask<C: InfallibleCall<Self>>(&self, call: C) -> C::Reply {
        call.make(self.users())
    }
}

impl<G: Gpu> Callee for Device<G> {
    type Users = Users<G>;
    type Hardware = Hardware;

    fn users(&self) -> &Users<G> {
        &self.0.users
    }

    fn reach(&self, _: Key) -> &Reach<Hardware> {
        &self.0.link
    }
}

impl<G: Gpu> DeviceInner<G> {
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
    pub(crate) fn clear_segments<G: Gpu>(&self, context: ContextId, slots: impl IntoIterator<Item = u8>) {
        // The table of a lost device is not used again, and every access may take seconds.
        if self.0.presence() != Presence::Live {
            return;
        }
        for slot in slots {
            // On a lost device there is no table to clear.
            let _ = self.0.io(|io| G::clear_segment(io, context, slot));
        }
    }

    /// Takes memory out of the device's reach. After the binding there is no mapping left to take back.
    pub(crate) fn unmap(&self, iova: Iova) {
        self.0.unmap(iova);
    }
}

/// The way to a device's hardware, for a call that is in its gate.
pub(crate) fn link<'a, G: Gpu>(bound: &Bound<'a, Device<G>>) -> &'a Link {
    &bound.device().0.link
}

impl<G: Gpu> Users<G> {
    /// Whether an object belongs to this device.
    pub(crate) fn owns(&self, other: &Device<G>) -> Result<(), CallError> {
        let same = ptr::eq(self, other.users());
        if same { Ok(()) } else { Err(CallError::Invalid("the object belongs to another device")) }
    }

    pub(crate) fn has_ring(&self, ring: u8) -> Result<(), CallError> {
        if ring < self.info.rings { Ok(()) } else { Err(CallError::Invalid("no such ring")) }
    }
}

impl<G: Gpu> Deref for DeviceInner<G> {
    type Target = Users<G>;

    fn deref(&self) -> &Users<G> {
        &self.users
    }
}

impl<G: Gpu> Clone for Device<G> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<G: Gpu> fmt::Debug for Device<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("info", &self.0.info).field("live", &self.is_live()).finish_non_exhaustive()
    }
}
