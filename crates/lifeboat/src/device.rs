//! The device: what users see, for as long as anyone holds it. It touches no hardware of its own.

use std::fmt;
use std::sync::Arc;

use lifeboat_core::class::Presence;
use lifeboat_sync::lint::Mutex;
use range_alloc::RangeAllocator;

use crate::contexts::Contexts;
use crate::display::Display;
use crate::ledger::{Kind, Ledger};
use crate::link::Link;
use crate::maps::Maps;
use crate::module::{Minor, Shared as Module};
use crate::probe::Running;
use crate::sched::Scheduler;
use crate::submit::Job;
use crate::{CallError, Handle, Timeline, call, locks};

/// A device. Cheap to clone; it is freed when the last clone, handle, buffer, context and job is.
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
    /// Most commands of one job.
    pub max_commands: usize,
}

pub(crate) struct Shared {
    pub(crate) info: DeviceInfo,
    pub(crate) link: Arc<Link>,
    pub(crate) scheduler: Scheduler<Job>,
    pub(crate) display: Arc<Display>,
    /// Flips, one after the other.
    pub(crate) flips: Timeline,
    /// Free VRAM, in pages.
    pub(crate) vram: Mutex<RangeAllocator<u64>>,
    pub(crate) contexts: Arc<Contexts>,
    /// Users' maps of its VRAM.
    pub(crate) maps: Maps,
    pub(crate) segments: u8,
    pub(crate) ledger: Ledger,
    // Declared last: the number is free again only after all else of the device is gone.
    _minor: Minor,
    _module: Arc<Module>,
}

/// What a device is called in the names of its fences and threads.
pub(crate) fn name(minor: u32) -> String {
    format!("lifeboat{minor}")
}

impl Device {
    pub(crate) fn new(module: &Arc<Module>, minor: Minor, info: DeviceInfo, link: Arc<Link>, running: Running) -> Self {
        let Running { info: hardware, scheduler, display, contexts, .. } = running;
        let flips = Timeline::new(&module.ledger, &name(info.minor), "flips");
        let pages = hardware.vram_bytes / lifeboat_pci::PAGE_SIZE;
        Self(Arc::new(Shared {
            info,
            link,
            scheduler,
            display,
            flips,
            vram: Mutex::new(&locks::VRAM, RangeAllocator::new(0..pages)),
            contexts,
            maps: Maps::default(),
            segments: hardware.segments,
            ledger: module.ledger.clone(),
            _minor: minor,
            _module: module.clone(),
        }))
    }

    /// What the device has.
    pub fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    /// Whether the device is still there. A `true` may be out of date as soon as it is returned.
    pub fn is_live(&self) -> bool {
        self.0.link.presence() == Presence::Live
    }

    /// Opens the device.
    ///
    /// # Errors
    /// ENXIO if it has vanished (CALL-3).
    pub fn open(&self) -> Result<Handle, CallError> {
        call::OPEN.enter(&self.0.link)?;
        Ok(Handle::new(self.clone(), self.0.ledger.enlist(Kind::Handle)))
    }

    /// Whether an object of another type belongs to this device.
    pub(crate) fn owns(&self, other: &Self) -> Result<(), CallError> {
        let same = Arc::ptr_eq(&self.0, &other.0);
        if same { Ok(()) } else { Err(CallError::Invalid("the object belongs to another device")) }
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("info", &self.0.info).field("live", &self.is_live()).finish_non_exhaustive()
    }
}
