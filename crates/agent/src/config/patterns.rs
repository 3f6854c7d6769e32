//! `match`: patterns of devices, checked so that a pattern that can match nothing is noticed.

use toml::de::DeValue;

use crate::address::Address;

use super::glob::Glob;
use super::matcher::Matcher;
use super::nearest::hint;
use super::reader::{Reader, Table, begin};

const KEYS: [&str; 4] = ["driver", "id", "slot", "class"];

/// Names of classes, with the patterns of their codes in the PCI code and ID assignment.
const CLASSES: [(&str, &str); 8] = [
    ("storage", "01*"),
    ("nvme", "0108*"),
    ("network", "02*"),
    ("display", "03*"),
    ("audio", "0403*"),
    ("bridge", "06*"),
    ("usb", "0c03*"),
    ("accelerator", "12*"),
];

/// Check of a pattern. Returns the pattern or the error.
type Check = fn(&str) -> Result<Glob, String>;

/// Reads `match` of a rule.
pub(super) fn read(reader: &mut Reader<'_>, rule: Table<'_>) -> Matcher {
    let mut matcher = Matcher::default();
    let why = "say for which devices; match = { slot = \"*\" } is for all";
    let Some(value) = reader.required(rule, "match", why) else { return matcher };
    let Some(table) = reader.table("match", value, &KEYS) else { return matcher };
    let lists: [(&str, &mut Vec<Glob>, Check); 4] = [
        ("driver", &mut matcher.driver, driver),
        ("id", &mut matcher.id, id),
        ("slot", &mut matcher.slot, slot),
        ("class", &mut matcher.class, class),
    ];
    let mut empty = true;
    for (key, list, check) in lists {
        let Some(value) = table.get(key) else { continue };
        empty = false;
        let texts = reader.texts(value, true);
        if texts.is_empty() && matches!(value.get_ref(), DeValue::Array(_)) {
            reader.error(begin(value), format!("no {key} matches an empty list: leave it out"));
        }
        for (text, offset) in texts {
            match check(text) {
                Ok(glob) => list.push(glob),
                Err(problem) => reader.error(offset, problem),
            }
        }
    }
    if empty {
        reader.error(table.offset(), "an empty match is for no device; match = { slot = \"*\" } is for all");
    }
    matcher
}

/// Reads a list of classes.
pub(super) fn classes(reader: &mut Reader<'_>, table: Table<'_>, key: &str) -> Vec<Glob> {
    let mut globs = Vec::new();
    for (text, offset) in table.get(key).map(|value| reader.texts(value, true)).unwrap_or_default() {
        match class(text) {
            Ok(glob) => globs.push(glob),
            Err(problem) => reader.error(offset, problem),
        }
    }
    globs
}

fn driver(text: &str) -> Result<Glob, String> {
    let right = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_*?".contains(&byte));
    if right { Ok(Glob::new(text)) } else { Err(format!("{text:?} is no pattern of a driver's name")) }
}

fn id(text: &str) -> Result<Glob, String> {
    let half = |half: &str| half.contains('*') || half.len() == 4;
    let whole = text.split_once(':').is_some_and(|(vendor, device)| half(vendor) && half(device));
    if is_hex(text, b":*?") && (whole || text == "*") {
        Ok(Glob::new(text))
    } else {
        Err(format!("{text:?} is no pattern of vendor and device; one looks like \"8086:*\""))
    }
}

fn slot(text: &str) -> Result<Glob, String> {
    let pattern = text.contains(['*', '?']);
    let right = if pattern { is_hex(text, b":.*?") } else { text.parse::<Address>().is_ok() };
    if right {
        Ok(Glob::new(text))
    } else {
        Err(format!("{text:?} is no pattern of an address; one looks like \"0000:3?:*\""))
    }
}

fn class(text: &str) -> Result<Glob, String> {
    if let Some((_, code)) = CLASSES.iter().find(|(name, _)| *name == text) {
        return Ok(Glob::new(code));
    }
    if is_hex(text, b"*?") && (text.len() == 6 || (text.contains('*') && text.len() <= 7)) {
        return Ok(Glob::new(text));
    }
    let names: Vec<&str> = CLASSES.iter().map(|(name, _)| *name).collect();
    let hint = hint(text, &names);
    Err(format!("{text:?} is neither a class nor a pattern of six hexadecimal digits; {hint}"))
}

fn is_hex(text: &str, more: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit() || more.contains(&byte))
}
