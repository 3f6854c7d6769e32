//! Domain of a step: the other functions that it affects.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_recovery_policy::policy::StepKind;
use lifeboat_recovery_policy::survey::Protection;

use crate::address::Address;
use crate::inventory::bus::Inventory;
use crate::inventory::function::Function;

/// Reason for which a step affects a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coupling {
    /// The function is reset or taken off the bus, too.
    Bus,
    /// The function is a virtual one of an affected one.
    Virtual,
    /// The function is connected to an affected one, and they are reset together.
    Hive,
    /// The function shares its IOMMU group with an affected one: only one side may drive the group, the kernel or
    /// the user of VFIO.
    Group,
}

impl Coupling {
    /// Returns the reason in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Bus => "same bus",
            Self::Virtual => "virtual function",
            Self::Hive => "same hive",
            Self::Group => "same IOMMU group",
        }
    }

    /// Returns the protections and uses that count. The reset of a function does not reach others of its IOMMU group,
    /// but no driver of the kernel can be bound while VFIO has one of them.
    pub fn concerns(self, protections: BTreeSet<Protection>, uses: Vec<String>) -> (BTreeSet<Protection>, Vec<String>) {
        if self != Self::Group {
            return (protections, uses);
        }
        if protections.contains(&Protection::Vfio) {
            (BTreeSet::from([Protection::Vfio]), uses)
        } else {
            (BTreeSet::new(), Vec::new())
        }
    }
}

/// Other function that a step affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Address.
    pub address: Address,
    /// Reason.
    pub coupling: Coupling,
}

/// Returns the other functions that a step affects, by address.
///
/// The program of a vendor may do anything: it is believed to reset the bus.
pub fn of(inventory: &Inventory, function: &Function, step: StepKind) -> Vec<Member> {
    let mut members = BTreeMap::new();
    let add = |members: &mut BTreeMap<Address, Coupling>, address: Address, coupling: Coupling| {
        if address != function.address {
            let first = members.entry(address).or_insert(coupling);
            *first = coupling.min(*first);
        }
    };
    // A bridge takes everything below it along, whatever the step.
    let mut bus: Vec<&Function> = inventory.below(function.address).collect();
    match step {
        StepKind::Rebind | StepKind::FunctionReset | StepKind::RemoveRescan => {}
        StepKind::BusReset | StepKind::Vendor => bus.extend(beside(inventory, function)),
        StepKind::PowerCycle => match slot(inventory, function) {
            Some(slot) => bus.extend(beside(inventory, slot)),
            None => bus.extend(beside(inventory, function)),
        },
    }
    for other in bus {
        add(&mut members, other.address, Coupling::Bus);
    }
    let affected: Vec<Address> = members.keys().copied().chain([function.address]).collect();
    for other in affected.iter().filter_map(|&address| inventory.function(address)) {
        for hive in hive(inventory, other) {
            add(&mut members, hive, Coupling::Hive);
        }
    }
    // Virtual functions follow the physical ones.
    let affected: Vec<Address> = members.keys().copied().chain([function.address]).collect();
    for other in inventory.functions() {
        if other.physfn.is_some_and(|physfn| affected.contains(&physfn)) {
            add(&mut members, other.address, Coupling::Virtual);
        }
    }
    let groups: BTreeSet<&String> = members
        .keys()
        .chain([&function.address])
        .filter_map(|&address| inventory.function(address)?.iommu_group.as_ref())
        .collect();
    for other in inventory.functions() {
        if other.iommu_group.as_ref().is_some_and(|group| groups.contains(group)) {
            add(&mut members, other.address, Coupling::Group);
        }
    }
    members.into_iter().map(|(address, coupling)| Member { address, coupling }).collect()
}

/// Returns the functions that a reset of the bus of a function reaches: everything below the bridge above it, or
/// the functions of its own slot if there is none.
fn beside<'a>(inventory: &'a Inventory, function: &'a Function) -> Vec<&'a Function> {
    match function.topology.bridge {
        Some(bridge) => inventory.below(bridge).collect(),
        None => inventory.functions().filter(|other| other.shares_slot(function.address)).collect(),
    }
}

/// Returns the function at the slot whose power a function has: itself, or the nearest one above that is in a slot.
pub fn slot<'a>(inventory: &'a Inventory, function: &'a Function) -> Option<&'a Function> {
    let above = function.topology.ancestors.iter().rev().filter_map(|&address| inventory.function(address));
    [function].into_iter().chain(above).find(|function| function.slot.is_some())
}

fn hive<'a>(inventory: &'a Inventory, function: &'a Function) -> impl Iterator<Item = Address> + 'a {
    let others = inventory.functions().filter(|other| other.hive.is_some() && other.hive == function.hive);
    others.map(|other| other.address)
}

#[cfg(test)]
mod tests;
