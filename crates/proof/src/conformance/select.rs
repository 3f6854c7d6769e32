//! Selection of promises by the user.

use std::fmt;
use std::str::FromStr;

use super::error::ConformanceError;
use super::table::{Columns, Id, Promise, Table};

/// A value of `--id`: a promise, or a group of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `GATE-4`.
    One(Id),
    /// `GATE`.
    Group(String),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Ok(Self::Group(text.to_ascii_uppercase()));
        }
        text.parse().map(Self::One).map_err(|_| "give a promise, such as GATE-4, or a group, such as GATE".to_owned())
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(id) => id.fmt(f),
            Self::Group(group) => f.write_str(group),
        }
    }
}

impl Wanted {
    fn includes(&self, promise: &Promise) -> bool {
        match self {
            Self::One(id) => promise.id == *id,
            Self::Group(group) => promise.id.group() == group,
        }
    }
}

/// The promises of these columns that are wanted, in the table's order; all of them if nothing is said.
///
/// # Errors
/// Refuses a promise that does not exist, or is proven in the guest when the run is not about it.
pub(super) fn select<'a>(
    table: &'a Table,
    wanted: &[Wanted],
    columns: Columns,
) -> Result<Vec<&'a Promise>, ConformanceError> {
    for wanted in wanted {
        if !table.promises().iter().any(|promise| promise.is_in(columns) && wanted.includes(promise)) {
            let there_are = there_are(table, columns);
            return Err(if table.promises().iter().any(|promise| wanted.includes(promise)) {
                ConformanceError::InGuest { wanted: wanted.clone(), there_are }
            } else {
                ConformanceError::Unknown { wanted: wanted.clone(), there_are }
            });
        }
    }
    let is_wanted = |promise: &Promise| wanted.is_empty() || wanted.iter().any(|wanted| wanted.includes(promise));
    Ok(table.promises().iter().filter(|promise| promise.is_in(columns) && is_wanted(promise)).collect())
}

/// `LIFE-1 to LIFE-8, GATE-1 to GATE-10, …`, as far as they are proven in these columns.
fn there_are(table: &Table, columns: Columns) -> String {
    let of_group = |group: &str| {
        let mut ids = table.promises().iter().filter(|promise| promise.is_in(columns) && promise.id.group() == group);
        let first = &ids.next()?.id;
        Some(ids.next_back().map_or_else(|| first.to_string(), |last| format!("{first} to {}", last.id)))
    };
    table.groups().into_iter().filter_map(of_group).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        "| ID | promise | proof |\n|---|---|---|\n| A-1 | a | H |\n| A-2 | b | K |\n| A-3 | c | agent guest |\n| B-1 | d | H |\n| C-1 | e | guest |\n\
             | D-1 | f | guest (no test yet) |\n"
            .parse()
            .unwrap()
    }

    fn selected(wanted: &[&str]) -> Result<Vec<String>, String> {
        let wanted: Vec<_> = wanted.iter().map(|text| text.parse().unwrap()).collect();
        let table = table();
        let selected = select(&table, &wanted, Columns::InProcess).map_err(|error| error.to_string())?;
        Ok(selected.iter().map(|promise| promise.id.to_string()).collect())
    }

    #[test]
    fn ids_and_groups_in_the_tables_order_and_once() {
        assert_eq!(selected(&[]).unwrap(), ["A-1", "A-3", "B-1", "D-1"]);
        assert_eq!(selected(&["B", "a-1", "A-1"]).unwrap(), ["A-1", "B-1"]);
        assert_eq!(selected(&["a"]).unwrap(), ["A-1", "A-3"]);
    }

    #[test]
    fn what_is_proven_in_guests_comes_with_them() {
        let table = table();
        let selected =
            |wanted: &[Wanted]| select(&table, wanted, Columns::InProcessAndGuest).map(|promises| promises.len());
        assert_eq!(selected(&[]).unwrap(), 6);
        assert_eq!(selected(&["A-2".parse().unwrap()]).unwrap(), 1);
        assert_eq!(selected(&["C".parse().unwrap()]).unwrap(), 1);
    }

    #[test]
    fn what_does_not_exist_is_refused_with_what_does() {
        for wanted in ["A-9", "E", "a-01"] {
            let error = selected(&["A-1", wanted]).unwrap_err();
            assert!(error.contains(&wanted.to_uppercase()) && error.contains("A-1 to A-3, B-1"), "{error}");
        }
        for elsewhere in ["A-2", "C"] {
            assert!(selected(&[elsewhere]).unwrap_err().contains("proven in the guest alone: add --kernel"));
        }
        for text in ["", "4", "A-", "A-x", "A 1"] {
            assert!(text.parse::<Wanted>().is_err(), "{text:?}");
        }
    }
}
