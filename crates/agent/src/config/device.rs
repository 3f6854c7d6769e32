//! `[[device]]`: a rule for devices.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_recovery_policy::policy::{Budget, HolderRules, Policy, Unknown, VerifyRules};
use lifeboat_recovery_policy::survey::Protection;

use super::glob::Glob;
use super::problem::Problem;
use super::reader::{Reader, Table, Value, begin};
use super::rule::{Rule, Verify};
use super::{patterns, signals, steps};

const KEYS: [&str; 14] = [
    "name",
    "match",
    "unless",
    "signals",
    "boot_grace",
    "holders",
    "step",
    "unknown",
    "verify",
    "budget",
    "evidence",
    "kernel",
    "approval",
    "recheck",
];
/// Longest name of a rule in bytes: names stand in tables and in log lines.
const LONGEST_NAME: usize = 64;
/// Largest number of recoveries within the budget's time.
const MOST_ATTEMPTS: u32 = 100;

/// Names of the rules for unknown signs.
pub(super) const UNKNOWN: [(&str, Unknown); 2] = [("hold", Unknown::Hold), ("ladder", Unknown::Ladder)];

/// Rule that still lacks the machine's defaults.
pub(super) struct Draft {
    /// The rule.
    pub(super) rule: Rule,
    /// Rule for unknown signs, if the rule has one of its own.
    pub(super) unknown: Option<Unknown>,
    /// Warnings about the rule.
    pub(super) warnings: Vec<Problem>,
}

/// Reads a rule. `None` if it has no name: the errors say so.
pub(super) fn read(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Draft> {
    let table = reader.table("[[device]]", value, &KEYS)?;
    let name = read_name(reader, table);
    let matcher = patterns::read(reader, table);
    let mut policy = Policy { waived: read_waived(reader, table), ..Policy::default() };
    if let Some(value) = table.get("signals") {
        policy.signals = signals::read(reader, value);
    }
    let (steps, extras) = steps::read(reader, table);
    policy.steps = steps;
    let (holders, never) = read_holders(reader, table);
    policy.holders = holders;
    let (verify_rules, verify) = read_verify(reader, table);
    policy.verify = verify_rules;
    if let Some(value) = table.get("budget") {
        policy.budget = read_budget(reader, value);
    }
    let unknown = table.get("unknown").and_then(|value| reader.choice("rule for unknown signs", value, &UNKNOWN));
    read_time(reader, table, "boot_grace", true, &mut policy.boot_grace);
    read_time(reader, table, "evidence", false, &mut policy.evidence);
    read_time(reader, table, "kernel", false, &mut policy.kernel);
    read_time(reader, table, "approval", false, &mut policy.approval);
    read_time(reader, table, "recheck", false, &mut policy.recheck);
    let warnings = std::mem::take(&mut reader.warnings);
    policy.name = name?;
    let place = reader.place(table.offset());
    Some(Draft { rule: Rule { place, matcher, policy, never, extras, verify }, unknown, warnings })
}

fn read_time(reader: &mut Reader<'_>, table: Table<'_>, key: &str, zero: bool, time: &mut Duration) {
    if let Some(read) = table.get(key).and_then(|value| reader.time(value, zero)) {
        *time = read;
    }
}

fn read_name(reader: &mut Reader<'_>, table: Table<'_>) -> Option<String> {
    let value = reader.required(table, "name", "a later file replaces the rule by its name")?;
    let name = reader.text(value)?;
    let right = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(right) {
        let form = "a name has 1 to 64 letters, digits, \"-\", \"_\" or \".\"";
        reader.error(begin(value), format!("{name:?} is no name: {form}"));
        return None;
    }
    Some(name.to_owned())
}

/// Reads `unless`: the protections that hold. The others are waived.
fn read_waived(reader: &mut Reader<'_>, table: Table<'_>) -> Vec<Protection> {
    let Some(value) = table.get("unless") else { return Vec::new() };
    let Some(values) = reader.list(value, "a list of protections") else { return Vec::new() };
    let names = Protection::ALL.map(|protection| (protection.name(), protection));
    let read = |value| reader.choice("protection", value, &names);
    let held: Vec<Option<Protection>> = values.iter().map(read).collect();
    // With a wrong name in the list, what is waived cannot be told.
    let Some(held) = held.into_iter().collect::<Option<Vec<_>>>() else { return Vec::new() };
    let waived: Vec<Protection> = Protection::ALL.into_iter().filter(|protection| !held.contains(protection)).collect();
    if !waived.is_empty() {
        let names: Vec<&str> = waived.iter().map(|protection| protection.name()).collect();
        let text = format!("waived: {}. Steps are taken although the device has such a duty", names.join(", "));
        reader.warn(begin(value), text);
    }
    waived
}

fn read_holders(reader: &mut Reader<'_>, table: Table<'_>) -> (HolderRules, Vec<Glob>) {
    let mut rules = HolderRules::default();
    let mut never = Vec::new();
    let keys = ["notify", "wait", "end", "never"];
    let Some(table) = reader.table_at(table, "holders", "[device.holders]", &keys) else { return (rules, never) };
    if let Some(notify) = table.get("notify").and_then(|value| reader.flag(value)) {
        rules.notify = notify;
    }
    read_time(reader, table, "wait", true, &mut rules.wait);
    if let Some(end) = reader.table_at(table, "end", "end", &["term", "kill"]) {
        rules.term = end.get("term").and_then(|value| time_or_false(reader, value));
        rules.kill = end.get("kill").and_then(|value| time_or_false(reader, value));
        if rules.kill.is_some() && rules.term.is_none() {
            reader.error(end.offset(), "\"kill\" needs a \"term\": a process is asked to end before it is killed");
        }
    }
    for (text, offset) in table.get("never").map(|value| reader.texts(value, false)).unwrap_or_default() {
        if text.trim().is_empty() {
            reader.error(offset, "the name is empty");
        }
        never.push(Glob::new(text));
    }
    (rules, never)
}

fn time_or_false(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Duration> {
    match value.get_ref().as_bool() {
        Some(false) => None,
        Some(true) => {
            reader.error(begin(value), "say how long the process has, such as \"30s\", or false");
            None
        }
        None => reader.time(value, false),
    }
}

fn read_verify(reader: &mut Reader<'_>, table: Table<'_>) -> (VerifyRules, Verify) {
    let (mut rules, mut verify) = (VerifyRules::default(), Verify::default());
    let keys = ["node", "probe", "alive_for", "deadline"];
    let Some(table) = reader.table_at(table, "verify", "[device.verify]", &keys) else { return (rules, verify) };
    if let Some(node) = table.get("node").and_then(|value| reader.flag(value)) {
        verify.node = node;
    }
    if let Some(value) = table.get("probe") {
        match reader.text(value) {
            Some(path) if Path::new(path).is_absolute() => verify.probe = Some(PathBuf::from(path)),
            Some(path) => reader.error(begin(value), format!("{path:?} is no absolute path")),
            None => {}
        }
    }
    read_time(reader, table, "alive_for", true, &mut rules.alive_for);
    read_time(reader, table, "deadline", false, &mut rules.deadline);
    (rules, verify)
}

fn read_budget(reader: &mut Reader<'_>, value: &Value<'_>) -> Budget {
    let mut budget = Budget::default();
    let keys = ["attempts", "per", "backoff", "then"];
    let Some(table) = reader.table("[device.budget]", value, &keys) else { return budget };
    if let Some(attempts) = table.get("attempts").and_then(|value| reader.number(value, 1..=MOST_ATTEMPTS)) {
        budget.attempts = attempts;
    }
    read_time(reader, table, "per", false, &mut budget.per);
    if let Some(value) = table.get("then") {
        reader.choice("end of a budget", value, &[("quarantine", ())]);
    }
    let Some(value) = table.get("backoff") else { return budget };
    let Some(values) = reader.list(value, "a list of times") else { return budget };
    let times: Vec<Option<Duration>> = values.iter().map(|value| reader.time(value, true)).collect();
    let Some(backoff) = times.into_iter().collect::<Option<Vec<_>>>() else { return budget };
    budget.backoff = backoff;
    let waits = usize::try_from(budget.attempts - 1).unwrap_or(usize::MAX);
    if let Some(unused) = values.get(waits) {
        let text = format!("with {} attempts, this and later entries of the back-off are never used", budget.attempts);
        reader.warn(begin(unused), text);
    }
    // The last entry holds for all later attempts.
    let last = budget.backoff.last().copied().unwrap_or_default();
    let given: Duration = budget.backoff.iter().take(waits).sum();
    let rest = u32::try_from(waits.saturating_sub(budget.backoff.len())).unwrap_or(u32::MAX);
    if given.saturating_add(last.saturating_mul(rest)) >= budget.per {
        let per = humantime::format_duration(budget.per);
        let text = format!("the back-off alone takes {per}: {} attempts are never used up", budget.attempts);
        reader.warn(begin(value), text);
    }
    budget
}
