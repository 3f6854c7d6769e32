//! Members: the devices that a rule is for.

use std::collections::BTreeMap;
use std::io;

use lifeboat_recovery_policy::policy::Policy;
use lifeboat_recovery_policy::record::DeviceId;

use crate::actor::targets::Target;
use crate::address::Address;
use crate::config::{Rule, Rules, Subject};
use crate::inventory::bus::Inventory;
use crate::inventory::function::Function;
use crate::roster;
use crate::system::System;

/// Device that a rule is for.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) address: Address,
    pub(super) rule: Rule,
    /// Properties that the rule was chosen by.
    pub(super) subject: Subject,
    /// Bridge above the device when it was seen last.
    pub(super) bridge: Option<Address>,
    /// Device and its surroundings while it was well.
    pub(super) well: Option<Target>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Members {
    members: BTreeMap<DeviceId, Member>,
}

/// Names a device: another card at the same address is another device. The serial number is not part of the name yet.
fn name(function: &Function) -> DeviceId {
    DeviceId(format!("{} {:04x}:{:04x}", function.address, function.ids.vendor, function.ids.device))
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn get(&self, device: &DeviceId) -> Option<&Member> {
        self.members.get(device)
    }

    pub(super) fn get_mut(&mut self, device: &DeviceId) -> Option<&mut Member> {
        self.members.get_mut(device)
    }

    /// Returns the device at an address. A card that was replaced is no longer there.
    pub(super) fn at(&self, address: Address) -> Option<&DeviceId> {
        self.members.iter().find(|(_, member)| member.address == address).map(|(device, _)| device)
    }

    /// Reads the bus, and returns devices that were not known, with their rules. `known` are devices with an open incident: one that is off
    /// the bus is a member all the same.
    pub(super) fn read(
        &mut self,
        system: &System,
        rules: &Rules,
        known: Vec<(DeviceId, Subject)>,
    ) -> io::Result<Vec<(DeviceId, Policy)>> {
        let inventory = Inventory::read(system)?;
        let mut added = Vec::new();
        for listed in roster::list(&inventory, rules) {
            let device = name(listed.function);
            let bridge = listed.function.topology.ancestors.last().copied();
            if let Some(member) = self.members.get_mut(&device) {
                member.bridge = bridge;
                continue;
            }
            // A device that has lost its driver is still the one whose incident is open.
            let before = known.iter().find(|(other, _)| *other == device).map(|(_, subject)| subject);
            let subject = before.cloned().unwrap_or(listed.subject);
            self.add(device, listed.function.address, subject, bridge, rules, &mut added);
        }
        for (device, subject) in known {
            if let (false, Ok(address)) = (self.members.contains_key(&device), subject.slot.parse()) {
                self.add(device, address, subject, None, rules, &mut added);
            }
        }
        Ok(added)
    }

    fn add(
        &mut self,
        device: DeviceId,
        address: Address,
        subject: Subject,
        bridge: Option<Address>,
        rules: &Rules,
        added: &mut Vec<(DeviceId, Policy)>,
    ) {
        let Some(rule) = rules.matching(&subject).rule.cloned() else { return };
        // Another card is in the place of the one that was here.
        self.members.retain(|_, member| member.address != address);
        added.push((device.clone(), rule.policy.clone()));
        self.members.insert(device, Member { address, rule, subject, bridge, well: None });
    }
}
