//! A module of ours in the guest: loaded, bound, watched through debugfs.

pub mod removal;

use std::time::{Duration, Instant};

use lifeboat_guest::condition::counter;
use lifeboat_guest::wire::{Condition, Request};

use crate::driver::removal::Removal;
use crate::guest::agent::{Agent, AgentError, Pending, write};
use crate::guest::initramfs::module_path;
use crate::pace;
use crate::suite::failure::{Failure, expect};

/// The kernel's own module that ours need, which may need others.
pub const NEEDS: &str = "drm";
/// The driver on its bus: that of [`Module::Lifeboat`].
pub const SYSFS: &str = "/sys/bus/pci/drivers/lifeboat";
/// Files of debugfs of that module.
pub const DEBUGFS: &str = "/sys/kernel/debug/lifeboat";

/// A module of ours that drives the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// The driver of LB1.
    Lifeboat,
    /// The same shell over a driver that knows less of it (`kernel/second`).
    Second,
}

impl Module {
    /// The name of the module, and of all that it registers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lifeboat => "lifeboat",
            Self::Second => "lifeboat_second",
        }
    }
}

/// The module, and a device it drives.
#[derive(Debug, Clone, Copy)]
pub struct Driver<'a> {
    agent: &'a Agent,
    /// Modules that are loaded before it, in this order.
    needs: &'a [String],
    module: Module,
    /// Address of the device.
    slot: &'static str,
}

/// Where programs open a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// The card's node.
    pub card: String,
    /// The node for rendering.
    pub render: String,
}

impl<'a> Driver<'a> {
    /// The module in this guest, loaded or not, and the device at an address.
    pub fn new(agent: &'a Agent, needs: &'a [String], module: Module, slot: &'static str) -> Self {
        Self { agent, needs, module, slot }
    }

    fn sysfs(self) -> String {
        format!("/sys/bus/pci/drivers/{}", self.module.name())
    }

    fn debugfs(self, file: &str) -> String {
        format!("/sys/kernel/debug/{}/{file}", self.module.name())
    }

    /// A file of the device's in debugfs.
    fn file(self, name: &str) -> String {
        self.debugfs(&format!("{}/{name}", self.slot))
    }

    /// Loads the module, which probes what is in the slot. A device that is lost stays lost, unless the parameters say how many
    /// `recoveries` it has.
    ///
    /// # Errors
    /// The kernel refuses, or it takes too long.
    pub fn load(self, parameters: &str) -> Result<(), AgentError> {
        self.start_load(parameters)?.wait().map(drop)
    }

    /// Begins to load the module, when all that it needs is loaded.
    ///
    /// # Errors
    /// The guest is gone, or the kernel refuses one of its own modules.
    pub fn start_load(self, parameters: &str) -> Result<Pending, AgentError> {
        let loaded = self.agent.list("/sys/module")?;
        for needed in self.needs.iter().filter(|needed| !loaded.contains(needed)) {
            let request = Request::LoadModule { path: module_path(needed), parameters: String::new() };
            self.agent.call(request, pace::DRIVER)?;
        }
        let stays_lost = if parameters.contains("recoveries=") { "" } else { " recoveries=0" };
        let request = Request::LoadModule {
            path: module_path(self.module.name()),
            parameters: format!("{parameters}{stays_lost}"),
        };
        self.agent.start(request, pace::DRIVER)
    }

    /// Unloads the module, which unbinds the device.
    ///
    /// # Errors
    /// The kernel refuses, or it takes too long.
    pub fn unload(self) -> Result<(), AgentError> {
        self.agent.call(Request::UnloadModule { name: self.module.name().to_owned() }, pace::DRIVER).map(drop)
    }

    /// Whether the module is loaded.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn is_loaded(self) -> Result<bool, AgentError> {
        Ok(self.agent.list("/sys/module")?.iter().any(|name| name == self.module.name()))
    }

    /// Binds the device.
    ///
    /// # Errors
    /// Probe fails, or it takes too long.
    pub fn bind(self) -> Result<Duration, AgentError> {
        self.agent.write(&format!("{}/bind", self.sysfs()), self.slot, pace::DRIVER)
    }

    /// Unbinds the device.
    ///
    /// # Errors
    /// It is not bound, or it takes too long.
    pub fn unbind(self) -> Result<Duration, AgentError> {
        self.start_unbind()?.wait().map(|reply| reply.took)
    }

    /// Begins to unbind the device.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_unbind(self) -> Result<Pending, AgentError> {
        self.agent.start(write(&format!("{}/unbind", self.sysfs()), self.slot), pace::DRIVER)
    }

    /// Has the driver bind the device again, whatever has become of it.
    ///
    /// # Errors
    /// It cannot be bound.
    pub fn rebind(self) -> Result<(), AgentError> {
        self.agent.write(&self.file("rebind"), "1", pace::DRIVER).map(drop)
    }

    /// Waits for a state of the slot, as `lifeboat_core::lifecycle` names it: `bound`, `wedged`, `idle` and so on.
    ///
    /// # Errors
    /// It does not come within the limit.
    pub fn wait_for_slot(self, state: &str) -> Result<(), AgentError> {
        let until = Condition::Is(state.to_owned());
        self.agent.wait_until(&self.file("slot"), until, pace::DRIVER).map(drop)
    }

    /// Whether the driver has the device.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn is_bound(self) -> Result<bool, AgentError> {
        Ok(self.agent.list(&self.sysfs())?.iter().any(|name| name == self.slot))
    }

    /// Waits for a state of the device: `none`, `probing`, `ready`, `suspect`, `gone`, `wedged` or `removed`.
    ///
    /// # Errors
    /// It does not come within the limit.
    pub fn wait_for_state(self, state: &str) -> Result<(), AgentError> {
        let until = Condition::Is(state.to_owned());
        self.agent.wait_until(&self.file("state"), until, pace::DRIVER).map(drop)
    }

    /// Whether there is no device that could be asked: it was lost, and none is bound.
    ///
    /// # Errors
    /// There is no slot.
    pub fn is_without_device(self) -> Result<bool, AgentError> {
        let state = self.agent.read(&self.file("state"))?;
        Ok(matches!(state.trim(), "none" | "gone" | "wedged" | "removed"))
    }

    /// Waits for a moment until the driver has done what it can for its device; tells whether that is bound. The pause between
    /// recoveries in a row may be longer.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn recovers(self) -> Result<bool, AgentError> {
        const MOMENT: Duration = Duration::from_secs(3);
        let until = Condition::IsOneOf(["bound", "wedged", "idle"].map(str::to_owned).into());
        match self.agent.wait_until(&self.file("slot"), until, MOMENT) {
            Ok(reply) => Ok(reply.text()?.trim() == "bound"),
            Err(AgentError::Failed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until the driver has found the device lost, and has ended its binding or cut it off.
    ///
    /// # Errors
    /// It does not within the limit.
    pub fn is_lost(self) -> Result<(), AgentError> {
        let until = Condition::IsOneOf(vec!["removed".to_owned(), "wedged".to_owned()]);
        self.agent.wait_until(&self.file("state"), until, pace::DRIVER).map(drop)
    }

    /// Begins to wait for a state of the device.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_wait_for_state(self, state: &str, limit: Duration) -> Result<Pending, AgentError> {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let path = self.file("state");
        let until = Condition::Is(state.to_owned());
        self.agent.start(Request::Await { path, until, limit_ms }, limit + pace::COMMAND)
    }

    /// Keeps every ring busy with jobs of the driver's own (`1`), or no longer (`0`).
    ///
    /// # Errors
    /// There is no device.
    pub fn set_load(self, load: &str) -> Result<(), AgentError> {
        self.agent.write(&self.file("load"), load, pace::COMMAND).map(drop)
    }

    /// Opens a section of the gate, which stays open until [`end_section`](Self::end_section) and holds up the end of the device.
    ///
    /// # Errors
    /// There is no device, or it is lost.
    pub fn start_section(self) -> Result<Pending, AgentError> {
        let path = self.file("section");
        let pending = self.agent.start(write(&path, "1"), pace::DRIVER)?;
        self.agent.wait_until(&path, Condition::Is("1".to_owned()), pace::DRIVER)?;
        Ok(pending)
    }

    /// Ends the section.
    ///
    /// # Errors
    /// There is no device.
    pub fn end_section(self) -> Result<(), AgentError> {
        self.agent.write(&self.file("section"), "0", pace::COMMAND).map(drop)
    }

    /// The device's nodes: of the card, and for rendering.
    ///
    /// # Errors
    /// It has none.
    pub fn nodes(self) -> Result<Nodes, Failure> {
        let names = self.agent.list(&format!("/sys/bus/pci/devices/{}/drm", self.slot))?;
        let node = |kind| names.iter().find(|name| name.starts_with(kind)).map(|name| format!("/dev/dri/{name}"));
        match (node("card"), node("renderD")) {
            (Some(card), Some(render)) => Ok(Nodes { card, render }),
            _ => Err(Failure::Unexpected(format!("the device has no nodes: {names:?}"))),
        }
    }

    /// A counter of the bound device.
    ///
    /// # Errors
    /// There is no such counter, or no device.
    pub fn counter(self, name: &str) -> Result<u64, Failure> {
        let text = self.agent.read(&self.file("counters"))?;
        counter(&text, name).ok_or_else(|| Failure::Unexpected(format!("the driver has no counter {name}: {text}")))
    }

    /// Waits until a counter has a value, also while probe is under way.
    ///
    /// # Errors
    /// It does not reach it within the limit.
    pub fn wait_for_counter(self, name: &str, value: u64) -> Result<(), AgentError> {
        let until = Condition::CounterAtLeast { name: name.to_owned(), value };
        self.agent.wait_until(&self.file("counters"), until, pace::DRIVER).map(drop)
    }

    /// Waits until the device has completed so many jobs, and checks that all were right.
    ///
    /// # Errors
    /// It does not work, or wrongly.
    pub fn works(self, jobs: u64) -> Result<(), Failure> {
        self.wait_for_state("ready")?;
        let until = Condition::CounterAtLeast { name: "jobs_completed".to_owned(), value: jobs };
        let path = self.file("counters");
        let counters = self.agent.wait_until(&path, until, pace::DRIVER)?.text()?;
        let of = |name| counter(&counters, name);
        expect(of("mismatches") == Some(0) && of("jobs_faulted") == Some(0), || {
            format!("jobs went wrong: {counters}")
        })?;
        expect(of("verified_bytes") > Some(0), || format!("nothing was verified: {counters}"))
    }

    /// Waits until the device works, with jobs in flight for ever.
    ///
    /// # Errors
    /// It does not work, or wrongly.
    pub fn is_busy(self) -> Result<(), Failure> {
        // The self-test's are done before the device is ready; so many more need the load.
        let done = self.wait_for_state("ready").map_err(Failure::from).and_then(|()| self.counter("jobs_completed"))?;
        self.works(done + 20)
    }

    /// Waits until all jobs of the load, which is off, have ended.
    ///
    /// # Errors
    /// The jobs do not end within the limit.
    pub fn is_idle(self) -> Result<(), Failure> {
        let submitted = self.counter("jobs_submitted")?;
        let started = Instant::now();
        while self.counter("jobs_completed")? + self.counter("jobs_faulted")? < submitted {
            expect(started.elapsed() < self.agent.limit(pace::DRIVER), || "jobs do not end".to_owned())?;
        }
        Ok(())
    }

    /// Waits until a whole period of health polling has passed without any message from the device.
    ///
    /// # Errors
    /// Messages do not end within the limit, or nobody polls.
    pub fn is_silent(self) -> Result<(), Failure> {
        let started = Instant::now();
        let mut interrupts = None;
        while started.elapsed() < self.agent.limit(pace::DRIVER) {
            let polls = self.counter("health_polls")?;
            self.wait_for_counter("health_polls", polls + 2)?;
            let before = interrupts.replace(self.counter("interrupts")?);
            if before == interrupts {
                return Ok(());
            }
        }
        Err(Failure::Unexpected("messages of the device do not end".to_owned()))
    }

    /// Waits until the module tells of so many removals since it was loaded; gives the last of them.
    ///
    /// # Errors
    /// There are fewer.
    pub fn removals(self, count: usize) -> Result<Vec<Removal>, AgentError> {
        let path = self.debugfs("removals");
        let text = self.agent.wait_until(&path, Condition::LinesAtLeast(count), pace::HOTPLUG)?.text()?;
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        Ok(Removal::all_in(&lines))
    }

    /// The one removal there was.
    ///
    /// # Errors
    /// There was none, or more than one.
    pub fn only_removal(self) -> Result<Removal, Failure> {
        match self.removals(1)?.as_slice() {
            [removal] => Ok(removal.clone()),
            other => Err(Failure::Unexpected(format!("there should be one removal: {other:?}"))),
        }
    }
}
