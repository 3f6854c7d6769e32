//! The link between a function and the port above it.

use core::fmt;

use crate::{find_capability, BusError, CapabilityId, ConfigSpace};

/// State of the link to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// Accesses get through.
    Up {
        /// Speed of each lane.
        speed: LinkSpeed,
        /// Width of the link: 1 to 32 lanes.
        lanes: u8,
    },
    /// Nothing gets through: reads are all-ones and writes are lost. The device may be gone or not.
    Down,
    /// The bus does not say, or not at this moment.
    Unknown,
}

/// Speed of one lane, as PCI Express numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkSpeed(u8);

/// Offset of the link status register in the PCI Express capability.
const LINK_STATUS: u16 = 0x12;

impl LinkSpeed {
    /// 2.5 GT/s, the slowest.
    pub const GEN_1: Self = Self(1);
    /// 5 GT/s.
    pub const GEN_2: Self = Self(2);
    /// 8 GT/s.
    pub const GEN_3: Self = Self(3);
    /// 16 GT/s.
    pub const GEN_4: Self = Self(4);
    /// 32 GT/s.
    pub const GEN_5: Self = Self(5);
    /// 64 GT/s.
    pub const GEN_6: Self = Self(6);

    /// In millions of transfers per second, or `None` if it is newer than this crate.
    pub fn megatransfers(self) -> Option<u32> {
        match self.0 {
            1 => Some(2_500),
            2 => Some(5_000),
            3 => Some(8_000),
            4 => Some(16_000),
            5 => Some(32_000),
            6 => Some(64_000),
            _ => None,
        }
    }
}

impl LinkState {
    /// Decodes a link status register (PCI Express Base 4.0, 7.5.3.8). It is [`Unknown`](Self::Unknown) if it reads all-ones,
    /// or no speed or width: whether a link is down, only a port can say.
    pub fn from_status(status: u16) -> Self {
        let [low, high] = status.to_le_bytes();
        let (speed, lanes) = (low & 0xf, low >> 4 | (high & 3) << 4);
        if speed == 0 || !(1..=32).contains(&lanes) {
            return Self::Unknown;
        }
        Self::Up { speed: LinkSpeed(speed), lanes }
    }

    /// The link as the function itself says in its PCI Express capability: that it is up, or nothing.
    ///
    /// # Errors
    /// Those of [`ConfigSpace::read16`].
    pub fn of_function(config: &(impl ConfigSpace + ?Sized)) -> Result<Self, BusError> {
        match find_capability(config, CapabilityId::PCI_EXPRESS)? {
            Some(at) => Ok(Self::from_status(config.read16(at + LINK_STATUS)?)),
            None => Ok(Self::Unknown),
        }
    }
}

impl fmt::Display for LinkSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.megatransfers() {
            Some(2_500) => f.write_str("2.5 GT/s"),
            Some(megatransfers) => write!(f, "{} GT/s", megatransfers / 1_000),
            None => write!(f, "speed {}", self.0),
        }
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up { speed, lanes } => write!(f, "{speed} x{lanes}"),
            Self::Down => f.write_str("down"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_link_status_register_is_decoded() {
        assert_eq!(LinkState::from_status(0x1011), LinkState::Up { speed: LinkSpeed::GEN_1, lanes: 1 });
        assert_eq!(LinkState::from_status(0x7104).to_string(), "16 GT/s x16");
        assert_eq!(LinkState::from_status(0x0206), LinkState::Up { speed: LinkSpeed::GEN_6, lanes: 32 });
        assert_eq!(LinkState::from_status(0x1011).to_string(), "2.5 GT/s x1");
        assert_eq!(LinkState::from_status(0x0019).to_string(), "speed 9 x1");
    }

    #[test]
    fn health_1_all_ones_and_nonsense_say_nothing() {
        for status in [u16::MAX, 0, 0x0010, 0x0001, 0x03f1] {
            assert_eq!(LinkState::from_status(status), LinkState::Unknown, "{status:#x}");
        }
    }
}
