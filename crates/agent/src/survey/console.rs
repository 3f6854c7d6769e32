//! Functions that show a console: of the firmware, of the kernel's framebuffer, or on a serial port.

use std::collections::BTreeSet;
use std::io;

use crate::address::Address;
use crate::inventory::bus::Inventory;
use crate::system::System;

/// Returns the functions that show a console.
///
/// # Errors
/// Errors of the system.
pub fn functions(system: &System, inventory: &Inventory) -> io::Result<BTreeSet<Address>> {
    let mut functions = BTreeSet::new();
    for function in inventory.functions() {
        // The kernel states it at the primary node, for devices that are no VGA device, too.
        let boot_display = function
            .below
            .nodes
            .iter()
            .filter(|node| node.subsystem == "drm")
            .any(|node| system.sys.text(format!("{}/boot_display", node.path)).is_ok_and(|text| text == "1"));
        if function.boot_vga || boot_display {
            functions.insert(function.address);
        }
    }
    functions.extend(framebuffer(system, inventory)?);
    functions.extend(terminals(system, inventory)?);
    Ok(functions)
}

/// Returns the function whose framebuffer the kernel's console draws on: the first framebuffer, if the console is
/// bound to any.
///
/// # Errors
/// Errors of the system.
pub fn framebuffer(system: &System, inventory: &Inventory) -> io::Result<Option<Address>> {
    let mut bound = false;
    for console in list(system, "class/vtconsole")? {
        let folder = format!("class/vtconsole/{console}");
        let name = system.sys.text(format!("{folder}/name"))?;
        bound |= name.contains("frame buffer") && system.sys.text(format!("{folder}/bind"))? == "1";
    }
    if !bound {
        return Ok(None);
    }
    let names = list(system, "class/graphics")?;
    let first = names.iter().filter_map(|name| name.strip_prefix("fb")?.parse::<u32>().ok()).min();
    let Some(first) = first else { return Ok(None) };
    let target = system.sys.link(format!("class/graphics/fb{first}"))?;
    Ok(inventory.owner(&target.to_string_lossy()).map(|function| function.address))
}

/// Returns the functions with a terminal that is a console, such as a serial port.
fn terminals(system: &System, inventory: &Inventory) -> io::Result<BTreeSet<Address>> {
    let active = match system.sys.text("class/tty/console/active") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        active => active?,
    };
    let owner = |name: &str| {
        let target = system.sys.link(format!("class/tty/{name}")).ok()?;
        Some(inventory.owner(&target.to_string_lossy())?.address)
    };
    Ok(active.split_whitespace().filter_map(owner).collect())
}

fn list(system: &System, path: &str) -> io::Result<Vec<String>> {
    match system.sys.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}
