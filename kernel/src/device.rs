// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A device: all of its state that outlives a call. It belongs to one binding, and holds no
//! hardware after that.

use core::time::Duration;

use kernel::{
    device::Core,
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

use crate::counters::Counters;
use crate::engine;
use crate::errno::errno;
use crate::gate::Gate;
use crate::glue::{Enabled, Interrupts, Registration};
use crate::holders::Holding;
use crate::linger::Linger;
use crate::link::Link;
use crate::load::Load;
use crate::memory::Memory;
use crate::module_parameters;
use crate::numbers::Numbers;
use crate::refusals::Refusals;
use crate::registration::Driven;
use crate::removals::Removal;
use crate::ring::Rings;
use crate::shared::Shared;
use crate::shown::Shown;
use crate::usage::LastEnds;
use crate::watcher::Watcher;
use crate::workspace::Workspace;

/// Work item numbers. What a work item does is in the module of its name, and how it is queued;
/// `LOAD` is in `background`.
pub(crate) const HEALTH: u64 = 2;
pub(crate) const LOAD: u64 = 3;

/// A binding as its device sees it.
pub(crate) trait Lose: Send + Sync {
    /// Begins the end of the binding, as soon as the work queue gets to it. The device's `loss` says why.
    fn lose_soon(self: Arc<Self>);
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
    /// The binding has been released.
    Removed,
}

impl DeviceState {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Probing, "probing"),
        (Self::Ready, "ready"),
        (Self::Suspect, "suspect"),
        (Self::Gone, "gone"),
        (Self::Removed, "removed"),
    ];
}

/// See the module documentation.
#[pin_data]
pub(crate) struct Device {
    pub(crate) pci: ARef<pci::Device>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
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
    /// Reason of the loss, as it was first reported.
    #[pin]
    pub(crate) loss: SpinLock<Option<Loss>>,
    /// Locked during a look, and by a reset until the device works again.
    #[pin]
    pub(crate) watcher: Mutex<Watcher>,
    #[pin]
    pub(crate) removal: Mutex<Removal>,
    /// Registered last and unregistered after the cut. The nodes refer back to the device.
    #[pin]
    pub(crate) nodes: Mutex<Option<Registration>>,
    // The release gives these back.
    #[pin]
    pub(crate) enabled: Mutex<Option<Enabled>>,
    #[pin]
    pub(crate) interrupts: Mutex<Option<Devres<Interrupts>>>,
    #[pin]
    pub(crate) rings: Mutex<Rings>,
    /// The binding, until it is over.
    #[pin]
    binding: Mutex<Option<Arc<dyn Lose>>>,
    #[pin]
    pub(crate) health_work: DelayedWork<Device, HEALTH>,
    #[pin]
    pub(crate) load_work: Work<Device, LOAD>,
}

impl Device {
    /// Enables the function, maps its registers, and reads what it is and has.
    pub(crate) fn new(function: &pci::Device<Core<'_>>, shared: Arc<Shared>) -> Result<Arc<Self>> {
        let enabled = Enabled::new(function)?;
        let link = Arc::new(Link::new(function)?, GFP_KERNEL)?;
        let info = link.io(Driven::info);
        let info = info.map_err(|error| {
            dev_err!(function, "{}\n", Shown(error));
            errno(error)
        })?;
        let gate = Arc::pin_init(Gate::new(), GFP_KERNEL)?;
        let holding = Holding::of(function.as_ref())?;
        let reserved = Workspace::vram_needed(Driven::rings(&info));
        let memory = Memory::new(function, &info, gate.clone(), link.clone(), holding.clone(), reserved)?;
        let counters = Arc::new(Counters::new(), GFP_KERNEL)?;
        let job_timeout = Duration::from_millis((*module_parameters::job_timeout_ms.value_ref()).into());
        let numbers = Numbers::new(Driven::rings(&info)..Driven::contexts(&info))?;
        let engine = engine::new(&info, numbers.count(), job_timeout, &counters, &shared.queue)?;
        Arc::pin_init(
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
                loss <- new_spinlock!(None, "lifeboat::loss"),
                watcher <- new_mutex!(Watcher::new(), "lifeboat::watcher"),
                removal <- new_mutex!(Removal::of(function.as_ref()), "lifeboat::removal"),
                nodes <- new_mutex!(None, "lifeboat::nodes"),
                enabled <- new_mutex!(Some(enabled), "lifeboat::enabled"),
                interrupts <- new_mutex!(None, "lifeboat::interrupts"),
                rings <- new_mutex!(Rings::default(), "lifeboat::rings"),
                binding <- new_mutex!(None, "lifeboat::owner"),
                health_work <- new_delayed_work!("lifeboat::health"),
                load_work <- new_work!("lifeboat::load"),
                pci: function.into(),
                holding,
                shared,
                counters,
                link,
                info,
                state: Atomic::new(DeviceState::Probing as u32),
            }),
            GFP_KERNEL,
        )
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

    /// Reports the device lost to its binding. The first reason counts.
    pub(crate) fn report_loss(&self, loss: Loss) {
        self.loss.lock().get_or_insert(loss);
        let binding = self.binding.lock().clone();
        if let Some(binding) = binding {
            binding.lose_soon();
        }
    }

    /// Names the binding that is told of a loss. `None`: it is over.
    pub(crate) fn set_binding(&self, binding: Option<Arc<dyn Lose>>) {
        let former = core::mem::replace(&mut *self.binding.lock(), binding);
        drop(former);
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
