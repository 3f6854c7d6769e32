//! Devices that sleep. A read of the configuration space of a device that has no power (D3cold) resumes the device and every bridge
//! above it (`pci_config_pm_runtime_get` in `drivers/pci/pci-sysfs.c`), so every probe asks here first.
//!
//! The device may still fall asleep between the question and the probe. The probe wakes it then: the kernel has no way to ask
//! for less.

use std::io;

use crate::address::Address;
use crate::sensor::device_path;
use crate::system::System;

/// Whether a device can be read without waking anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wakefulness {
    /// The device and every bridge above it are awake.
    Awake,
    /// This function sleeps, or is on its way to sleep or back: the device, or a bridge above it.
    Asleep(Address),
    /// There is no such device.
    Absent,
    /// The state cannot be told, and why.
    Unreadable(String),
}

/// Returns whether a device can be read without waking anything.
pub fn wakefulness(system: &System, address: Address) -> Wakefulness {
    let place = match system.sys.link(folder(address)) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Wakefulness::Absent,
        Err(error) => return Wakefulness::Unreadable(format!("the place of {address}: {error}")),
    };
    let place = place.to_string_lossy();
    let asleep = device_path::functions(&place).map(|function| (function, asleep(system, function)));
    let mut found_itself = false;
    for (function, asleep) in asleep {
        found_itself |= function == address;
        match asleep {
            Ok(false) => {}
            Ok(true) => return Wakefulness::Asleep(function),
            Err(why) => return Wakefulness::Unreadable(why),
        }
    }
    if found_itself { Wakefulness::Awake } else { Wakefulness::Unreadable(format!("{place} does not name {address}")) }
}

/// Returns the folder of a function in sysfs.
pub(super) fn folder(address: Address) -> String {
    format!("bus/pci/devices/{address}")
}

fn asleep(system: &System, function: Address) -> Result<bool, String> {
    let folder = folder(function);
    let read = |file: &str| match system.sys.text(format!("{folder}/{file}")) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{file} of {function}: {error}")),
    };
    if read("power_state")?.as_deref() == Some("D3cold") {
        return Ok(true);
    }
    match read("power/runtime_status")?.as_deref() {
        // A kernel without power management puts nothing to sleep. "unsupported" says the same of one device.
        None | Some("active" | "unsupported") => Ok(false),
        Some("suspended" | "suspending" | "resuming") => Ok(true),
        Some(other) => Err(format!("power/runtime_status of {function} is {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;

    fn tree() -> Tree {
        Tree::new().function("0000:00:1c.0", None).function("0000:03:00.0", Some("0000:00:1c.0"))
    }

    fn looked(tree: &Tree) -> Wakefulness {
        wakefulness(&tree.system(), "0000:03:00.0".parse().unwrap())
    }

    #[test]
    fn agent_22_a_device_below_a_bridge_that_sleeps_is_asleep() {
        let tree = tree();
        assert_eq!(looked(&tree), Wakefulness::Awake, "no power management");
        for function in ["0000:03:00.0", "0000:00:1c.0"] {
            for (status, asleep) in [
                ("suspended", true),
                ("suspending", true),
                ("resuming", true),
                ("unsupported", false),
                ("active", false),
            ] {
                tree.write(&format!("{function}/power/runtime_status"), format!("{status}\n").as_bytes());
                let expected = if asleep { Wakefulness::Asleep(function.parse().unwrap()) } else { Wakefulness::Awake };
                assert_eq!(looked(&tree), expected, "{function} {status}");
            }
        }
        tree.write("0000:00:1c.0/power_state", b"D3cold\n");
        assert_eq!(looked(&tree), Wakefulness::Asleep("0000:00:1c.0".parse().unwrap()));
    }

    #[test]
    fn a_state_that_cannot_be_told_is_not_awake() {
        let tree = tree();
        tree.write("0000:03:00.0/power/runtime_status", b"error\n");
        assert!(matches!(looked(&tree), Wakefulness::Unreadable(_)));
        assert_eq!(wakefulness(&tree.system(), "0000:04:00.0".parse().unwrap()), Wakefulness::Absent);
    }
}
