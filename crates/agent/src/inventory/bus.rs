//! The functions on the bus at one moment.

use std::collections::BTreeMap;
use std::io;

use crate::address::Address;
use crate::inventory::function::Function;
use crate::system::System;

/// Functions on the bus at one moment.
#[derive(Debug, Default)]
pub struct Inventory {
    functions: BTreeMap<Address, Function>,
}

impl Inventory {
    /// Reads the functions on the bus. Functions that vanish meanwhile are left out.
    ///
    /// # Errors
    /// Errors of the system: the list of functions cannot be read. Attributes that cannot be read are named in
    /// [`Function::unreadable`].
    pub fn read(system: &System) -> io::Result<Self> {
        let mut functions = BTreeMap::new();
        let names = match system.sys.list("bus/pci/devices") {
            Ok(names) => names,
            // A machine without a PCI bus.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let slots = slots(system)?;
        for address in names.iter().filter_map(|name| name.parse::<Address>().ok()) {
            if let Some(mut function) = Function::read(system, address)? {
                function.slot = slots.get(&(address.domain, address.bus, address.device)).cloned();
                functions.insert(address, function);
            }
        }
        Ok(Self { functions })
    }

    /// Returns the function at `address`.
    pub fn function(&self, address: Address) -> Option<&Function> {
        self.functions.get(&address)
    }

    /// Returns all functions, by address.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.values()
    }

    /// Returns the functions below a bridge, at any depth.
    pub fn below(&self, bridge: Address) -> impl Iterator<Item = &Function> {
        self.functions().filter(move |function| function.topology.ancestors.contains(&bridge))
    }

    /// Returns the function whose directory in sysfs is `path` or holds it: `devices/pci0000:00/0000:00:02.0/drm`.
    pub fn owner(&self, path: &str) -> Option<&Function> {
        let mut addresses = path.split('/').filter_map(|part| part.parse::<Address>().ok());
        addresses.next_back().and_then(|address| self.function(address))
    }
}

/// Reads the slots: domain, bus and device to the name of the slot.
fn slots(system: &System) -> io::Result<BTreeMap<(u32, u8, u8), String>> {
    let names = match system.sys.list("bus/pci/slots") {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut slots = BTreeMap::new();
    for name in names {
        // The file names no function, only bus and device: `0000:03:00`.
        let Ok(text) = system.sys.text(format!("bus/pci/slots/{name}/address")) else { continue };
        if let Ok(address) = format!("{text}.0").parse::<Address>() {
            slots.insert((address.domain, address.bus, address.device), name);
        }
    }
    Ok(slots)
}
