//! PCI function and its attributes in sysfs.

use std::io;
use std::path::Path;

use crate::address::Address;
use crate::inventory::node::Below;
use crate::inventory::topology::Topology;
use crate::system::System;

/// State of a function's power, as the kernel's runtime power management states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// The function is awake, or the kernel does not manage its power.
    Awake,
    /// The function sleeps, or is about to sleep or to wake. Reading its configuration space could wake it.
    Asleep,
}

impl Power {
    /// Returns the state for the text of `power/runtime_status`; `None` if there is no such file.
    pub fn of_status(status: Option<&str>) -> Self {
        match status {
            None | Some("active" | "unsupported" | "error") => Self::Awake,
            Some(_) => Self::Asleep,
        }
    }
}

/// Identification that the kernel has read when it found the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ids {
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
    /// Vendor of the board.
    pub subsystem_vendor: u16,
    /// Board.
    pub subsystem_device: u16,
    /// Class: base class, sub-class and programming interface, one byte each from the top.
    pub class: u32,
}

/// PCI function.
#[derive(Debug, Clone)]
pub struct Function {
    /// Address.
    pub address: Address,
    /// Identification.
    pub ids: Ids,
    /// Place in the tree of bridges.
    pub topology: Topology,
    /// Driver that is bound.
    pub driver: Option<String>,
    /// Kernel module of the driver. `None` also if the driver is built in.
    pub module: Option<String>,
    /// Driver that alone may be bound, if there is such a rule.
    pub driver_override: Option<String>,
    /// Name of the slot.
    pub slot: Option<String>,
    /// Number of the IOMMU group.
    pub iommu_group: Option<String>,
    /// Physical function, if this is a virtual one.
    pub physfn: Option<Address>,
    /// Virtual functions of this function.
    pub virtfns: Vec<Address>,
    /// Reset methods in the kernel's order. Empty if the kernel offers none.
    pub reset_methods: Vec<String>,
    /// Whether the kernel offers to reset everything below this bridge.
    pub reset_subordinate: bool,
    /// State of the power.
    pub power: Power,
    /// Whether the firmware drew on this function at boot.
    pub boot_vga: bool,
    /// Name of the group of GPUs that are connected to each other and reset together.
    pub hive: Option<String>,
    /// Devices and nodes below the function.
    pub below: Below,
    /// Reason for which the attributes above are not complete, if there is one.
    pub unreadable: Option<String>,
}

impl Function {
    /// Reads the function at `address`. `None` if there is none.
    ///
    /// # Errors
    /// Errors of the system: the link to the function cannot be read.
    pub(super) fn read(system: &System, address: Address) -> io::Result<Option<Self>> {
        let target = match system.sys.link(format!("bus/pci/devices/{address}")) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(topology) = Topology::of_link(&target) else { return Ok(None) };
        let mut attributes = Attributes { system, path: topology.path.clone(), trouble: None };
        let ids = attributes.ids();
        let driver = attributes.link("driver");
        let below = Below::read(system, &topology.path).unwrap_or_else(|error| {
            attributes.note("devices", &error);
            Below::default()
        });
        let function = Self {
            address,
            ids,
            module: driver.as_ref().and_then(|_| attributes.link("driver/module")),
            driver,
            driver_override: attributes.text("driver_override").filter(|name| name != "(null)" && !name.is_empty()),
            slot: None,
            iommu_group: attributes.link("iommu_group"),
            physfn: attributes.link("physfn").and_then(|name| name.parse().ok()),
            virtfns: attributes.virtfns(),
            reset_methods: attributes
                .text("reset_method")
                .map(|text| text.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            reset_subordinate: attributes.exists("reset_subordinate"),
            power: attributes.power(),
            boot_vga: attributes.text("boot_vga").is_some_and(|text| text == "1"),
            hive: attributes.text("xgmi_hive_info/xgmi_hive_id"),
            below,
            topology,
            unreadable: attributes.trouble.take(),
        };
        // The function may have vanished between two reads: then half of its attributes are missing.
        Ok(system.sys.exists(&function.topology.path).then_some(function))
    }

    /// Returns the path of an attribute below `/sys`.
    pub fn attribute(&self, name: &str) -> String {
        format!("{}/{name}", self.topology.path)
    }

    /// Tells whether the driver belongs to VFIO, or is Xen's: then the function belongs to a virtual machine or to
    /// another program.
    pub fn is_vfio(&self) -> bool {
        // Drivers of vendors are called `nvgrace-gpu-vfio-pci`, `mlx5_vfio_pci`, `xe-vfio-pci`.
        let vfio = |driver: &str| driver == "pciback" || driver.ends_with("vfio-pci") || driver.ends_with("vfio_pci");
        self.driver.as_deref().is_some_and(vfio)
    }

    /// Returns the base class, such as 0x03 for displays.
    pub fn base_class(&self) -> u8 {
        (self.ids.class >> 16).to_le_bytes()[0]
    }

    /// Tells whether the function is in the same slot: bus and device are the same.
    pub fn shares_slot(&self, other: Address) -> bool {
        let Address { domain, bus, device, .. } = self.address;
        (domain, bus, device) == (other.domain, other.bus, other.device)
    }
}

/// Reader of attributes that remembers the first one that is there and cannot be read.
struct Attributes<'a> {
    system: &'a System,
    path: String,
    trouble: Option<String>,
}

impl Attributes<'_> {
    fn note(&mut self, name: &str, error: &dyn std::fmt::Display) {
        self.trouble.get_or_insert_with(|| format!("{name} of {}: {error}", self.path));
    }

    fn exists(&self, name: &str) -> bool {
        self.system.sys.exists(format!("{}/{name}", self.path))
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.system.sys.text(format!("{}/{name}", self.path)) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.note(name, &error);
                None
            }
        }
    }

    fn link(&mut self, name: &str) -> Option<String> {
        match self.system.sys.link(format!("{}/{name}", self.path)) {
            Ok(target) => file_name(&target),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.note(name, &error);
                None
            }
        }
    }

    /// Reads a hexadecimal number that every function has.
    fn number(&mut self, name: &str) -> u32 {
        let text = self.text(name).unwrap_or_default();
        let number = text.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if number.is_none() {
            self.note(name, &"no number");
        }
        number.unwrap_or_default()
    }

    fn ids(&mut self) -> Ids {
        let mut short = |name| u16::try_from(self.number(name)).unwrap_or_default();
        Ids {
            vendor: short("vendor"),
            device: short("device"),
            subsystem_vendor: short("subsystem_vendor"),
            subsystem_device: short("subsystem_device"),
            class: self.number("class"),
        }
    }

    fn power(&mut self) -> Power {
        Power::of_status(self.text("power/runtime_status").as_deref())
    }

    fn virtfns(&mut self) -> Vec<Address> {
        match self.system.sys.links(&self.path) {
            Ok(links) => {
                let virtfns = links.into_iter().filter(|(name, _)| name.starts_with("virtfn"));
                let mut addresses: Vec<Address> =
                    virtfns.filter_map(|(_, target)| file_name(&target)?.parse().ok()).collect();
                addresses.sort_unstable();
                addresses
            }
            Err(error) => {
                self.note("links", &error);
                Vec::new()
            }
        }
    }
}

fn file_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}
