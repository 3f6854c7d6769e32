//! Devices and device nodes below a function.
//!
//! Every directory below a function that has a `dev` file is a node, whatever its subsystem: graphics, compute,
//! `NVMe`, sound, RDMA, VFIO, or the USB devices below a controller. So no list of subsystems can be too short.

use std::collections::BTreeSet;
use std::io;

use crate::address::Address;
use crate::system::{DeviceNumber, System};

/// Depth of directories below a function that is looked at. Chains of USB hubs are the deepest, with 7 hubs of
/// 3 directories.
const DEPTH: usize = 32;

/// Number of directories below a function that are looked at.
const MOST: usize = 100_000;

/// Device node below a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Number.
    pub number: DeviceNumber,
    /// Name below `/dev`, as the kernel gives it: `dri/card0`.
    pub name: String,
    /// Subsystem, such as `drm`. Empty if there is none.
    pub subsystem: String,
    /// Directory of the device below `/sys`.
    pub path: String,
}

/// Devices below a function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Below {
    /// Device nodes.
    pub nodes: Vec<Node>,
    /// Names of the devices of a class, with the class: `("net", "eth0")`.
    pub devices: Vec<(String, String)>,
    /// IOMMU groups of mediated devices.
    pub groups: BTreeSet<String>,
    /// Kernel modules whose drivers are bound to devices below the function: they let go when the function's own
    /// driver is unbound.
    pub modules: BTreeSet<String>,
}

impl Below {
    /// Reads the devices below the directory at `path` below `/sys`. Other PCI functions there are left out.
    ///
    /// # Errors
    /// Errors of the system, other than that a directory has vanished meanwhile; or there are too many directories.
    pub fn read(system: &System, path: &str) -> io::Result<Self> {
        let mut below = Self::default();
        let mut pending = vec![(path.to_owned(), 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = pending.pop() {
            let names = match system.sys.folders(&folder) {
                Ok(names) => names,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            seen += names.len();
            if seen > MOST || depth > DEPTH {
                return Err(io::Error::other("too many directories"));
            }
            for name in names.into_iter().filter(|name| !is_pci(name)) {
                let child = format!("{folder}/{name}");
                below.add(system, &child, name)?;
                pending.push((child, depth + 1));
            }
        }
        below.nodes.sort_unstable();
        below.devices.sort_unstable();
        Ok(below)
    }

    fn add(&mut self, system: &System, path: &str, name: String) -> io::Result<()> {
        let subsystem = system.sys.link_name(format!("{path}/subsystem")).unwrap_or_default();
        if let Some(number) = number(system, path, subsystem == "block")? {
            let device = node_name(system, path).unwrap_or_else(|| name.clone());
            self.nodes.push(Node { number, name: device, subsystem: subsystem.clone(), path: path.to_owned() });
        }
        self.groups.extend(system.sys.link_name(format!("{path}/iommu_group")));
        self.modules.extend(system.sys.link_name(format!("{path}/driver/module")));
        if !subsystem.is_empty() {
            self.devices.push((subsystem, name));
        }
        Ok(())
    }

    /// Returns the names of the devices of one class, such as `net` or `nvme`.
    pub fn class<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a str> {
        self.devices.iter().filter(move |(subsystem, _)| subsystem == class).map(|(_, name)| name.as_str())
    }
}

/// Reads the number of the device whose directory is `path`. `None` if the device has no node.
///
/// # Errors
/// Errors of the system, and a file that holds no number.
pub fn number(system: &System, path: &str, block: bool) -> io::Result<Option<DeviceNumber>> {
    let text = match system.sys.text(format!("{path}/dev")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match parse_number(&text) {
        Some((major, minor)) => Ok(Some(DeviceNumber { block, major, minor })),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path}/dev: no device number: {text:?}"))),
    }
}

/// Parses `226:0`.
pub fn parse_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Reads the name below `/dev` of the device whose directory is `path`.
fn node_name(system: &System, path: &str) -> Option<String> {
    let text = system.sys.text(format!("{path}/uevent")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("DEVNAME=")).map(str::to_owned)
}

/// Tells whether a directory is another PCI function or a root bus.
fn is_pci(name: &str) -> bool {
    name.parse::<Address>().is_ok()
        || name.strip_prefix("pci").is_some_and(|rest| format!("{rest}:00.0").parse::<Address>().is_ok())
}
