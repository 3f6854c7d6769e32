//! Identity of a device: the same after a new driver, new minors or a new name, another after an exchange of the card.

use serde::{Deserialize, Serialize};

use crate::inventory::config::{Config, ReadConfig, Unread};
use crate::inventory::function::Function;
use crate::system::System;

/// Serial number from one source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serial {
    /// The source states it.
    Known(String),
    /// The source states that the device has none.
    Absent,
    /// The source did not answer: the device sleeps, is dead, or has no driver now.
    Unread,
}

impl Serial {
    /// Tells whether two reads can be of one device. A source that did not answer contradicts nothing.
    fn agrees(&self, other: &Self) -> bool {
        *self == Self::Unread || *other == Self::Unread || self == other
    }
}

/// Identity of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceId {
    /// Address, as sysfs writes it.
    pub address: String,
    /// Bridges on the way from the root: see [`Topology::route`](crate::inventory::topology::Topology::route).
    pub route: String,
    /// Vendor, device and board: `8086:56c0:8086:4905`.
    pub ids: String,
    /// Serial number in the configuration space.
    pub serial: Serial,
    /// Serial number in the words of the driver: of `NVMe`, amdgpu and NVIDIA.
    pub driver_serial: Serial,
}

impl DeviceId {
    /// Reads the identity of a function. A sleeping function is not woken.
    pub fn read(system: &System, function: &Function, config: ReadConfig) -> Self {
        let ids = function.ids;
        Self {
            address: function.address.to_string(),
            route: function.topology.route(),
            ids: format!(
                "{:04x}:{:04x}:{:04x}:{:04x}",
                ids.vendor, ids.device, ids.subsystem_vendor, ids.subsystem_device
            ),
            serial: config_serial(Config::read(system, function, config)),
            driver_serial: driver_serial(system, function).map_or(Serial::Unread, Serial::Known),
        }
    }

    /// Tells whether both can be the same device. Serial numbers that could not be read contradict nothing.
    pub fn is_same(&self, other: &Self) -> bool {
        let Self { address, route, ids, serial, driver_serial } = self;
        *address == other.address
            && *route == other.route
            && *ids == other.ids
            && serial.agrees(&other.serial)
            && driver_serial.agrees(&other.driver_serial)
    }

    /// Takes serial numbers over from an earlier identity of the same device where this one has none, so that they
    /// are not forgotten while the device sleeps or has no driver.
    #[must_use]
    pub fn completed_by(mut self, earlier: &Self) -> Self {
        if self.is_same(earlier) {
            for (now, before) in
                [(&mut self.serial, &earlier.serial), (&mut self.driver_serial, &earlier.driver_serial)]
            {
                if *now == Serial::Unread {
                    now.clone_from(before);
                }
            }
        }
        self
    }
}

fn config_serial(config: Result<Config, Unread>) -> Serial {
    let Ok(config) = config else { return Serial::Unread };
    match config.serial() {
        // Some devices have the capability and no number in it.
        Some(0 | u64::MAX) => Serial::Absent,
        Some(serial) => Serial::Known(format!("{serial:016x}")),
        None if config.is_extended() => Serial::Absent,
        None => Serial::Unread,
    }
}

fn driver_serial(system: &System, function: &Function) -> Option<String> {
    let nvme = function.below.class("nvme").map(|name| function.attribute(&format!("nvme/{name}/serial")));
    let amdgpu = [function.attribute("unique_id")];
    let stated = nvme.chain(amdgpu).filter_map(|path| system.sys.text(path).ok()).find(|serial| !serial.is_empty());
    stated.or_else(|| {
        let path = format!("driver/nvidia/gpus/{}/information", function.address);
        let text = system.proc.text(path).ok()?;
        let uuid = text.lines().find_map(|line| line.strip_prefix("GPU UUID:"))?.trim();
        // Question marks stand there until the GPU has been initialised.
        (!uuid.is_empty() && !uuid.contains('?')).then(|| uuid.to_owned())
    })
}

#[cfg(test)]
mod tests;
