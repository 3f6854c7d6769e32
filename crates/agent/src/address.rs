//! Address of a PCI function: where it is on the bus, and no more. The function there may be another one tomorrow.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Address of a PCI function, as sysfs writes it: `0000:03:00.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// Domain (segment) of the bus. Hosts of virtual machines and some controllers have numbers beyond 16 bits.
    pub domain: u32,
    /// Bus.
    pub bus: u8,
    /// Device (slot), 0 to 31.
    pub device: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

/// Text that is no address of a PCI function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of a PCI function; one looks like 0000:03:00.0")]
pub struct NoAddress(pub String);

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        parse(text).ok_or_else(|| NoAddress(text.into()))
    }
}

impl TryFrom<String> for Address {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Self, NoAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

fn parse(text: &str) -> Option<Address> {
    // `from_str_radix` takes a sign, sysfs writes none.
    let hex = |digits: &str| {
        digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then_some(())
            .and_then(|()| u32::from_str_radix(digits, 16).ok())
    };
    let (domain, rest) = text.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let widths = domain.len() >= 4 && bus.len() == 2 && device.len() == 2 && function.len() == 1;
    let address = Address {
        domain: hex(domain)?,
        bus: u8::try_from(hex(bus)?).ok()?,
        device: u8::try_from(hex(device)?).ok()?,
        function: u8::try_from(hex(function)?).ok()?,
    };
    (widths && address.device < 32 && address.function < 8).then_some(address)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_sysfs_writes_it() {
        for text in ["0000:03:00.0", "0000:ff:1f.7", "10000:e1:00.0"] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "03:00.0",
            "0000:03:20.0",
            "0000:03:00.8",
            "0000:3:00.0",
            "0000:+3:00.0",
            "0000:03:00.0 ",
            "0000:03:00",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NoAddress(text.into())));
        }
    }
}
