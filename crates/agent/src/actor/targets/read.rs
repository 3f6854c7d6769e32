//! Reads a target from sysfs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::OFlags;

use super::{Bridge, Function, KEPT, Slot, SlotPower, Target, TargetError, VirtualFunctions};
use crate::actor::condition::{directory, override_name};
use crate::address::Address;
use crate::system::Root;

/// Directory of all functions.
const DEVICES: &str = "bus/pci/devices";
/// Directory of all slots.
const SLOTS: &str = "bus/pci/slots";

pub(super) fn target(sys: &Root, device: Address) -> Result<Target, TargetError> {
    if !sys.exists(directory(device)) {
        return Ok(Target { device, functions: Vec::new(), bridge: None, slot: None });
    }
    let parents = parents(sys, device)?;
    let slot = slot(sys, device, &parents)?;
    let bridge = parents
        .last()
        .map(|&address| Bridge { address, resets: sys.exists(format!("{}/reset_subordinate", directory(address))) });
    // The slot's port is the bridge itself or above it.
    let top = slot.as_ref().map(|slot| slot.port).or(bridge.as_ref().map(|bridge| bridge.address));
    let mut functions = Vec::new();
    for address in addresses(sys)? {
        let part = match self::parents(sys, address) {
            Ok(parents) => {
                address == device
                    || top.is_some_and(|top| parents.contains(&top))
                    || physical(sys, address) == Some(device)
            }
            Err(gone) if gone.error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if part {
            functions.push(function(sys, address)?);
        }
    }
    Ok(Target { device, functions, bridge, slot })
}

/// Lists the addresses of all functions.
fn addresses(sys: &Root) -> Result<BTreeSet<Address>, TargetError> {
    let names = sys.list(DEVICES).map_err(|error| TargetError { path: DEVICES.to_owned(), error })?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Returns the bridges above a function, from the root bus down: the directories on the way to its own.
fn parents(sys: &Root, function: Address) -> Result<Vec<Address>, TargetError> {
    let path = directory(function);
    let link = sys.link(&path).map_err(|error| TargetError { path, error })?;
    let mut chain: Vec<Address> =
        link.iter().filter_map(|part| part.to_str().and_then(|name| name.parse().ok())).collect();
    chain.pop();
    Ok(chain)
}

fn physical(sys: &Root, function: Address) -> Option<Address> {
    sys.link_name(format!("{}/physfn", directory(function)))?.parse().ok()
}

fn function(sys: &Root, address: Address) -> Result<Function, TargetError> {
    let folder = directory(address);
    let file = |name: &str| text(sys, format!("{folder}/{name}"));
    let mut settings = BTreeMap::new();
    for name in KEPT {
        if let Some(value) = file(name)? {
            settings.insert(name.to_owned(), value);
        }
    }
    let virtual_functions = match file("sriov_numvfs")? {
        None => None,
        Some(count) => {
            let count = count.parse().map_err(|_| TargetError {
                path: format!("{folder}/sriov_numvfs"),
                error: io::Error::from(io::ErrorKind::InvalidData),
            })?;
            let autoprobe = file("sriov_drivers_autoprobe")?.is_none_or(|text| text != "0");
            Some(VirtualFunctions { count, autoprobe })
        }
    };
    Ok(Function {
        address,
        parents: parents(sys, address)?,
        bridge: file("class")?.is_some_and(|class| class.starts_with("0x0604")),
        physical: physical(sys, address),
        driver: sys.link_name(format!("{folder}/driver")),
        driver_override: file("driver_override")?.as_deref().and_then(override_name),
        reset_methods: file("reset_method")?.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
        virtual_functions,
        settings,
    })
}

/// Reads a file that not every function has: `None` if it is not there.
fn text(sys: &Root, path: String) -> Result<Option<String>, TargetError> {
    match sys.text(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // The kernel has the file for a function and no answer, as for `d3cold_allowed` of a virtual one.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) => Ok(None),
        Err(error) => Err(TargetError { path, error }),
    }
}

/// Finds the nearest slot: the device's own, or that of a switch above it.
fn slot(sys: &Root, device: Address, parents: &[Address]) -> Result<Option<Slot>, TargetError> {
    let names = match sys.list(SLOTS) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TargetError { path: SLOTS.to_owned(), error }),
    };
    let mut slots = BTreeMap::new();
    for name in names {
        if let Some(address) = text(sys, format!("{SLOTS}/{name}/address"))?
            && sys.exists(format!("{SLOTS}/{name}/power"))
        {
            slots.insert(address, name);
        }
    }
    let chain: Vec<Address> = parents.iter().copied().chain([device]).collect();
    let found = chain.windows(2).rev().find_map(|pair| {
        let (port, Address { domain, bus, device, .. }) = (pair[0], pair[1]);
        let name = slots.get(&format!("{domain:04x}:{bus:02x}:{device:02x}"))?;
        Some((name.clone(), port))
    });
    Ok(found.map(|(name, port)| Slot { name, port, power: power(sys, port) }))
}

/// Tells whether the slot of a port can cut power.
fn power(sys: &Root, port: Address) -> SlotPower {
    let folder = directory(port);
    // Reading configuration space would wake the port and everything above it.
    match sys.text(format!("{folder}/power/runtime_status")) {
        Ok(status) if status == "active" || status == "unsupported" => {}
        Ok(status) => return SlotPower::Unknown(format!("the port {port} is {status}")),
        Err(error) => return SlotPower::Unknown(format!("the power state of the port {port} cannot be read: {error}")),
    }
    let mut space = Vec::new();
    let read = sys
        .open_file(Path::new(&folder).join("config"), OFlags::RDONLY | OFlags::NONBLOCK)
        .and_then(|file| file.take(256).read_to_end(&mut space));
    match read {
        Err(error) => SlotPower::Unknown(format!("the configuration of the port {port} cannot be read: {error}")),
        Ok(_) => match slot_capabilities(&space) {
            None => SlotPower::Unknown(format!("the port {port} states no slot")),
            Some(capabilities) if capabilities & POWER_CONTROLLER != 0 => SlotPower::Switched,
            Some(_) => SlotPower::Fixed,
        },
    }
}

/// Bit "Power Controller Present" of the register Slot Capabilities.
const POWER_CONTROLLER: u32 = 1 << 1;
/// Bit "Slot Implemented" of the register PCI Express Capabilities.
const SLOT_IMPLEMENTED: u16 = 1 << 8;
/// Number of the capability PCI Express.
const EXPRESS: u8 = 0x10;
/// Largest number of capabilities that fit into 256 bytes after the header.
const CAPABILITIES: usize = 48;

/// Returns the register Slot Capabilities of a port's configuration space, if it has a slot.
pub(super) fn slot_capabilities(space: &[u8]) -> Option<u32> {
    let byte = |at: usize| space.get(at).copied();
    let word = |at: usize| Some(u16::from_le_bytes([byte(at)?, byte(at + 1)?]));
    // A port that is gone reads all-ones everywhere, and states every bit.
    if word(0)? == u16::MAX {
        return None;
    }
    let mut at = usize::from(byte(0x34)?) & !3;
    for _ in 0..CAPABILITIES {
        if at < 0x40 {
            return None;
        }
        if byte(at)? == EXPRESS {
            let implemented = word(at + 2)? & SLOT_IMPLEMENTED != 0;
            let capabilities = u32::from(word(at + 0x14)?) | u32::from(word(at + 0x16)?) << 16;
            return implemented.then_some(capabilities);
        }
        at = usize::from(byte(at + 1)?) & !3;
    }
    None
}
