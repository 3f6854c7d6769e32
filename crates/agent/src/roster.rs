//! Roster: the functions on the bus, each with the rule that the operator has for it.

use std::io;

use crate::config::{Match, Rules, Subject};
use crate::inventory::bus::Inventory;
use crate::inventory::function::Function;
use crate::system::System;

/// Returns the properties that rules are chosen by.
pub fn subject(function: &Function) -> Subject {
    Subject {
        driver: function.driver.clone(),
        id: format!("{:04x}:{:04x}", function.ids.vendor, function.ids.device),
        slot: function.address.to_string(),
        class: function.ids.class,
    }
}

/// Function with its rule.
#[derive(Debug)]
pub struct Listed<'a> {
    /// Function.
    pub function: &'a Function,
    /// Properties that the rule was chosen by.
    pub subject: Subject,
    /// Rule, and why it is that one.
    pub found: Match<'a>,
}

/// Returns all functions with their rules, by address.
pub fn list<'a>(inventory: &'a Inventory, rules: &'a Rules) -> impl Iterator<Item = Listed<'a>> {
    inventory.functions().map(|function| {
        let subject = subject(function);
        let found = rules.matching(&subject);
        Listed { function, subject, found }
    })
}

/// Reads the inventory, with a message that says what could not be read.
///
/// # Errors
/// Errors of the system.
pub fn inventory(system: &System) -> io::Result<Inventory> {
    Inventory::read(system).map_err(|error| {
        let text = format!("the list of functions in {} cannot be read: {error}", system.sys.path().display());
        io::Error::new(error.kind(), text)
    })
}
