//! Look at a device that may wait for ever: run in a process of its own.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use rustix::fs::OFlags;

use crate::address::Address;
use crate::sensor::sleep::{self, Wakefulness};
use crate::system::System;

/// Kind of look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// A read of the begin of the configuration space.
    Config,
    /// A read of `gpu_health` of an xe device, which asks the device's firmware (`gpu_health_show` in
    /// `drivers/gpu/drm/xe/xe_ras.c`).
    XeHealth,
}

impl Look {
    /// Returns the name on the command line of the process.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::XeHealth => "xe-health",
        }
    }
}

/// Text that names no kind of look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of look: there are config and xe-health")]
pub struct NoLook(pub String);

impl FromStr for Look {
    type Err = NoLook;

    fn from_str(text: &str) -> Result<Self, NoLook> {
        [Self::Config, Self::XeHealth].into_iter().find(|look| look.name() == text).ok_or_else(|| NoLook(text.into()))
    }
}

/// Answer of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The device answers, and states nothing bad.
    Works,
    /// The configuration space reads all-ones.
    AllOnes,
    /// The health that the driver states is critical. A warning is none: the device works.
    Critical,
    /// There is no such device, or no such file.
    Absent,
    /// Nothing was read, because this function sleeps.
    Asleep(Address),
    /// Nothing is known, and why.
    Unreadable(String),
}

impl Answer {
    /// Returns the line that the process writes.
    pub fn line(&self) -> String {
        format!("{BEGIN}{self}")
    }

    /// Parses the line that the process has written, among others.
    pub fn from_output(output: &str) -> Option<Self> {
        let text = output.lines().find_map(|line| line.strip_prefix(BEGIN))?;
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match word {
            "works" => Self::Works,
            "all-ones" => Self::AllOnes,
            "critical" => Self::Critical,
            "absent" => Self::Absent,
            "asleep" => Self::Asleep(rest.parse().ok()?),
            "unreadable" => Self::Unreadable(rest.into()),
            _ => return None,
        })
    }
}

/// Begin of the line that the process writes.
const BEGIN: &str = "answer: ";

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => write!(f, "works"),
            Self::AllOnes => write!(f, "all-ones"),
            Self::Critical => write!(f, "critical"),
            Self::Absent => write!(f, "absent"),
            Self::Asleep(address) => write!(f, "asleep {address}"),
            Self::Unreadable(why) => write!(f, "unreadable {}", why.replace(char::is_control, " ")),
        }
    }
}

/// Looks at a device. Never wakes one that sleeps, and may wait for ever.
pub fn look(system: &System, look: Look, address: Address) -> Answer {
    match sleep::wakefulness(system, address) {
        Wakefulness::Awake => {}
        Wakefulness::Asleep(function) => return Answer::Asleep(function),
        Wakefulness::Absent => return Answer::Absent,
        Wakefulness::Unreadable(why) => return Answer::Unreadable(why),
    }
    let answer = match look {
        Look::Config => config(system, address),
        Look::XeHealth => xe_health(system, address),
    };
    answer.unwrap_or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Answer::Absent,
        _ => Answer::Unreadable(error.to_string()),
    })
}

/// Reads the first eight bytes of the configuration space: vendor, device, command, status. The files `vendor` and `device` of
/// sysfs are copies from the time of the probe.
fn config(system: &System, address: Address) -> std::io::Result<Answer> {
    let folder = sleep::folder(address);
    let mut header = [0_u8; 8];
    let mut file = system.sys.open_file(format!("{folder}/config"), OFlags::RDONLY)?;
    if let Err(error) = file.read_exact(&mut header) {
        return Ok(Answer::Unreadable(format!("config: {error}")));
    }
    let [vendor_low, vendor_high, device_low, device_high, command_low, command_high, ..] = header;
    // The vendor and the device of a virtual function read all-ones by the specification (SR-IOV, 3.4.1.1 and 3.4.1.2). Bits 11
    // to 15 of its command register are reserved, so all-ones there is no legal value.
    let looked_at: &[u8] = if system.sys.exists(format!("{folder}/physfn")) {
        &[command_low, command_high]
    } else {
        &[vendor_low, vendor_high, device_low, device_high]
    };
    if looked_at.iter().all(|byte| *byte == 0xff) {
        return Ok(Answer::AllOnes);
    }
    // A device that is not ready after a reset answers with this vendor (PCI Express, 2.3.2).
    if [vendor_low, vendor_high, device_low, device_high] == [0x01, 0x00, 0xff, 0xff] {
        return Ok(Answer::Unreadable("the device is not ready after a reset".into()));
    }
    Ok(Answer::Works)
}

fn xe_health(system: &System, address: Address) -> std::io::Result<Answer> {
    let health = system.sys.text(format!("{}/gpu_health", sleep::folder(address)))?;
    Ok(match health.as_str() {
        "ok" | "warning" => Answer::Works,
        "critical" => Answer::Critical,
        other => Answer::Unreadable(format!("gpu_health is {other:?}")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::tree::Tree;
    use super::*;

    const FUNCTION: &str = "0000:03:00.0";
    const WORKING: [u8; 8] = [0x86, 0x80, 0x0c, 0xe2, 0x06, 0x04, 0x10, 0x00];

    fn tree() -> Tree {
        Tree::new().function("0000:00:1c.0", None).function(FUNCTION, Some("0000:00:1c.0"))
    }

    fn config_of(bytes: &[u8]) -> Answer {
        let tree = tree();
        tree.write("0000:03:00.0/config", bytes);
        look(&tree.system(), Look::Config, FUNCTION.parse().unwrap())
    }

    #[test]
    fn all_ones_is_told_from_an_answer() {
        assert_eq!(config_of(&WORKING), Answer::Works);
        assert_eq!(config_of(&[0xff; 64]), Answer::AllOnes);
        assert!(matches!(config_of(&[0x01, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Answer::Unreadable(_)));
        for short in [0, 1, 4, 7] {
            assert!(matches!(config_of(&vec![0xff; short]), Answer::Unreadable(_)), "{short} bytes prove nothing");
        }
    }

    #[test]
    fn a_virtual_function_is_judged_by_its_command_register() {
        let tree = tree();
        std::os::unix::fs::symlink("../0000:03:00.0", tree.file("0000:03:00.0/physfn")).unwrap();
        let looked = |bytes: &[u8]| {
            tree.write("0000:03:00.0/config", bytes);
            look(&tree.system(), Look::Config, FUNCTION.parse().unwrap())
        };
        assert_eq!(looked(&[0xff, 0xff, 0xff, 0xff, 0x04, 0x00, 0x10, 0x00]), Answer::Works);
        assert_eq!(looked(&[0xff; 8]), Answer::AllOnes);
    }

    #[test]
    fn agent_22_the_configuration_space_of_a_device_that_sleeps_is_not_read() {
        let tree = tree();
        tree.write("0000:03:00.0/config", &[0xff; 64]);
        tree.write("0000:00:1c.0/power/runtime_status", b"suspended\n");
        let answer = look(&tree.system(), Look::Config, FUNCTION.parse().unwrap());
        assert_eq!(answer, Answer::Asleep("0000:00:1c.0".parse().unwrap()));
    }

    #[test]
    fn the_health_of_an_xe_device_counts_if_it_is_critical() {
        let tree = tree();
        let looked = || look(&tree.system(), Look::XeHealth, FUNCTION.parse().unwrap());
        assert_eq!(looked(), Answer::Absent);
        for (health, answer) in [("ok", Answer::Works), ("warning", Answer::Works), ("critical", Answer::Critical)] {
            tree.write("0000:03:00.0/gpu_health", format!("{health}\n").as_bytes());
            assert_eq!(looked(), answer);
        }
        tree.write("0000:03:00.0/gpu_health", b"odd\n");
        assert!(matches!(looked(), Answer::Unreadable(_)));
    }

    #[test]
    fn answers_come_back_from_the_output_of_a_process() {
        for answer in [
            Answer::Works,
            Answer::AllOnes,
            Answer::Critical,
            Answer::Absent,
            Answer::Asleep(FUNCTION.parse().unwrap()),
            Answer::Unreadable("why not".into()),
        ] {
            assert_eq!(Answer::from_output(&format!("noise\n{}\nnoise\n", answer.line())), Some(answer));
        }
        assert_eq!(Answer::from_output("works\n"), None);
    }

    proptest! {
        #[test]
        fn no_output_panics(output in "\\PC{0,60}", odd in "answer: [a-z-]{0,12} ?\\PC{0,20}") {
            let _ = (Answer::from_output(&output), Answer::from_output(&odd));
        }
    }
}
