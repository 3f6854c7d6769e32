//! The whole survey: health, availability, domain, duties and holders.

use lifeboat_recovery_policy::survey::{Health, Holders, Survey};

use crate::inventory::bus::Inventory;
use crate::inventory::function::Function;
use crate::survey::duties::{self, Machine};
use crate::survey::question::{Eyes, Question};
use crate::survey::{available, domain, health, holders};
use crate::system::System;

/// Reads the survey.
pub fn take(system: &System, question: &Question, eyes: &Eyes) -> Survey {
    match Inventory::read(system) {
        Ok(inventory) => match inventory.function(question.device) {
            Some(function) => of_function(system, &inventory, function, question, eyes),
            None => of_missing(system, &inventory, question),
        },
        Err(error) => {
            let reason = format!("the list of functions cannot be read: {error}");
            Survey {
                health: Health::Unreadable(reason.clone()),
                domain_unreadable: Some(reason),
                ..empty(question.kernel_recovers)
            }
        }
    }
}

fn of_function(
    system: &System,
    inventory: &Inventory,
    function: &Function,
    question: &Question,
    eyes: &Eyes,
) -> Survey {
    let machine = Machine::read(system, inventory, question.control);
    let own = duties::of(system, &machine, function);
    let mut protections = own.protections;
    let mut in_use = Vec::new();
    let mut unreadable = own.unreadable;
    for member in domain::of(inventory, function, question.step) {
        let Some(other) = inventory.function(member.address) else { continue };
        let duties = duties::of(system, &machine, other);
        let (member_protections, member_uses) = member.coupling.concerns(duties.protections, duties.uses);
        protections.extend(member_protections);
        if !member_uses.is_empty() {
            in_use.push(format!("{} ({}): {}", other.address, member.coupling.reason(), member_uses.join(", ")));
        }
        unreadable = unreadable.or(duties.unreadable);
    }
    Survey {
        health: health::look(system, function, eyes),
        kernel_recovers: question.kernel_recovers,
        unavailable: available::obstacle(system, inventory, function, question, eyes.config),
        protections: protections.into_iter().collect(),
        domain_in_use: in_use,
        domain_unreadable: unreadable,
        holders: holders::of(system, &machine, function, question.never_end),
    }
}

/// Returns the survey of a device that is off the bus: only a rescan can bring it back.
fn of_missing(system: &System, inventory: &Inventory, question: &Question) -> Survey {
    let mut survey = empty(question.kernel_recovers);
    survey.health = Health::Sick("not on the bus".into());
    survey.unavailable = available::obstacle_of_missing(system, inventory, question);
    survey
}

fn empty(kernel_recovers: bool) -> Survey {
    Survey {
        health: Health::Works,
        kernel_recovers,
        unavailable: None,
        protections: Vec::new(),
        domain_in_use: Vec::new(),
        domain_unreadable: None,
        holders: Holders::default(),
    }
}
