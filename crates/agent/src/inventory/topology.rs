//! Place of a function in the tree of bridges, as its path in sysfs states it.

use std::path::{Component, Path};

use crate::address::Address;

/// Place of a function in the tree of bridges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// Directory of the function below `/sys`: `devices/pci0000:00/0000:00:01.0/0000:01:00.0`.
    pub path: String,
    /// Functions above this one, from the root on. Not all need be bridges: a controller can have a bus of its own.
    pub ancestors: Vec<Address>,
    /// Bridge right above the function. `None` on a root bus.
    pub bridge: Option<Address>,
}

impl Topology {
    /// Reads the place out of the target of a link in `bus/pci/devices`: `../../../devices/pci0000:00/0000:00:01.0`.
    /// `None` if the target does not lead to a directory of a function.
    pub fn of_link(target: &Path) -> Option<Self> {
        let parts: Vec<&str> = target
            .components()
            .filter_map(|component| match component {
                Component::Normal(part) => Some(part.to_str()),
                _ => None,
            })
            .collect::<Option<_>>()?;
        let (name, above) = parts.split_last()?;
        name.parse::<Address>().ok()?;
        Some(Self {
            path: parts.join("/"),
            ancestors: above.iter().filter_map(|part| part.parse().ok()).collect(),
            bridge: above.last().and_then(|part| part.parse().ok()),
        })
    }

    /// Describes the place without the numbers of buses below the root, which another device may shift:
    /// `pci0000:00/01.0/00.0`.
    pub fn route(&self) -> String {
        let parts = self.path.split('/').filter_map(|part| match part.parse::<Address>() {
            Ok(address) => Some(format!("{:02x}.{:x}", address.device, address.function)),
            Err(_) => part.starts_with("pci").then(|| part.to_owned()),
        });
        parts.collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_behind_a_bridge() {
        let topology = Topology::of_link(Path::new("../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0")).unwrap();
        assert_eq!(topology.path, "devices/pci0000:00/0000:00:01.0/0000:01:00.0");
        assert_eq!(topology.bridge, "0000:00:01.0".parse().ok());
        assert_eq!(topology.route(), "pci0000:00/01.0/00.0");
    }

    #[test]
    fn a_controller_with_a_bus_of_its_own_is_above_and_no_bridge() {
        let target = "../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0";
        let topology = Topology::of_link(Path::new(target)).unwrap();
        assert_eq!(topology.ancestors, ["0000:00:0e.0".parse().unwrap()]);
        assert_eq!(topology.bridge, None);
        assert_eq!(topology.route(), "pci0000:00/0e.0/pci10000:e0/06.0");
    }

    #[test]
    fn other_links_are_no_place() {
        assert_eq!(Topology::of_link(Path::new("../../../devices/virtual/net/lo")), None);
        assert_eq!(Topology::of_link(Path::new("")), None);
    }
}
