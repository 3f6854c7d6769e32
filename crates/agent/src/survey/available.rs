//! Availability of steps: whether a step can be carried out on this machine at all.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use lifeboat_recovery_policy::policy::StepKind;

use crate::inventory::bus::Inventory;
use crate::inventory::config::{Config, ReadConfig};
use crate::inventory::function::Function;
use crate::survey::domain;
use crate::survey::question::Question;
use crate::system::System;

/// Returns the reason for which the step cannot be carried out, if there is one.
pub fn obstacle(
    system: &System,
    inventory: &Inventory,
    function: &Function,
    question: &Question,
    config: ReadConfig,
) -> Option<String> {
    match question.step {
        StepKind::Rebind => rebind(system, function, question.driver),
        StepKind::FunctionReset => function_reset(function),
        StepKind::BusReset => bus_reset(inventory, function),
        StepKind::RemoveRescan => remove_rescan(system, inventory, function),
        StepKind::PowerCycle => power_cycle(system, inventory, function, config),
        StepKind::Vendor => vendor(question.program),
    }
}

/// Returns the reason for which the step cannot bring a device back that is off the bus.
pub fn obstacle_of_missing(system: &System, inventory: &Inventory, question: &Question) -> Option<String> {
    if question.step == StepKind::Vendor {
        return vendor(question.program);
    }
    let gone = || Some(format!("{} is not on the bus", question.device));
    let (StepKind::RemoveRescan, Some(bridge)) = (question.step, question.bridge) else { return gone() };
    match inventory.function(bridge) {
        Some(bridge) if system.sys.exists(bridge.attribute("rescan")) => None,
        _ => Some(format!("the bridge {bridge} above it is not on the bus")),
    }
}

fn rebind(system: &System, function: &Function, before: Option<&str>) -> Option<String> {
    let driver = function.driver.as_deref().or(function.driver_override.as_deref()).or(before);
    match driver {
        None => Some("no driver is bound, and none is known from before".into()),
        Some(driver) if system.sys.exists(format!("bus/pci/drivers/{driver}/bind")) => None,
        Some(driver) => Some(format!("the driver {driver} is not loaded")),
    }
}

fn function_reset(function: &Function) -> Option<String> {
    // Both reset the bus; the kernel counts them as methods of a function that is alone there.
    let alone = |method: &&String| !matches!(method.as_str(), "bus" | "cxl_bus");
    match function.reset_methods.iter().find(alone) {
        Some(_) => None,
        None if function.reset_methods.is_empty() => Some("the kernel offers no reset".into()),
        None => Some(format!("the kernel offers only resets of the bus: {}", function.reset_methods.join(", "))),
    }
}

fn bus_reset(inventory: &Inventory, function: &Function) -> Option<String> {
    let Some(bridge) = function.topology.bridge else {
        return Some("no bridge is above the device".into());
    };
    if inventory.function(bridge).is_some_and(|bridge| bridge.reset_subordinate) {
        return None;
    }
    let alone = inventory.below(bridge).all(|other| other.address == function.address);
    let offered = function.reset_methods.iter().any(|method| method == "bus" || method == "cxl_bus");
    match (offered, alone) {
        (true, true) => None,
        (_, false) => Some(format!("the bus below {bridge} has other functions, and the bridge has no reset")),
        (false, true) => Some(format!("the kernel offers no reset of the bus below {bridge}")),
    }
}

fn remove_rescan(system: &System, inventory: &Inventory, function: &Function) -> Option<String> {
    let Some(bridge) = function.topology.bridge.and_then(|bridge| inventory.function(bridge)) else {
        return Some("no bridge is above the device".into());
    };
    let files = [function.attribute("remove"), bridge.attribute("rescan")];
    files.into_iter().find(|file| !system.sys.exists(file)).map(|file| format!("{file} is missing"))
}

fn power_cycle(system: &System, inventory: &Inventory, function: &Function, config: ReadConfig) -> Option<String> {
    let Some(slot) = domain::slot(inventory, function) else { return Some("the device is in no slot".into()) };
    let name = slot.slot.as_deref().unwrap_or_default();
    if !system.sys.exists(format!("bus/pci/slots/{name}/power")) {
        return Some(format!("slot {name} has no power file"));
    }
    let Some(port) = slot.topology.bridge.and_then(|port| inventory.function(port)) else {
        return Some(format!("slot {name} has no port"));
    };
    match Config::read(system, port, config) {
        Ok(config) if config.cuts_power() => None,
        Ok(_) => Some(format!("slot {name} has no power controller: its power file only removes the device")),
        Err(error) => Some(format!("whether slot {name} can cut power cannot be told: {}: {error}", port.address)),
    }
}

/// Looks at the program of a vendor's step. It runs with the daemon's rights, so nobody else may be able to change it.
fn vendor(program: &Path) -> Option<String> {
    const EXECUTABLE: u32 = 0o111;
    const OTHERS_WRITE: u32 = 0o022;
    let name = program.display();
    if !program.is_absolute() {
        return Some(format!("{name:?} is no absolute path of a program"));
    }
    match std::fs::metadata(program) {
        Err(error) => Some(format!("{name}: {error}")),
        Ok(file) if !file.is_file() => Some(format!("{name} is no file")),
        Ok(file) if file.permissions().mode() & EXECUTABLE == 0 => Some(format!("{name} is not executable")),
        Ok(file) if file.permissions().mode() & OTHERS_WRITE != 0 => Some(format!("others can write to {name}")),
        Ok(file) if file.uid() != 0 && file.uid() != rustix::process::geteuid().as_raw() => {
            Some(format!("{name} belongs to user {}", file.uid()))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests;
