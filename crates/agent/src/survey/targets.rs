//! Targets: the function that a device number, a path or a descriptor belongs to.
//!
//! A number is certain, a path is not: a node can have any name, and a name in a container can be the node of
//! another device. So a path counts only where the number cannot be had.

use std::collections::HashMap;
use std::io;

use crate::address::Address;
use crate::inventory::block::Stack;
use crate::inventory::bus::Inventory;
use crate::inventory::function::Function;
use crate::inventory::node;
use crate::system::{DeviceNumber, System};

/// Major number of graphics nodes.
const DRM_MAJOR: u32 = 226;
/// Major number of nodes of accelerators.
const ACCEL_MAJOR: u32 = 261;
/// Major number of the nodes of NVIDIA's driver, which has none in sysfs.
const NVIDIA_MAJOR: u32 = 195;

/// Kind of use that a node gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Any other use.
    Plain,
    /// A primary node of graphics: it can show pictures.
    Primary,
    /// The device is given away by VFIO.
    Vfio,
}

/// Function that something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Address of the function.
    pub address: Address,
    /// Kind of use.
    pub kind: Kind,
}

/// Number of an open file, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// The file is this device.
    Device(DeviceNumber),
    /// The file is no device.
    None,
    /// The number could not be read.
    Untold,
}

/// Answer to a question for a target.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The functions that the file belongs to. Empty: none.
    Functions(&'a [Target]),
    /// The kernel's notes on the descriptor may tell.
    AskKernel,
}

/// Numbers and paths of all functions.
#[derive(Debug, Default)]
pub struct Targets {
    numbers: HashMap<DeviceNumber, Vec<Target>>,
    names: HashMap<String, Vec<Target>>,
    folders: HashMap<String, [Target; 1]>,
}

impl Targets {
    /// Collects the numbers and paths of all functions.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn read(system: &System, inventory: &Inventory) -> io::Result<Self> {
        let mut targets = Self::default();
        for function in inventory.functions() {
            targets.add(system, function)?;
        }
        Ok(targets)
    }

    fn add(&mut self, system: &System, function: &Function) -> io::Result<()> {
        let address = function.address;
        self.folders.insert(function.topology.path.clone(), [Target { address, kind: Kind::Plain }]);
        for node in &function.below.nodes {
            let kind = match node.subsystem.as_str() {
                "drm" if node.name.starts_with("dri/card") => Kind::Primary,
                "vfio-dev" => Kind::Vfio,
                _ => Kind::Plain,
            };
            self.insert(node.number, &node.name, Target { address, kind });
        }
        for (number, names) in &Stack::read(system, function)?.devices {
            for name in names {
                self.insert(*number, name, Target { address, kind: Kind::Plain });
            }
        }
        let own_group = function.iommu_group.iter();
        for group in own_group.chain(&function.below.groups) {
            for name in [group.clone(), format!("noiommu-{group}")] {
                if let Some(number) = node::number(system, &format!("class/vfio/{name}"), false)? {
                    self.insert(number, &format!("vfio/{name}"), Target { address, kind: Kind::Vfio });
                }
            }
        }
        if let Some(minor) = nvidia_minor(system, address)? {
            let number = DeviceNumber { block: false, major: NVIDIA_MAJOR, minor };
            self.insert(number, &format!("nvidia{minor}"), Target { address, kind: Kind::Plain });
        }
        Ok(())
    }

    fn insert(&mut self, number: DeviceNumber, name: &str, target: Target) {
        let lists = [self.numbers.entry(number).or_default(), self.names.entry(name.to_owned()).or_default()];
        for list in lists {
            if !list.contains(&target) {
                list.push(target);
            }
        }
    }

    /// Finds the functions of a file, by its number or, if that is untold, by its path.
    pub fn of_file(&self, number: Number, path: &str) -> Answer<'_> {
        match number {
            Number::Device(number) => match self.numbers.get(&number) {
                Some(functions) => Answer::Functions(functions),
                // The node of a driver that has been unbound, or of a device that is gone.
                None if is_graphics(number) => Answer::AskKernel,
                None => Answer::Functions(&[]),
            },
            Number::None => self.of_plain_file(path),
            Number::Untold => {
                let path = path.strip_suffix(" (deleted)").unwrap_or(path);
                match path.strip_prefix("/dev/").and_then(|name| self.names.get(name)) {
                    Some(functions) => Answer::Functions(functions),
                    None if path.starts_with("/sys/") => self.of_plain_file(path),
                    None => Answer::AskKernel,
                }
            }
        }
    }

    /// Finds the function of a file that is no device: registers in sysfs, or VFIO's own files.
    fn of_plain_file(&self, path: &str) -> Answer<'_> {
        if path.starts_with("anon_inode:") && path.contains("vfio-device") {
            return Answer::AskKernel;
        }
        let registers = path.strip_prefix("/sys/").and_then(|path| path.rsplit_once('/'));
        let functions = registers
            .filter(|(_, file)| file.starts_with("resource"))
            .and_then(|(folder, _)| self.folders.get(folder))
            .map(<[Target; 1]>::as_slice);
        Answer::Functions(functions.unwrap_or_default())
    }

    /// Finds the function that the kernel's notes on a descriptor name: `/proc/PID/fdinfo/N`.
    pub fn of_notes(&self, notes: &str) -> Option<Target> {
        notes.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            let (address, kind) = match key {
                "drm-pdev" => (value.trim().parse::<Address>().ok()?, Kind::Plain),
                "vfio-device-syspath" => (value.trim().rsplit('/').next()?.parse::<Address>().ok()?, Kind::Vfio),
                _ => return None,
            };
            let known = self.folders.values().flatten().any(|target| target.address == address);
            known.then_some(Target { address, kind })
        })
    }
}

/// Tells whether a number belongs to graphics or accelerators, of a device that is there or was.
pub fn is_graphics(number: DeviceNumber) -> bool {
    !number.block && (number.major == DRM_MAJOR || number.major == ACCEL_MAJOR)
}

/// Reads the minor number that NVIDIA's driver gives to a function.
fn nvidia_minor(system: &System, address: Address) -> io::Result<Option<u32>> {
    match system.proc.text(format!("driver/nvidia/gpus/{address}/information")) {
        Ok(text) => {
            let minor = text.lines().find_map(|line| line.strip_prefix("Device Minor:"));
            Ok(minor.and_then(|minor| minor.trim().parse().ok()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
