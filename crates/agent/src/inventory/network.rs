//! Network interfaces and those that are built on them: VLANs, bonds, bridges.

use std::collections::BTreeSet;
use std::io;

use crate::address::Address;
use crate::inventory::bus::Inventory;
use crate::system::System;

/// Returns the functions that an interface needs: its own, or those of all interfaces below it.
///
/// A virtual switch that does not name its ports (Open vSwitch) needs every interface that is a port of something.
/// An interface that is not there needs none.
///
/// # Errors
/// Errors of the system.
pub fn functions_of(system: &System, inventory: &Inventory, interface: &str) -> io::Result<BTreeSet<Address>> {
    let mut functions = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut pending = vec![interface.to_owned()];
    while let Some(name) = pending.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let links = match system.sys.links(format!("class/net/{name}")) {
            Ok(links) => links,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let lower: Vec<_> = links.iter().filter_map(|(link, _)| link.strip_prefix("lower_")).collect();
        pending.extend(lower.iter().map(|&name| name.to_owned()));
        let target = system.sys.link(format!("class/net/{name}"))?;
        let owner = inventory.owner(&target.to_string_lossy());
        functions.extend(owner.map(|function| function.address));
        if owner.is_none() && lower.is_empty() && name != "lo" {
            functions.extend(ports(system, inventory));
        }
    }
    Ok(functions)
}

/// Returns the functions whose interfaces are ports of something.
fn ports(system: &System, inventory: &Inventory) -> BTreeSet<Address> {
    let mut functions = BTreeSet::new();
    for function in inventory.functions() {
        if function.below.class("net").any(|name| system.sys.link(format!("class/net/{name}/master")).is_ok()) {
            functions.insert(function.address);
        }
    }
    functions
}

/// Tells whether an interface is up, by the kernel's flag.
///
/// # Errors
/// Errors of the system, and flags that are no number.
pub fn is_up(system: &System, interface: &str) -> io::Result<bool> {
    const IFF_UP: u32 = 1;
    let text = match system.sys.text(format!("class/net/{interface}/flags")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        text => text?,
    };
    let flags = text.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match flags {
        Some(flags) => Ok(flags & IFF_UP != 0),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("flags of {interface}: {text:?}"))),
    }
}
