//! `[[device.step]]`: the ladder.

use std::path::Path;
use std::time::Duration;

use lifeboat_recovery_policy::policy::{Step, StepKind};

use super::patterns::classes;
use super::reader::{Reader, Table, Value, begin};
use super::rule::StepExtras;

const KEYS: [&str; 8] = ["do", "tries", "deadline", "with", "require", "case", "run", "confirm"];
/// Largest number of tries of a step: a step that failed so often will not help.
const MOST_TRIES: u32 = 10;
/// Time that the kernel may take for one reset method (`pci_dev_wait` waits for the device that long).
const RESET: Duration = Duration::from_mins(1);
/// Time for steps of the kernel, if the rule gives none: several reset methods, one after the other.
const DEADLINE: Duration = Duration::from_mins(5);
/// Time for programs, if the rule gives none: firmware is written.
const VENDOR_DEADLINE: Duration = Duration::from_mins(30);

/// Reads the steps of a rule.
pub(super) fn read(reader: &mut Reader<'_>, rule: Table<'_>) -> (Vec<Step>, Vec<StepExtras>) {
    let Some(value) = rule.get("step") else { return (Vec::new(), Vec::new()) };
    let mut steps: Vec<Step> = Vec::new();
    let mut extras = Vec::new();
    for value in reader.list(value, "a list of tables [[device.step]]").unwrap_or_default() {
        let Some((step, extra)) = read_step(reader, value) else { continue };
        if step.kind != StepKind::Vendor {
            // A vendor's step has no place in the order: its effects are not known.
            let before = steps.iter().rev().find(|before| before.kind != StepKind::Vendor);
            match before {
                Some(before) if before.kind == step.kind => {
                    let text = format!("the step {:?} follows itself; \"tries\" says this better", step.kind.name());
                    reader.warn(begin(value), text);
                }
                Some(before) if before.kind > step.kind => {
                    let (less, more) = (step.kind.name(), before.kind.name());
                    reader.warn(begin(value), format!("{less:?} has fewer side effects than {more:?} and comes later"));
                }
                _ => {}
            }
        }
        steps.push(step);
        extras.push(extra);
    }
    (steps, extras)
}

fn read_step(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<(Step, StepExtras)> {
    let table = reader.table("[[device.step]]", value, &KEYS)?;
    let kinds = StepKind::ALL.map(|kind| (kind.name(), kind));
    let kind = reader.required(table, "do", "say which step").and_then(|value| reader.choice("step", value, &kinds));
    // The other keys are read even if the step is unknown: all errors are found.
    let tries = table.get("tries").and_then(|value| reader.number(value, 1..=MOST_TRIES)).unwrap_or(1);
    let deadline = table.get("deadline").and_then(|value| Some((reader.time(value, false)?, begin(value))));
    let confirm = table.get("confirm").and_then(|value| reader.flag(value)).unwrap_or(false);
    let with = classes(reader, table, "with");
    let kind = kind?;
    allowed(reader, table, kind);
    let (case, run) = if kind == StepKind::Vendor { read_program(reader, table) } else { Default::default() };
    let default = if kind == StepKind::Vendor { VENDOR_DEADLINE } else { DEADLINE };
    if let Some((deadline, offset)) = deadline
        && matches!(kind, StepKind::FunctionReset | StepKind::BusReset)
        && deadline <= RESET
    {
        reader.warn(offset, "the kernel may take 60s for one reset method: a slow reset is reported as stuck");
    }
    let deadline = deadline.map_or(default, |(deadline, _)| deadline);
    Some((Step { kind, tries, deadline, confirm, case, run }, StepExtras { with }))
}

/// Checks that keys which only some steps have belong to this one.
fn allowed(reader: &mut Reader<'_>, table: Table<'_>, kind: StepKind) {
    let wide = matches!(kind, StepKind::BusReset | StepKind::RemoveRescan | StepKind::PowerCycle);
    let vendor = kind == StepKind::Vendor;
    let power = kind == StepKind::PowerCycle;
    for (key, right) in [("with", wide), ("require", power), ("case", vendor), ("run", vendor)] {
        if let Some(value) = table.get(key).filter(|_| !right) {
            reader.error(begin(value), format!("the step {:?} has no {key:?}", kind.name()));
        }
    }
    if let Some(value) = table.get("require").filter(|_| power) {
        // A power cycle always requires it. The key says so to the reader of the file.
        reader.choice("requirement", value, &[("pcp", ())]);
    }
}

/// Reads case and program of a vendor's step. Both are needed: a vendor's procedure is never guessed.
fn read_program(reader: &mut Reader<'_>, table: Table<'_>) -> (String, String) {
    let mut read = |key, why| {
        let value = reader.required(table, key, why)?;
        Some((reader.text(value)?, begin(value)))
    };
    let case = read("case", "say which procedure of the vendor's document this is");
    let run = read("run", "say which program carries it out");
    if let Some((_, offset)) = case.filter(|(case, _)| case.trim().is_empty()) {
        reader.error(offset, "the case is empty");
    }
    if let Some((run, offset)) = run {
        let name = !run.is_empty() && !run.contains('/') && !run.starts_with('.');
        if !name && !Path::new(run).is_absolute() {
            reader.error(offset, format!("{run:?} is neither an absolute path nor a program's name"));
        }
    }
    let text = |read: Option<(&str, usize)>| read.map(|(text, _)| text.to_owned()).unwrap_or_default();
    (text(case), text(run))
}
