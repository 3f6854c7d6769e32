//! Conditions: what a plan waits for, and the settings that it puts back.
//!
//! A condition is read from sysfs. The answer of a write is never taken for it: a driver may bind later than the write
//! that asked for it, and another program may have bound it first.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::system::Root;

/// Condition on a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// The function is on the bus.
    Present(Address),
    /// The function is not on the bus.
    Gone(Address),
    /// The function is on the bus and bound to that driver; `None`: to none.
    Driver {
        /// The function.
        function: Address,
        /// Name of the driver.
        driver: Option<String>,
    },
    /// The function accepts only that driver; `None`: any driver that matches.
    Override {
        /// The function.
        function: Address,
        /// Name of the driver.
        driver: Option<String>,
    },
    /// A file of the function reads so.
    Setting {
        /// The function.
        function: Address,
        /// Name of the file in the function's directory.
        file: String,
        /// Text of the file, without white space at its end.
        value: String,
    },
}

/// Returns the path of the function's directory below `/sys`.
pub fn directory(function: Address) -> String {
    format!("bus/pci/devices/{function}")
}

/// Returns the text of `driver_override` as the name of a driver. The kernel writes `(null)` for none.
pub(super) fn override_name(text: &str) -> Option<String> {
    let text = text.trim_end();
    (!text.is_empty() && text != "(null)").then(|| text.to_owned())
}

impl Condition {
    /// Returns the function that the condition is about.
    pub fn function(&self) -> Address {
        match *self {
            Self::Present(function)
            | Self::Gone(function)
            | Self::Driver { function, .. }
            | Self::Override { function, .. }
            | Self::Setting { function, .. } => function,
        }
    }

    /// Tells whether the condition holds now. A file that cannot be read holds no value.
    pub fn holds(&self, sys: &Root) -> bool {
        let directory = directory(self.function());
        let present = sys.exists(&directory);
        match self {
            Self::Present(_) => present,
            Self::Gone(_) => !present,
            Self::Driver { driver, .. } => present && sys.link_name(format!("{directory}/driver")) == *driver,
            Self::Override { driver, .. } => {
                sys.text(format!("{directory}/driver_override")).is_ok_and(|text| override_name(&text) == *driver)
            }
            Self::Setting { file, value, .. } => {
                sys.text(format!("{directory}/{file}")).is_ok_and(|text| text == *value)
            }
        }
    }

    /// Tells whether waiting for the condition is pointless: the function is gone, and nothing brings it back.
    pub fn is_lost(&self, sys: &Root) -> bool {
        !matches!(self, Self::Present(_) | Self::Gone(_)) && !sys.exists(directory(self.function()))
    }

    /// Returns in words how it is instead, for a condition that does not hold.
    pub fn found(&self, sys: &Root) -> String {
        let function = self.function();
        let directory = directory(function);
        if !sys.exists(&directory) {
            return "is gone".to_owned();
        }
        let text = |file: &str| match sys.text(format!("{directory}/{file}")) {
            Ok(text) => format!("is {text:?}"),
            Err(error) => format!("cannot be read: {error}"),
        };
        match self {
            Self::Present(_) | Self::Gone(_) => "is present".to_owned(),
            Self::Driver { .. } => {
                let driver = sys.link_name(format!("{directory}/driver"));
                let hint = if has_homeless_bar(sys, function) {
                    "; a BAR has no address: the window of the bridge is too small, and only removing the bridge too \
                     can widen it"
                } else {
                    ""
                };
                format!("is {}{hint}", driver.as_deref().unwrap_or("none"))
            }
            Self::Override { .. } => text("driver_override"),
            Self::Setting { file, .. } => text(file),
        }
    }
}

/// Flag of a resource that has no address yet (`IORESOURCE_UNSET`).
const UNSET: u64 = 0x2000_0000;
/// Flags of a resource that is a BAR: ports or memory (`IORESOURCE_IO`, `IORESOURCE_MEM`).
const BAR: u64 = 0x100 | 0x200;
/// Number of lines of `resource` that are BARs of a function.
const BARS: usize = 6;

/// Tells whether a BAR of the function has no address, by the file `resource`: begin, end and flags, a line for each.
fn has_homeless_bar(sys: &Root, function: Address) -> bool {
    let Ok(text) = sys.text(format!("{}/resource", directory(function))) else { return false };
    text.lines().take(BARS).any(|line| {
        let mut numbers =
            line.split_whitespace().map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
        let (Some(Some(begin)), Some(Some(_)), Some(Some(flags))) = (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        flags & BAR != 0 && (flags & UNSET != 0 || begin == 0)
    })
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = self.function();
        match self {
            Self::Present(_) => write!(f, "{function} is present"),
            Self::Gone(_) => write!(f, "{function} is gone"),
            Self::Driver { driver: Some(driver), .. } => write!(f, "{function} is bound to {driver}"),
            Self::Driver { driver: None, .. } => write!(f, "{function} has no driver"),
            Self::Override { driver: Some(driver), .. } => write!(f, "{function} accepts only the driver {driver}"),
            Self::Override { driver: None, .. } => write!(f, "{function} accepts any driver"),
            Self::Setting { file, value, .. } => write!(f, "{file} of {function} is {value:?}"),
        }
    }
}
