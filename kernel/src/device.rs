// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A device: all of its state that outlives a call. It belongs to one binding, and holds no
//! hardware after that.

use core::time::Duration;

use kernel::{
    device::Bound,
    devres::Devres,
    new_mutex, new_spinlock, pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Acquire, Atomic, Full, Release},
        Arc, Mutex, SpinLock,
    },
    workqueue::{new_delayed_work, new_work, DelayedWork, Work},
};
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{gpu::Gpu, Driver, DriverError, Io};
use lifeboat_jobqueue::Scheduler;

use crate::bars::Bars;
use crate::counters::Counters;
use crate::drive::Stopped;
use crate::dump::{Outbox, Recorder};
use crate::engine;
use crate::gate::Gate;
use crate::glue::{Enabled, Interrupts, Registration};
use crate::holders::Holding;
use crate::linger::Linger;
use crate::link::Link;
use crate::load::Load;
use crate::memory::Memory;
use crate::module_parameters;
use crate::numbers::Numbers;
use crate::opener::Opener;
use crate::refusals::Refusals;
use crate::registration::Driven;
use crate::removals::Removal;
use crate::ring::Rings;
use crate::shared::Shared;
use crate::usage::LastEnds;
use crate::watcher::Watcher;
use crate::workspace::Workspace;

/// Work item numbers. What a work item does is in the module of its name, and how it is queued;
/// `LOAD` is in `background`.
pub(crate) const HEALTH: u64 = 2;
pub(crate) const LOAD: u64 = 3;

/// The owner of a binding, as its device sees it.
pub(crate) trait Owner: Send + Sync {
    /// The device of a binding is lost, or has failed for good. The binding ends as soon as the work queue gets to it.
    fn failed(self: Arc<Self>, binding: u64, loss: Loss);
}

/// The parts of a device that belong to its function, and to the owner of the binding.
pub(crate) struct Origin {
    pub(crate) shared: Arc<Shared>,
    pub(crate) enabled: Arc<Enabled>,
    pub(crate) bars: Arc<Bars>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) owner: Arc<dyn Owner>,
    /// Number of the binding, for its owner.
    pub(crate) binding: u64,
}

/// State of a device: a word in its file `state` in debugfs.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum DeviceState {
    Probing,
    Ready,
    /// The device answers, but is not well.
    Suspect,
    /// The loss has been announced.
    Gone,
    /// The device has failed for good: it is cut off, and its nodes stay until somebody helps it.
    Wedged,
    /// The binding has been released.
    Removed,
}

impl DeviceState {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Probing, "probing"),
        (Self::Ready, "ready"),
        (Self::Suspect, "suspect"),
        (Self::Gone, "gone"),
        (Self::Wedged, "wedged"),
        (Self::Removed, "removed"),
    ];
}

/// See the module documentation.
#[pin_data]
pub(crate) struct Device {
    pub(crate) pci: ARef<pci::Device>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    #[pin]
    pub(crate) dump: Recorder,
    /// The programs' holds on it.
    pub(crate) holding: Arc<Holding>,
    pub(crate) link: Arc<Link>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) info: <Driven as Driver>::Info,
    pub(crate) memory: Arc<Memory>,
    state: Atomic<u32>,
    /// A ring has reported in its memory; the worker collects it.
    pub(crate) in_memory: Atomic<bool>,
    pub(crate) engine: Arc<Scheduler<Self>>,
    /// Contexts of the hardware for clients. The first ones are the driver's own: one for each ring.
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) last_ends: LastEnds,
    pub(crate) linger: Linger,
    pub(crate) refusals: Refusals,
    #[pin]
    pub(crate) load: Load,
    /// The program whose job was blamed last for a hang or a fault; `None` if that was nobody's, or the driver's own.
    #[pin]
    pub(crate) blamed: SpinLock<Option<Opener>>,
    /// Locked during a look, and by a reset until the device works again.
    #[pin]
    pub(crate) watcher: Mutex<Watcher>,
    #[pin]
    pub(crate) removal: Mutex<Removal>,
    /// Registered last and unregistered at the release. The nodes refer back to the device.
    #[pin]
    pub(crate) nodes: Mutex<Option<Registration>>,
    // The release gives these back.
    #[pin]
    pub(crate) enabled: Mutex<Option<Arc<Enabled>>>,
    #[pin]
    pub(crate) interrupts: Mutex<Option<Devres<Interrupts>>>,
    #[pin]
    pub(crate) rings: Mutex<Rings>,
    /// The binding's owner, until the binding is over.
    #[pin]
    owner: Mutex<Option<Arc<dyn Owner>>>,
    binding: u64,
    #[pin]
    pub(crate) health_work: DelayedWork<Device, HEALTH>,
    #[pin]
    pub(crate) load_work: Work<Device, LOAD>,
}

impl Device {
    /// Reads what the device is and has.
    pub(crate) fn new(function: &pci::Device<Bound>, origin: Origin) -> Result<Arc<Self>, Stopped> {
        let Origin { shared, enabled, bars, outbox, owner, binding } = origin;
        let link = Arc::new(Link::new(bars), GFP_KERNEL)?;
        let info = link.io(Driven::info)?;
        let gate = Arc::pin_init(Gate::new(*module_parameters::race.value_ref()), GFP_KERNEL)?;
        let holding = Holding::of(function.as_ref())?;
        let reserved = Workspace::vram_needed(&info);
        let memory = Memory::new(function, &info, gate.clone(), link.clone(), holding.clone(), reserved)?;
        let counters = Arc::new(Counters::new(), GFP_KERNEL)?;
        let dump = Recorder::new(outbox, &info)?;
        let job_timeout = Duration::from_millis((*module_parameters::job_timeout_ms.value_ref()).into());
        let numbers = Numbers::new(Driven::rings(&info)..Driven::contexts(&info))?;
        let engine = engine::new(&info, numbers.count(), job_timeout, &counters, &shared.queue)?;
        let this = Arc::pin_init(
            try_pin_init!(Self {
                engine,
                numbers,
                linger: Linger::new(),
                refusals: Refusals::new(),
                last_ends: LastEnds::new(Driven::rings(&info))?,
                memory,
                gate,
                load <- Load::new(),
                in_memory: Atomic::new(false),
                blamed <- new_spinlock!(None, "lifeboat::blamed"),
                watcher <- new_mutex!(Watcher::new(), "lifeboat::watcher"),
                removal <- new_mutex!(Removal::of(function.as_ref()), "lifeboat::removal"),
                nodes <- new_mutex!(None, "lifeboat::nodes"),
                enabled <- new_mutex!(Some(enabled), "lifeboat::enabled"),
                interrupts <- new_mutex!(None, "lifeboat::interrupts"),
                rings <- new_mutex!(Rings::default(), "lifeboat::rings"),
                owner <- new_mutex!(Some(owner), "lifeboat::owner"),
                health_work <- new_delayed_work!("lifeboat::health"),
                load_work <- new_work!("lifeboat::load"),
                pci: function.into(),
                holding,
                shared,
                counters,
                dump <- dump,
                link,
                info,
                binding,
                state: Atomic::new(DeviceState::Probing as u32),
            }),
            GFP_KERNEL,
        );
        Ok(this?)
    }

    /// Runs code of the driver in a register section. A device that turns out to be gone is
    /// reported.
    pub(crate) fn io<T>(&self, code: impl FnOnce(&Io<'_>) -> Result<T, DriverError>) -> Result<T, DriverError> {
        self.noticed(self.link.io(code))
    }

    /// Passes a result on. Reports the loss of the device if the result says that it is gone.
    pub(crate) fn noticed<T>(&self, result: Result<T, DriverError>) -> Result<T, DriverError> {
        if matches!(result, Err(DriverError::Gone)) {
            self.report_loss(Loss::FellOff);
        }
        result
    }

    /// Reports the device lost, or failed for good, to the binding's owner. The first reason counts.
    pub(crate) fn report_loss(&self, loss: Loss) {
        // A reset or a bring-up that is under way ends early: nobody needs its result.
        self.link.begin_end();
        let owner = self.owner.lock().clone();
        if let Some(owner) = owner {
            owner.failed(self.binding, loss);
        }
    }

    /// The binding is over: nobody needs to be told of anything.
    pub(crate) fn forget_owner(&self) {
        let owner = self.owner.lock().take();
        drop(owner);
    }

    pub(crate) fn state_name(&self) -> &'static str {
        let state = self.state.load(Acquire);
        DeviceState::ALL.iter().find(|(candidate, _)| *candidate as u32 == state).map_or("?", |(_, name)| name)
    }

    /// Enters a state from which there is no way back.
    pub(crate) fn end_in(&self, state: DeviceState) {
        self.state.store(state as u32, Release);
    }

    /// Changes between the states of a living device. `false` if it was not in `from`.
    pub(crate) fn change(&self, from: DeviceState, to: DeviceState) -> bool {
        self.state.cmpxchg(from as u32, to as u32, Full).is_ok()
    }
}
