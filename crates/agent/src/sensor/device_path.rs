//! PCI functions in a path of sysfs, such as `/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/drm/card0`.

use crate::address::Address;

/// Returns the PCI functions on the way to a device, from the root of the bus to the device.
pub fn functions(path: &str) -> impl DoubleEndedIterator<Item = Address> {
    path.split('/').filter_map(|component| component.parse().ok())
}

/// Returns the PCI function that a device belongs to: the last one in the path.
pub fn function(path: &str) -> Option<Address> {
    functions(path).next_back()
}

/// Returns the components of the path below the function that [`function`] returns.
pub fn below_function(path: &str) -> Option<Vec<&str>> {
    let components: Vec<&str> = path.split('/').collect();
    let function = components.iter().rposition(|component| component.parse::<Address>().is_ok())?;
    Some(components.into_iter().skip(function + 1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEHIND_BRIDGES: &str = "/devices/pci0000:00/0000:00:1c.0/10000:e1:00.0/drm/card12";

    #[test]
    fn a_device_belongs_to_the_last_function_of_its_path() {
        assert_eq!(function(BEHIND_BRIDGES).map(|address| address.to_string()).as_deref(), Some("10000:e1:00.0"));
        assert_eq!(below_function(BEHIND_BRIDGES), Some(vec!["drm", "card12"]));
        assert_eq!(function("/devices/pci0000:00"), None);
        assert_eq!(below_function("/devices/virtual/net/lo"), None);
    }

    #[test]
    fn functions_are_listed_from_the_root() {
        let found: Vec<String> = functions(BEHIND_BRIDGES).map(|address| address.to_string()).collect();
        assert_eq!(found, ["0000:00:1c.0", "10000:e1:00.0"]);
    }
}
