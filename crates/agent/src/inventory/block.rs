//! Block devices of a function, and those that are built on them: partitions, device mapper, md, `NVMe` multipath.

use std::collections::BTreeMap;
use std::io;

use crate::inventory::function::Function;
use crate::inventory::node::{self, Node};
use crate::system::{DeviceNumber, System};

/// Block devices that need a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack {
    /// Number of each device to its names below `/dev`.
    pub devices: BTreeMap<DeviceNumber, Vec<String>>,
}

impl Stack {
    /// Reads the block devices of a function and everything that is built on them.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn read(system: &System, function: &Function) -> io::Result<Self> {
        let mut stack = Self::default();
        let own = function.below.nodes.iter().filter(|node| node.number.block);
        let mut pending: Vec<Node> = own.cloned().collect();
        for controller in function.below.class("nvme") {
            pending.extend(heads(system, controller)?);
        }
        while let Some(Node { number, name, path, .. }) = pending.pop() {
            if stack.devices.contains_key(&number) {
                continue;
            }
            let mut names = vec![name];
            names.extend(system.sys.text(format!("{path}/dm/name")).ok().map(|name| format!("mapper/{name}")));
            stack.devices.insert(number, names);
            for upper in list(system, &format!("{path}/holders"))? {
                let path = format!("class/block/{upper}");
                if let Some(number) = node::number(system, &path, true)? {
                    pending.extend(partitions(system, &path, &upper)?);
                    pending.push(Node { number, name: upper, subsystem: "block".into(), path });
                }
            }
        }
        Ok(stack)
    }

    /// Tells whether one of the devices has that name below `/dev`.
    pub fn has_name(&self, name: &str) -> bool {
        self.devices.values().flatten().any(|own| own == name)
    }

    /// Tells whether one of the devices has that number.
    pub fn has_number(&self, major: u32, minor: u32) -> bool {
        self.devices.contains_key(&DeviceNumber { block: true, major, minor })
    }
}

/// Reads the partitions of a block device.
fn partitions(system: &System, path: &str, disk: &str) -> io::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for name in system.sys.folders(path)?.into_iter().filter(|name| name.starts_with(disk)) {
        let path = format!("{path}/{name}");
        if let Some(number) = node::number(system, &path, true)? {
            nodes.push(Node { number, name, subsystem: "block".into(), path });
        }
    }
    Ok(nodes)
}

/// Reads the disks of `NVMe` multipath that a controller serves: they are below no PCI function.
fn heads(system: &System, controller: &str) -> io::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for subsystem in list(system, "class/nvme-subsystem")? {
        let path = format!("class/nvme-subsystem/{subsystem}");
        if !system.sys.exists(format!("{path}/{controller}")) {
            continue;
        }
        for name in system.sys.folders(&path)? {
            let path = format!("{path}/{name}");
            if let Some(number) = node::number(system, &path, true)? {
                nodes.extend(partitions(system, &path, &name)?);
                nodes.push(Node { number, name, subsystem: "block".into(), path });
            }
        }
    }
    Ok(nodes)
}

/// Lists a directory. One that is not there is empty.
fn list(system: &System, path: &str) -> io::Result<Vec<String>> {
    match system.sys.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}
