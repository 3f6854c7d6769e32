//! Matcher: the devices that a rule is for.

use serde::{Deserialize, Serialize};

use super::glob::Glob;

/// Properties of a device that rules are chosen by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Driver that the device is bound to, or was bound to before it was lost.
    pub driver: Option<String>,
    /// Vendor and device, such as `8086:56c0`.
    pub id: String,
    /// Address, such as `0000:03:00.0`.
    pub slot: String,
    /// Class code of 24 bits, such as `0x03_0000`.
    pub class: u32,
}

/// Patterns of a rule. Each list that is not empty must have a pattern that matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Matcher {
    /// Patterns of the driver's name.
    pub driver: Vec<Glob>,
    /// Patterns of vendor and device.
    pub id: Vec<Glob>,
    /// Patterns of the address.
    pub slot: Vec<Glob>,
    /// Patterns of the class code as six hexadecimal digits.
    pub class: Vec<Glob>,
}

impl Matcher {
    /// Returns the reason for which the rule is not for the device: `None` if it is.
    pub fn why_not(&self, subject: &Subject) -> Option<String> {
        let class = format!("{:06x}", subject.class & 0xff_ffff);
        let parts = [
            ("driver", subject.driver.as_deref(), &self.driver),
            ("id", Some(subject.id.as_str()), &self.id),
            ("slot", Some(subject.slot.as_str()), &self.slot),
            ("class", Some(class.as_str()), &self.class),
        ];
        let reasons = parts.iter().filter_map(|(name, found, globs)| {
            let fits = globs.is_empty() || found.is_some_and(|found| globs.iter().any(|glob| glob.matches(found)));
            let wanted = || globs.iter().map(Glob::to_string).collect::<Vec<_>>().join(" or ");
            (!fits).then(|| format!("{name} is {}, and not {}", found.unwrap_or("unknown"), wanted()))
        });
        let reasons: Vec<String> = reasons.collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Tells whether the patterns surely match each device that `other` matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let any = [Glob::new("*")];
        // A pattern of a driver does not match a device without one, so `*` is less than no pattern there.
        let lists = [
            (&self.driver, other.driver.as_slice(), [].as_slice()),
            (&self.id, &other.id, &any),
            (&self.slot, &other.slot, &any),
            (&self.class, &other.class, &any),
        ];
        lists.iter().all(|(ours, theirs, none)| {
            let theirs = if theirs.is_empty() { none } else { theirs };
            let covered = |theirs: &Glob| ours.iter().any(|ours| ours.covers(theirs));
            ours.is_empty() || (!theirs.is_empty() && theirs.iter().all(covered))
        })
    }
}
