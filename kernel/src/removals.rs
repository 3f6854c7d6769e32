// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Reports on removals: one line each, for the log and for debugfs.

use core::fmt;

use kernel::{new_mutex, prelude::*, sync::Mutex};
use lifeboat_core::health::Verdict;
use lifeboat_core::unplug::Loss;
use lifeboat_core::wedge::Failure;

use crate::clock::Clock;

/// Reports that are kept; the oldest one gives way.
const REMEMBERED: usize = 64;
/// Longest name of a PCI function (`0000:00:00.0`; the domain can have more digits).
const NAME: usize = 20;

/// The side that began the unplug.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The bus or the user: the driver's remove callback.
    Remove,
    /// The driver found the device lost.
    Health,
    /// Probe failed.
    Probe,
}

/// The steps of a removal, each of which is timed.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Waiting for an unplug that the driver began itself.
    Turn,
    /// Asking bus and device whether there is anything to wait for.
    Verdict,
    /// Announcing, failing the jobs, waiting for users.
    Jobs,
    /// Stopping the driver's own work items.
    Work,
    /// Reset, if the device is alive; bus mastering off.
    Quiesce,
    /// Giving back handlers and vectors.
    Interrupts,
    /// Waiting for the last register section, signalling the last fences.
    Registers,
    /// Taking the nodes from the system.
    Nodes,
    /// Giving back memory and the function itself.
    Release,
}

impl Step {
    const NAMES: [&'static str; 9] =
        ["turn", "verdict", "jobs", "work", "quiesce", "interrupts", "registers", "nodes", "release"];
}

/// Measures how long each step takes.
pub(crate) struct Stopwatch(Clock);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Clock::start())
    }

    /// Counts the time since the last call as that of `step`.
    pub(crate) fn lap(&mut self, step: Step, removal: &mut Removal) {
        let took = core::mem::replace(&mut self.0, Clock::start()).elapsed_us();
        removal.steps_us[step as usize] += took;
    }
}

/// The report on a removal.
#[derive(Clone, Copy)]
pub(crate) struct Removal {
    name: [u8; NAME],
    pub(crate) verdict: Verdict,
    pub(crate) loss: Loss,
    pub(crate) trigger: Trigger,
    /// Jobs that ended with ENODEV.
    pub(crate) retired: u64,
    /// From the announcement to the end of the cut, in microseconds.
    pub(crate) unplug_us: u64,
    /// The whole remove callback, in microseconds.
    pub(crate) remove_us: u64,
    /// Where both went, in the order of [`Step`].
    steps_us: [u64; Step::NAMES.len()],
}

impl Removal {
    /// The report of a device that is still bound.
    pub(crate) fn of(device: &kernel::device::Device) -> Self {
        let mut name = [0; NAME];
        for (to, from) in name.iter_mut().zip(device.name().to_bytes()) {
            *to = *from;
        }
        Self {
            name,
            verdict: Verdict::Unsure,
            loss: Loss::Unbound,
            trigger: Trigger::Remove,
            retired: 0,
            unplug_us: 0,
            remove_us: 0,
            steps_us: [0; Step::NAMES.len()],
        }
    }

    /// Whether the hardware was brought to rest in order; otherwise nothing was waited for.
    pub(crate) fn is_ordered(&self) -> bool {
        self.verdict == Verdict::Alive
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        let path = if self.is_ordered() { "ordered" } else { "short" };
        let verdict = match self.verdict {
            Verdict::Alive => "alive",
            Verdict::Dead => "dead",
            Verdict::Unsure => "unsure",
        };
        let loss = match self.loss {
            Loss::Unplugged => "unplugged",
            Loss::Unbound => "unbound",
            Loss::FellOff => "fell-off",
            Loss::Crashed => "crashed",
            Loss::Hung => "hung",
            Loss::Nonsense => "nonsense",
            Loss::LinkDown => "link-down",
            Loss::Replaced => "replaced",
            Loss::Wedged(Failure::Hung) => "wedged-hung",
            Loss::Wedged(Failure::ResetFailed) => "wedged-reset-failed",
            Loss::Wedged(Failure::Nonsense) => "wedged-nonsense",
        };
        let trigger = match self.trigger {
            Trigger::Remove => "remove",
            Trigger::Health => "health",
            Trigger::Probe => "probe",
        };
        write!(f, "bdf={} path={path} ", core::str::from_utf8(&self.name[..end]).unwrap_or("?"))?;
        write!(f, "verdict={verdict} loss={loss} trigger={trigger} ")?;
        write!(f, "retired={} remove_us={} unplug_us={}", self.retired, self.remove_us, self.unplug_us)?;
        let mut steps = Step::NAMES.iter().zip(self.steps_us);
        steps.try_for_each(|(name, us)| write!(f, " {name}_us={us}"))
    }
}

/// The last removals, oldest first.
#[pin_data]
pub(crate) struct Removals {
    #[pin]
    last: Mutex<KVec<Removal>>,
}

impl Removals {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            last <- new_mutex!(KVec::with_capacity(REMEMBERED, GFP_KERNEL)?, "lifeboat::removals"),
        })
    }

    pub(crate) fn record(&self, removal: Removal) {
        let mut last = self.last.lock();
        if last.len() == REMEMBERED {
            // The vector is full, so there is one to remove.
            let _ = last.remove(0);
        }
        // The push is within the capacity: nothing is allocated, and nothing can fail.
        let _ = last.push_within_capacity(removal);
    }
}

impl fmt::Display for Removals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.last.lock().iter().try_for_each(|removal| writeln!(f, "{removal}"))
    }
}
