//! Plans the steps of a ladder. Pure: targets in, a plan out.
//!
//! A step takes two targets: the device as it is now, which tells what to unbind, and as it was before the incident, which
//! tells what to put back. They differ after a step that failed: a device that lost its driver to the first step of
//! the ladder gets it back from the second.
//!
//! Rules of all plans:
//! - Drivers are unbound by writes of their own, before anything that takes the lock for removal and rescan: a driver
//!   that never returns then blocks its own device and not the hot-plug of the whole machine.
//! - A rescan is one of the bus that the device was on, never of all. So there is none for a device on a root bus.
//! - Consumers go first: virtual functions before physical ones, the later functions of a card (audio) before the first.
//!   They come back in the opposite order.

use std::time::Duration;

use lifeboat_recovery_policy::policy::{Step, StepKind};

use super::condition::{Condition, directory};
use super::hook::Program;
use super::plan::{Operation, Plan};
use super::targets::{Function, SlotPower, Target};
use crate::address::Address;

/// Time for a link to be let go after an unbind that has returned. The kernel removes it before it returns.
const UNBOUND: Duration = Duration::from_secs(10);
/// Time for a driver to bind after the write that asked for it: a probe can be deferred.
const BOUND: Duration = Duration::from_secs(10);
/// Time for a function to leave the bus after the write has returned.
const GONE: Duration = Duration::from_secs(10);
/// Time for a function to come back: link training (1 s at most), a second read after a configuration retry (60 s).
const BACK: Duration = Duration::from_secs(70);
/// Time that a vendor's program has after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// Reset methods that reset more than the function.
const WIDE: [&str; 2] = ["bus", "cxl_bus"];

/// Reason for which a step cannot be carried out on this device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The device is not on the bus, and only a rescan or power could bring it back.
    #[error("{0} is not on the bus")]
    Gone(Address),
    /// No driver is bound, and none was before the incident.
    #[error("{0} has no driver, and had none before")]
    NoDriver(Address),
    /// The function cannot be reset alone.
    #[error("{function} has no reset of its own; its methods: {methods:?}")]
    NoReset {
        /// The function.
        function: Address,
        /// Methods that the kernel offers.
        methods: Vec<String>,
    },
    /// The device is on a root bus.
    #[error("{0} is on a root bus: no bridge is above it")]
    RootBus(Address),
    /// The kernel cannot reset the bus below the bridge.
    #[error(
        "the kernel offers no reset of the bus below {0} (file reset_subordinate), and the device is not alone there"
    )]
    NoBusReset(Address),
    /// The device is in no slot.
    #[error("{0} is in no hot-plug slot")]
    NoSlot(Address),
    /// The slot cannot cut power: its file `power` would only remove and add the device.
    #[error("slot {0} has no power controller: its power cannot be cut")]
    NoPowerController(String),
    /// The ability of the slot cannot be told, and a power cycle is claimed only where power can be cut.
    #[error("nobody can tell whether slot {slot} can cut power: {reason}")]
    UnknownPower {
        /// Name of the slot.
        slot: String,
        /// Reason.
        reason: String,
    },
    /// The step names no program.
    #[error("the step names no program")]
    NoProgram,
}

/// Plans a step for the device as it is `now`, to leave it as it was `before` the incident.
///
/// # Errors
/// [`Unavailable`]: the device or the machine does not offer the step.
pub fn plan(step: &Step, now: &Target, before: &Target) -> Result<Plan, Unavailable> {
    let device = now.device;
    let here = now.function(device).is_some();
    let scope = Scope { now, before };
    match step.kind {
        StepKind::RemoveRescan | StepKind::PowerCycle | StepKind::Vendor => {}
        _ if !here => return Err(Unavailable::Gone(device)),
        _ => {}
    }
    match step.kind {
        StepKind::Rebind => {
            let had = scope.before(device).is_some_and(|function| function.driver.is_some());
            if !had {
                return Err(Unavailable::NoDriver(device));
            }
            Ok(scope.plan(step.kind, scope.own(), None, Vec::new()))
        }
        StepKind::FunctionReset => scope.function_reset(),
        StepKind::BusReset => scope.bus_reset(),
        StepKind::RemoveRescan => scope.remove_rescan(here),
        StepKind::PowerCycle => scope.power_cycle(here),
        StepKind::Vendor => scope.vendor(step),
    }
}

/// The two states of the device that a plan is made from.
struct Scope<'a> {
    now: &'a Target,
    before: &'a Target,
}

fn write(path: String, text: impl Into<String>) -> Operation {
    Operation::Write { path, text: text.into(), unless: Vec::new() }
}

fn wait(until: Condition, limit: Duration) -> Operation {
    Operation::Wait { until, limit }
}

/// Tells whether the driver gives its device to processes: unbinding waits for them without an end.
fn is_vfio(driver: &str) -> bool {
    driver.contains("vfio")
}

impl Scope<'_> {
    fn device(&self) -> Address {
        self.now.device
    }

    /// Returns the function as it was before the incident. A function that is new since then is left as it is.
    fn before(&self, address: Address) -> Option<&Function> {
        self.before.function(address).or_else(|| self.now.function(address))
    }

    /// Returns all functions of now and before for which `is` holds, in ascending order.
    fn those(&self, is: impl Fn(&Function) -> bool) -> Vec<Address> {
        let mut found: Vec<Address> = self
            .now
            .functions
            .iter()
            .chain(&self.before.functions)
            .filter(|function| is(function))
            .map(|function| function.address)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the device and its virtual functions.
    fn own(&self) -> Vec<Address> {
        let device = self.device();
        self.those(|function| function.address == device || function.physical == Some(device))
    }

    /// Returns every function below a bridge.
    fn below(&self, bridge: Address) -> Vec<Address> {
        self.those(|function| function.parents.contains(&bridge))
    }

    fn bridge(&self) -> Result<Address, Unavailable> {
        let bridge = self.now.bridge.as_ref().or(self.before.bridge.as_ref());
        bridge.map(|bridge| bridge.address).ok_or(Unavailable::RootBus(self.device()))
    }

    /// Creates the plan: unbind all functions, do `middle`, put all back. Functions below `realm` vanish meanwhile.
    fn plan(&self, step: StepKind, functions: Vec<Address>, realm: Option<Address>, middle: Vec<Operation>) -> Plan {
        let mut operations = self.unbind(&functions);
        operations.extend(middle);
        let is_virtual = |address: &Address| self.before(*address).is_some_and(|it| it.physical.is_some());
        let (virtual_ones, physical_ones): (Vec<Address>, Vec<Address>) =
            functions.iter().copied().partition(is_virtual);
        let again = |address: &Address, anew: bool| {
            self.before(*address).map(|function| restore(function, anew)).unwrap_or_default()
        };
        let mut restores: Vec<Operation> =
            physical_ones.iter().flat_map(|address| again(address, realm.is_some())).collect();
        // Virtual functions vanish with the driver of the physical one.
        restores.extend(virtual_ones.iter().flat_map(|address| again(address, true)));
        let settings = functions.iter().filter_map(|&address| self.before(address)).flat_map(settings).collect();
        // Virtual functions come and go beside the physical one, in the directory of its bridge.
        let realm = realm.or_else(|| self.bridge().ok().filter(|_| !virtual_ones.is_empty()));
        Plan {
            step,
            device: self.device(),
            cautions: self.cautions(&functions),
            functions,
            realm,
            operations,
            restores,
            settings,
        }
    }

    /// Unbinds the functions from the drivers that they have now. Bridges keep theirs.
    fn unbind(&self, functions: &[Address]) -> Vec<Operation> {
        let mut bound: Vec<(&Function, &str)> = functions
            .iter()
            .filter_map(|&address| self.now.function(address))
            .filter(|function| !function.bridge)
            .filter_map(|function| Some((function, function.driver.as_deref()?)))
            .collect();
        bound.sort_by_key(|(function, _)| (function.physical.is_none(), std::cmp::Reverse(function.address)));
        bound
            .into_iter()
            .flat_map(|(&Function { address, .. }, driver)| {
                [
                    write(format!("bus/pci/drivers/{driver}/unbind"), address.to_string()),
                    wait(Condition::Driver { function: address, driver: None }, UNBOUND),
                ]
            })
            .collect()
    }

    fn cautions(&self, functions: &[Address]) -> Vec<String> {
        let now = functions.iter().filter_map(|&address| self.now.function(address));
        now.filter_map(|function| {
            let driver = function.driver.as_deref().filter(|driver| is_vfio(driver))?;
            Some(format!(
                "{} is bound to {driver}: unbinding it waits, without an end, for the process that uses it",
                function.address
            ))
        })
        .collect()
    }

    fn function_reset(&self) -> Result<Plan, Unavailable> {
        let device = self.device();
        let methods = self.now.function(device).map(|function| function.reset_methods.clone()).unwrap_or_default();
        let Some(method) = methods.iter().find(|method| !WIDE.contains(&method.as_str())) else {
            return Err(Unavailable::NoReset { function: device, methods });
        };
        Ok(self.plan(StepKind::FunctionReset, self.own(), None, self.reset_by(method, &methods)))
    }

    /// Resets the device by one method. The kernel would go on to the next one if it failed, and a list is put back.
    fn reset_by(&self, method: &str, methods: &[String]) -> Vec<Operation> {
        let folder = directory(self.device());
        let reset = write(format!("{folder}/reset"), "1");
        if methods.len() == 1 {
            return vec![reset];
        }
        vec![write(format!("{folder}/reset_method"), method), reset]
    }

    fn bus_reset(&self) -> Result<Plan, Unavailable> {
        let device = self.device();
        let bridge = self.now.bridge.as_ref().ok_or(Unavailable::RootBus(device))?;
        let functions = self.below(bridge.address);
        let methods = self.now.function(device).map(|function| function.reset_methods.clone()).unwrap_or_default();
        let mut middle = if bridge.resets {
            vec![write(format!("{}/reset_subordinate", directory(bridge.address)), "1")]
        } else if functions == [device] && methods.iter().any(|method| method == "bus") {
            // Kernels before 6.15 reset a bus only through a function that is alone on it.
            self.reset_by("bus", &methods)
        } else {
            return Err(Unavailable::NoBusReset(bridge.address));
        };
        middle.push(wait(Condition::Present(device), BACK));
        // The hot-plug driver of a port may take the reset for a removal and bring the device back as a new one.
        Ok(self.plan(StepKind::BusReset, functions, Some(bridge.address), middle))
    }

    fn remove_rescan(&self, here: bool) -> Result<Plan, Unavailable> {
        let device = self.device();
        let bridge = self.bridge()?;
        let mut middle = Vec::new();
        if here {
            middle.push(write(format!("{}/remove", directory(device)), "1"));
            middle.push(wait(Condition::Gone(device), GONE));
        }
        middle.push(write(format!("class/pci_bus/{:04x}:{:02x}/rescan", device.domain, device.bus), "1"));
        middle.push(wait(Condition::Present(device), BACK));
        Ok(self.plan(StepKind::RemoveRescan, self.own(), Some(bridge), middle))
    }

    fn power_cycle(&self, here: bool) -> Result<Plan, Unavailable> {
        let device = self.device();
        let slot = self.now.slot.as_ref().or(self.before.slot.as_ref()).ok_or(Unavailable::NoSlot(device))?;
        match &slot.power {
            SlotPower::Switched => {}
            SlotPower::Fixed => return Err(Unavailable::NoPowerController(slot.name.clone())),
            SlotPower::Unknown(reason) => {
                return Err(Unavailable::UnknownPower { slot: slot.name.clone(), reason: reason.clone() });
            }
        }
        let power = format!("bus/pci/slots/{}/power", slot.name);
        let mut middle = vec![write(power.clone(), "0")];
        if here {
            middle.push(wait(Condition::Gone(device), GONE));
        }
        middle.push(write(power, "1"));
        middle.push(wait(Condition::Present(device), BACK));
        Ok(self.plan(StepKind::PowerCycle, self.below(slot.port), Some(slot.port), middle))
    }

    fn vendor(&self, step: &Step) -> Result<Plan, Unavailable> {
        if step.run.is_empty() {
            return Err(Unavailable::NoProgram);
        }
        let program = Program {
            path: step.run.clone(),
            case: step.case.clone(),
            device: self.device(),
            limit: step.deadline,
            grace: GRACE,
        };
        let functions = self.own();
        let mut plan = self.plan(StepKind::Vendor, functions, self.bridge().ok(), Vec::new());
        // The program decides by itself what to unbind.
        plan.operations = vec![Operation::Run(program)];
        plan.cautions.push(format!("{} is a program of others: its writes are not known", step.run));
        Ok(plan)
    }
}

/// Returns the operations that put a function back. `anew`: the function may be another one of the same address, with
/// the settings of a new one and with the driver that the kernel chose. Each write is needless if nothing was lost.
fn restore(function: &Function, anew: bool) -> Vec<Operation> {
    let Function { address, .. } = *function;
    let folder = directory(address);
    let text = address.to_string();
    let bound = |driver: &Option<String>| Condition::Driver { function: address, driver: driver.clone() };
    let kept = |file: &str, value: String, text: String| Operation::Write {
        path: format!("{folder}/{file}"),
        text,
        unless: vec![Condition::Setting { function: address, file: file.to_owned(), value }],
    };
    let mut operations = Vec::new();
    if anew && !function.bridge {
        let mut unless = vec![bound(&function.driver)];
        if function.driver.is_some() {
            unless.push(bound(&None));
        }
        operations.push(Operation::Write { path: format!("{folder}/driver/unbind"), text: text.clone(), unless });
        if let Some(driver) = &function.driver_override {
            operations.push(Operation::Write {
                path: format!("{folder}/driver_override"),
                text: driver.clone(),
                unless: vec![Condition::Override { function: address, driver: Some(driver.clone()) }],
            });
        }
    }
    if !function.reset_methods.is_empty() {
        let methods = function.reset_methods.join(" ");
        operations.push(kept("reset_method", methods.clone(), methods));
    }
    if !function.bridge
        && let Some(driver) = &function.driver
    {
        operations.push(Operation::Write {
            path: format!("bus/pci/drivers/{driver}/bind"),
            text,
            unless: vec![bound(&function.driver)],
        });
        operations.push(wait(bound(&function.driver), BOUND));
    }
    if let Some(virtual_functions) = function.virtual_functions {
        if anew {
            let autoprobe = if virtual_functions.autoprobe { "1" } else { "0" };
            operations.push(kept("sriov_drivers_autoprobe", autoprobe.to_owned(), autoprobe.to_owned()));
        }
        if virtual_functions.count > 0 {
            let count = virtual_functions.count.to_string();
            operations.push(kept("sriov_numvfs", count.clone(), count));
        }
    }
    operations.extend(function.settings.iter().map(|(file, value)| kept(file, value.clone(), value.clone())));
    operations
}

/// Returns the settings of a function that must hold at the end.
fn settings(function: &Function) -> Vec<Condition> {
    let Function { address, .. } = *function;
    let setting = |file: &str, value: String| Condition::Setting { function: address, file: file.to_owned(), value };
    let mut settings = vec![
        Condition::Driver { function: address, driver: function.driver.clone() },
        Condition::Override { function: address, driver: function.driver_override.clone() },
    ];
    if !function.reset_methods.is_empty() {
        settings.push(setting("reset_method", function.reset_methods.join(" ")));
    }
    if let Some(virtual_functions) = function.virtual_functions {
        settings.push(setting("sriov_numvfs", virtual_functions.count.to_string()));
        let autoprobe = if virtual_functions.autoprobe { "1" } else { "0" };
        settings.push(setting("sriov_drivers_autoprobe", autoprobe.to_owned()));
    }
    settings.extend(function.settings.iter().map(|(file, value)| setting(file, value.clone())));
    settings
}
