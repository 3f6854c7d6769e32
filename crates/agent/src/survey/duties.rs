//! Duties of a function: protections, and its use by others than the one that wants to recover it.

use std::collections::BTreeSet;

use lifeboat_recovery_policy::survey::Protection;

use crate::address::Address;
use crate::inventory::block::Stack;
use crate::inventory::bus::Inventory;
use crate::inventory::function::Function;
use crate::inventory::network;
use crate::survey::mounts::Mounts;
use crate::survey::scan::Scan;
use crate::survey::targets::{Kind, Targets};
use crate::survey::{console, modules, routes, sessions, spared};
use crate::system::System;

/// Base class of network controllers.
const NETWORK: u8 = 0x02;
/// Class of Ethernet controllers, without the programming interface.
const ETHERNET: u32 = 0x0200;

/// State of the machine that the duties of all functions follow from, read once for a survey.
#[derive(Debug, Default)]
pub struct Machine {
    /// Processes that use functions.
    pub scan: Scan,
    /// Users of active sessions of a seat.
    pub sessions: BTreeSet<u32>,
    /// Function whose framebuffer the kernel's console draws on.
    pub framebuffer: Option<Address>,
    mounts: Mounts,
    consoles: BTreeSet<Address>,
    routes: Option<Result<BTreeSet<Address>, String>>,
    control: BTreeSet<Address>,
    unreadable: Option<String>,
}

impl Machine {
    /// Reads the state of the machine.
    pub fn read(system: &System, inventory: &Inventory, control: &[Address]) -> Self {
        let mut machine = Self { control: control.iter().copied().collect(), ..Self::default() };
        let mut trouble = |what: &str, error: std::io::Error| {
            machine.unreadable.get_or_insert(format!("{what}: {error}"));
        };
        let targets = Targets::read(system, inventory).map_err(|error| trouble("device nodes", error));
        let sessions = sessions::users(system).map_err(|error| trouble("sessions", error));
        let consoles = console::functions(system, inventory).map_err(|error| trouble("consoles", error));
        machine.scan = targets.map(|targets| Scan::read(system, &targets)).unwrap_or_default();
        machine.sessions = sessions.unwrap_or_default();
        machine.consoles = consoles.unwrap_or_default();
        machine.framebuffer = console::framebuffer(system, inventory).ok().flatten();
        machine.mounts = Mounts::read(system);
        machine.routes = Some(default_routes(system, inventory).map_err(|error| format!("routes: {error}")));
        machine
    }
}

fn default_routes(system: &System, inventory: &Inventory) -> std::io::Result<BTreeSet<Address>> {
    let mut functions = BTreeSet::new();
    for interface in routes::interfaces(system)? {
        functions.extend(network::functions_of(system, inventory, &interface)?);
    }
    Ok(functions)
}

/// Duties of one function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duties {
    /// Protections.
    pub protections: BTreeSet<Protection>,
    /// Uses, in words. Empty: nobody uses the function.
    pub uses: Vec<String>,
    /// Reason for which the above is not complete.
    pub unreadable: Option<String>,
}

impl Duties {
    fn protect(&mut self, protection: Protection) {
        self.protections.insert(protection);
    }

    fn note(&mut self, reason: String) {
        self.unreadable.get_or_insert(reason);
    }
}

/// Returns the duties of a function.
pub fn of(system: &System, machine: &Machine, function: &Function) -> Duties {
    let mut duties = Duties::default();
    for reason in [&function.unreadable, &machine.unreadable, &machine.scan.unreadable].into_iter().flatten() {
        duties.note(reason.clone());
    }
    if machine.consoles.contains(&function.address) {
        duties.protect(Protection::Console);
    }
    if machine.control.contains(&function.address) {
        duties.protect(Protection::ControlPath);
        duties.uses.push("the daemon is controlled through it".into());
    }
    processes(machine, function, &mut duties);
    storage(system, machine, function, &mut duties);
    interfaces(system, machine, function, &mut duties);
    match modules::of(system, function) {
        Ok(modules) => {
            duties.uses.extend(modules.holders.iter().map(|holder| format!("kernel module {}", holder.name)));
        }
        Err(error) => duties.note(format!("kernel modules: {error}")),
    }
    duties
}

fn processes(machine: &Machine, function: &Function, duties: &mut Duties) {
    if function.is_vfio() {
        duties.protect(Protection::Vfio);
        duties.uses.push("bound to VFIO".into());
    }
    for used in machine.scan.uses(function.address) {
        if used.kinds.contains(&Kind::Vfio) {
            duties.protect(Protection::Vfio);
        }
        if spared::shows_session(used, &machine.sessions) {
            duties.protect(Protection::Session);
        }
        let unit = used.process.membership.unit.as_ref().map(|unit| format!(" of {unit}")).unwrap_or_default();
        duties.uses.push(format!("process {} ({}){unit}", used.process.pid, used.process.stat.name));
    }
}

fn storage(system: &System, machine: &Machine, function: &Function, duties: &mut Duties) {
    let stack = match Stack::read(system, function) {
        Ok(stack) => stack,
        Err(error) => return duties.note(format!("block devices of {}: {error}", function.address)),
    };
    if stack.devices.is_empty() {
        return;
    }
    if let Some(reason) = &machine.mounts.unreadable {
        duties.note(reason.clone());
    }
    let points = machine.mounts.points(&stack);
    if !points.is_empty() {
        duties.protect(Protection::Mounted);
        duties.uses.push(format!("mounted at {}", points.join(", ")));
    }
    if machine.mounts.has_swap(&stack) {
        duties.protect(Protection::Swap);
        duties.uses.push("swap".into());
    }
}

fn interfaces(system: &System, machine: &Machine, function: &Function, duties: &mut Duties) {
    let mut names = function.below.class("net").peekable();
    let hidden = names.peek().is_none();
    for name in names {
        match network::is_up(system, name) {
            Ok(true) => duties.uses.push(format!("interface {name} is up")),
            Ok(false) => {}
            Err(error) => duties.note(format!("interfaces: {error}")),
        }
    }
    if hidden && function.ids.class >> 8 == ETHERNET && function.driver.is_some() && !function.is_vfio() {
        duties.uses.push("an interface in another network namespace".into());
    }
    match &machine.routes {
        Some(Ok(routes)) if routes.contains(&function.address) => {
            duties.protect(Protection::DefaultRoute);
            duties.uses.push("default route".into());
        }
        Some(Err(reason)) if function.base_class() == NETWORK => duties.note(reason.clone()),
        _ => {}
    }
}
