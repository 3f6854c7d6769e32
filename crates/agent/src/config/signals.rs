//! `signals`: the signs that count, and how often each must be seen.

use lifeboat_recovery_policy::policy::{Signals, Threshold};
use toml::de::DeValue;

use super::reader::{Reader, Table, Value, begin};

const KEYS: [&str; 6] = ["wedged", "pci-failed", "all-ones", "state", "xid", "log"];
/// Largest number of sightings: more would take longer than anybody waits.
const MOST: u32 = 1000;

/// Reads the table `signals`. Signs that it does not name keep their thresholds.
pub(super) fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Signals {
    let mut signals = Signals::default();
    let Some(table) = reader.table("signals", value, &KEYS) else { return signals };
    let thresholds = [
        ("wedged", &mut signals.wedged),
        ("pci-failed", &mut signals.pci_failed),
        ("all-ones", &mut signals.all_ones),
        ("state", &mut signals.state),
    ];
    let mut counts = false;
    for (key, threshold) in thresholds {
        if let Some(read) = table.get(key).and_then(|value| read_threshold(reader, value, *threshold)) {
            *threshold = read;
        }
        counts |= threshold.times > 0;
    }
    signals.log = read_faults(reader, table);
    if !counts && signals.log.is_empty() {
        reader.warn(table.offset(), "no sign counts: the steps of this rule are never taken");
    }
    signals
}

/// Reads a threshold: a number, or `{ times, within }`, or `{ times, every }`.
///
/// `every` is the time between sightings: as many of them as `times` must lie within that many times `every`.
fn read_threshold(reader: &mut Reader<'_>, value: &Value<'_>, default: Threshold) -> Option<Threshold> {
    let (times, within) = if let DeValue::Table(_) = value.get_ref() {
        let table = reader.table("a threshold", value, &["times", "within", "every"])?;
        let times = reader.required(table, "times", "say how often the sign must be seen")?;
        let times = reader.number(times, 0..=MOST)?;
        let within = match (table.get("within"), table.get("every")) {
            (Some(_), Some(every)) => {
                reader.error(begin(every), "\"within\" and \"every\" say the same: give one of them");
                return None;
            }
            (Some(within), None) => Some(reader.time(within, false)?),
            (None, Some(every)) => Some(reader.time(every, false)?.saturating_mul(times.max(1))),
            (None, None) => None,
        };
        (times, within)
    } else {
        (reader.number(value, 0..=MOST)?, None)
    };
    let within = match within {
        _ if times == 0 => return Some(Threshold::NEVER),
        Some(within) => within,
        None if times == 1 || default.times > 1 => default.within,
        None => {
            let right = format!("{{ times = {times}, within = \"1m\" }}");
            reader.error(begin(value), format!("say within which time {times} sightings must lie: {right}"));
            return None;
        }
    };
    Some(Threshold { times, within })
}

/// Reads `xid` and `log`: faults of the kernel's log, as family and code.
fn read_faults(reader: &mut Reader<'_>, table: Table<'_>) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    if let Some(value) = table.get("xid") {
        for code in reader.list(value, "a list of numbers").unwrap_or_default() {
            if let Some(code) = reader.number(code, 0..=u32::from(u16::MAX)) {
                faults.push(("xid".to_owned(), code.to_string()));
            }
        }
    }
    for (text, offset) in table.get("log").map(|value| reader.texts(value, false)).unwrap_or_default() {
        match text.split_once('/') {
            Some((family, code)) if !family.is_empty() && !code.is_empty() => {
                faults.push((family.to_owned(), code.to_owned()));
            }
            _ => reader.error(offset, format!("{text:?} names no fault; one looks like \"amdgpu/reset-failed\"")),
        }
    }
    faults
}
