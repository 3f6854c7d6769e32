//! What a test works with: a guest that is up, and whatever its plan asked for.

use std::path::Path;
use std::time::Duration;

use lifeboat_guest::wire::Request;
use serde_json::{Value, json};

use crate::card::gpu::{self, GpuServer};
use crate::card::hotplug::{self, SECOND_SLOT, SLOT};
use crate::driver::removal::Removal;
use crate::driver::{self, Driver, Module};
use crate::guest::initramfs::{Initramfs, module_path};
use crate::guest::machine::Machine;
use crate::guest::modules::{self, ModuleTree};
use crate::guest::qemu::{Arguments, Hotplug};
use crate::guest::qmp::{QmpError, Since};
use crate::guest::tools::Tool;
use crate::host::process::Processes;
use crate::pace::{self, Flavour};
use crate::setup::Environment;
use crate::setup::dkms::{Dkms, Headers};
use crate::suite::failure::{Failure, expect};

/// What a test starts with.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The one kernel that the test is for; `None`: either.
    pub only: Option<Flavour>,
    /// Who unplugs in this guest.
    pub hotplug: Hotplug,
    /// What is in the slot from the start.
    pub card: Card,
    /// Whether our driver and the server of its GPU take part.
    pub gpu: bool,
    /// The builder of that driver.
    pub builder: Builder,
    /// The module that is our driver.
    pub module: Module,
    /// Whether there is a second GPU, in a slot of its own.
    pub second_gpu: bool,
    /// Whether an IOMMU translates.
    pub iommu: bool,
    /// Whether removals of dead devices are held to their limit.
    pub removals: Removals,
    /// Drivers of the kernel's own that are loaded from the start.
    pub drivers: &'static [&'static str],
    /// Programs that the guest has, and modules of ours beside the driver.
    pub tools: &'static [Tool],
    /// Complaints that the test provokes, as regular expressions, one for each line.
    pub provokes: &'static [&'static str],
    /// The same, of the debug kernel alone: what its checkers must report. The kernel says then that it is tainted.
    pub reports: &'static [&'static str],
}

impl Plan {
    /// Complaints that are expected of this kernel.
    pub fn expected(&self, flavour: Flavour) -> Vec<&'static str> {
        let reports = if flavour == Flavour::Debug { self.reports } else { &[] };
        [self.provokes, reports].concat()
    }
}

/// The builder of our driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// The kernel's own makefiles, from the repository, before all tests.
    Kbuild,
    /// DKMS, for this test, from the tree that it is given. On the stock kernel alone.
    Dkms,
}

/// Limit of the removals of dead devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removals {
    /// Their limit.
    Timed,
    /// Whatever they take: programs or other guests compete with them for the processors, and there are many.
    Untimed,
}

/// What is in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// Nothing.
    Nothing,
    /// QEMU's own example of a device.
    Edu,
    /// Our GPU. The plan must have one.
    Gpu,
}

/// ACPI, an empty slot, a clean log.
pub const PLAIN: Plan = Plan {
    only: None,
    hotplug: Hotplug::Acpi,
    card: Card::Nothing,
    gpu: false,
    builder: Builder::Kbuild,
    module: Module::Lifeboat,
    second_gpu: false,
    iommu: false,
    removals: Removals::Timed,
    drivers: &[],
    tools: &[],
    provokes: &[],
    reports: &[],
};

/// The name of what is in the slot, for QEMU.
pub const CARD: &str = "card";

/// The guest and what surrounds it.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The guest.
    pub machine: Machine,
    /// Where everything is.
    pub environment: &'a Environment,
    gpu: Option<GpuServer>,
    second_gpu: Option<GpuServer>,
    /// Modules that ours needs, in the order in which they are loaded.
    needs: Vec<String>,
    module: Module,
}

impl<'a> Bench<'a> {
    /// Sets up what the plan says.
    ///
    /// # Errors
    /// Any of it does not come up.
    pub fn set_up(
        plan: &Plan,
        environment: &'a Environment,
        folder: &Path,
        processes: &Processes,
    ) -> Result<Self, Failure> {
        let mut initramfs = Initramfs::new(&environment.guest)?;
        let needs = add_modules(&mut initramfs, environment, plan.gpu.then_some(driver::NEEDS).as_slice())?;
        let drivers = add_modules(&mut initramfs, environment, plan.drivers)?;
        for tool in plan.tools {
            tool.add_to(&mut initramfs, environment)?;
        }
        match plan.builder {
            Builder::Kbuild if plan.gpu => {
                let file = match plan.module {
                    Module::Lifeboat => &environment.lifeboat_ko,
                    Module::Second => &environment.second_ko,
                };
                initramfs.add_file(file, &module_path(plan.module.name()))?;
            }
            Builder::Kbuild => {}
            Builder::Dkms => initramfs.add_module(&built_by_dkms(environment)?)?,
        }
        let limit = environment.flavour.limit(pace::COMMAND);
        let start = |socket| GpuServer::start(&environment.lifeboat, folder, socket, processes, limit);
        let gpu = plan.gpu.then(|| start(gpu::SOCKET)).transpose()?;
        let second_gpu = plan.second_gpu.then(|| start(gpu::SECOND_SOCKET)).transpose()?;
        let second = plan.second_gpu.then(second_card);
        let card = plan.card.as_device();
        let arguments = Arguments { hotplug: plan.hotplug, iommu: plan.iommu, card, second, kernel: "" };
        let machine = Machine::boot(environment, folder, initramfs, &arguments, processes)?;
        for name in drivers {
            let request = Request::LoadModule { path: module_path(&name), parameters: String::new() };
            machine.agent.call(request, pace::DRIVER)?;
        }
        Ok(Self { machine, environment, gpu, second_gpu, needs, module: plan.module })
    }

    /// Our driver in the guest.
    pub fn driver(&self) -> Driver<'_> {
        Driver::new(&self.machine.agent, &self.needs, self.module, SLOT)
    }

    /// Our driver, and the device in the second slot.
    pub fn second_driver(&self) -> Driver<'_> {
        Driver::new(&self.machine.agent, &self.needs, self.module, SECOND_SLOT)
    }

    /// The server of the GPU.
    ///
    /// # Errors
    /// The plan has none, or it was killed.
    pub fn gpu(&self) -> Result<&GpuServer, Failure> {
        self.gpu.as_ref().ok_or_else(|| Failure::Unexpected("there is no GPU's server".to_owned()))
    }

    /// Takes the server out of the verdict: it will be killed.
    ///
    /// # Errors
    /// As [`gpu`](Self::gpu).
    pub fn take_gpu(&mut self) -> Result<GpuServer, Failure> {
        self.gpu.take().ok_or_else(|| Failure::Unexpected("there is no GPU's server".to_owned()))
    }

    /// The servers of all GPUs that were not taken, for the verdict.
    pub fn take_gpus(&mut self) -> impl Iterator<Item = GpuServer> + use<> {
        [self.gpu.take(), self.second_gpu.take()].into_iter().flatten()
    }

    /// Plugs a card in.
    ///
    /// # Errors
    /// QEMU refuses.
    pub fn plug(&self, card: Card) -> Result<(), QmpError> {
        let Some((driver, properties)) = card.driver() else { return Ok(()) };
        hotplug::plug(&self.machine.monitor, driver, CARD, &properties)
    }

    /// Waits until QEMU has destroyed the card.
    ///
    /// # Errors
    /// It does not within the limit.
    pub fn unplugged(&self, since: Since) -> Result<(), QmpError> {
        hotplug::unplugged(&self.machine.monitor, since, CARD, self.limit(pace::HOTPLUG))
    }

    /// All removals so far, from the kernel's log: the module's own list goes with the module.
    ///
    /// # Errors
    /// The guest does not answer.
    pub fn logged_removals(&self) -> Result<Vec<Removal>, Failure> {
        const MARK: &str = "lifeboat-vm: the removals so far";
        let console = &self.machine.console;
        let before = console.len();
        self.machine.agent.mark(MARK)?;
        // The log is written by the time of the serial port, not by ours.
        expect(console.wait_for(before, MARK, self.limit(pace::COMMAND)), || "the log stands still".to_owned())?;
        Ok(Removal::all_in(&console.since(0)))
    }

    /// The kernel under test.
    pub fn flavour(&self) -> Flavour {
        self.environment.flavour
    }

    /// A limit for this kernel.
    pub fn limit(&self, limit: Duration) -> Duration {
        self.flavour().limit(limit)
    }
}

/// Adds modules of the kernel, with those that they need; gives all their names, in the order in which they are loaded.
fn add_modules(initramfs: &mut Initramfs, environment: &Environment, names: &[&str]) -> Result<Vec<String>, Failure> {
    let mut added: Vec<String> = Vec::new();
    if names.is_empty() {
        return Ok(added);
    }
    let tree = ModuleTree::open(&environment.modules_dir)?;
    for name in names {
        for module in tree.with_dependencies(name)? {
            if !added.contains(&module.name) {
                initramfs.add_module(&module)?;
                added.push(module.name);
            }
        }
    }
    Ok(added)
}

/// Our driver as DKMS has installed it: stripped, signed and compressed.
fn built_by_dkms(environment: &Environment) -> Result<modules::Module, Failure> {
    let dkms = Dkms::new(environment, Headers::WithMetadata)?;
    dkms.install()?;
    Ok(ModuleTree::open(&dkms.modules())?.without_dependencies(Module::Lifeboat.name())?)
}

/// The GPU in the second slot, as QEMU's `-device` takes it.
fn second_card() -> Value {
    let (name, socket) = gpu::socket_property(gpu::SECOND_SOCKET);
    json!({ "driver": gpu::DRIVER, "id": "second", "bus": "rp2", name: socket })
}

impl Card {
    fn driver(self) -> Option<(&'static str, Vec<(&'static str, Value)>)> {
        match self {
            Self::Nothing => None,
            Self::Edu => Some(("edu", vec![])),
            Self::Gpu => Some((gpu::DRIVER, vec![gpu::socket_property(gpu::SOCKET)])),
        }
    }

    /// As QEMU's `-device` takes it.
    pub fn as_device(self) -> Option<Value> {
        let (driver, properties) = self.driver()?;
        let mut device = json!({ "driver": driver, "id": CARD, "bus": "rp1" });
        for (name, value) in properties {
            device[name] = value;
        }
        Some(device)
    }
}
