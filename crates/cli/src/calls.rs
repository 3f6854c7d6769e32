//! `lifeboat calls`: what each call does before, during and after the loss of its device.

use std::fmt::Write;

use lifeboat::core::class::{Class, Entry, Presence};
use lifeboat::core::errno::Errno;
use lifeboat_lb1_hosted::CALLS;
use serde::Serialize;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its number.
    pub number: u16,
    /// Its name.
    pub name: &'static str,
    /// Its class.
    pub class: &'static str,
    /// What it does while the device is there.
    pub before: String,
    /// What becomes of it if the device goes while it runs.
    pub during: &'static str,
    /// What it does once the loss was announced.
    pub after: String,
}

/// All calls, as the framework declares them.
pub fn rows() -> Vec<Row> {
    CALLS
        .iter()
        .map(|call| Row {
            number: call.number,
            name: call.name,
            class: name(call.class),
            before: answer(call.class, Presence::Live),
            during: during(call.class),
            after: answer(call.class, Presence::Gone),
        })
        .collect()
}

/// As a table for people, or as `{rows: [..]}`.
///
/// # Errors
/// None that JSON of plain text could have.
pub fn text(json: bool) -> serde_json::Result<String> {
    let rows = rows();
    if json {
        return Ok(serde_json::to_string_pretty(&serde_json::json!({ "rows": rows }))? + "\n");
    }
    let mut text = String::new();
    let head = ["", "call", "class", "before", "during", "after"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.into_iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    for line in &lines {
        for (cell, width) in line.iter().zip(widths) {
            // A string takes any text.
            let _ = write!(text, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line[5]);
    }
    Ok(text)
}

impl Row {
    fn cells(self) -> [String; 6] {
        let number = format!("{:#04x}", self.number);
        [number, self.name.to_owned(), self.class.to_owned(), self.before, self.during.to_owned(), self.after]
    }
}

fn name(class: Class) -> &'static str {
    match class {
        Class::Always => "Always",
        Class::Device => "Device",
        Class::Complete => "Complete",
        Class::Driver => "Driver",
        Class::Open => "Open",
    }
}

fn answer(class: Class, presence: Presence) -> String {
    match (class.entry(presence), presence) {
        (Entry::Proceed, Presence::Gone) if class == Class::Driver => "new work: ENODEV; the rest works".to_owned(),
        (Entry::Proceed, _) if class == Class::Driver => "works, in small sections of its own".to_owned(),
        (Entry::Proceed, _) => "works, without the device".to_owned(),
        (Entry::EnterGate, _) => "works, in a section".to_owned(),
        (Entry::Pretend, _) => "succeeds, and sends its event".to_owned(),
        (Entry::Refuse(refusal), _) => Errno::from(refusal).name().to_owned(),
    }
}

fn during(class: Class) -> &'static str {
    match class {
        Class::Always => "works",
        Class::Device => "ends or ENODEV; the unplug waits for its section",
        Class::Complete => "ends; its event comes once",
        Class::Driver => "ends; its fence signals, with ENODEV if the work was lost",
        Class::Open => "works or ENXIO",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_1_every_declared_call_is_in_the_table_with_what_its_class_says() {
        let rows = rows();
        assert_eq!(rows.len(), CALLS.len());
        let after = |name: &str| rows.iter().find(|row| row.name == name).unwrap().after.clone();
        assert_eq!((after("open").as_str(), after("create-buffer").as_str()), ("ENXIO", "ENODEV"));
        assert_eq!(after("page-flip"), "succeeds, and sends its event");
        let table = text(false).unwrap();
        assert_eq!(table.lines().count(), rows.len() + 1);
        let json: serde_json::Value = serde_json::from_str(&text(true).unwrap()).unwrap();
        assert_eq!(json["rows"].as_array().unwrap().len(), rows.len());
    }
}
