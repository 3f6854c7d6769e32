//! The figures as text: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::Group;
use super::measured::Measured;

const BEGIN: &str = "<!-- cargo xtask bench: begin -->";
const END: &str = "<!-- cargo xtask bench: end -->";

/// One table per group: its first count in full, the others as the cost of each benchmark.
pub(super) fn markdown(groups: &[(&Group, Vec<Measured>)]) -> String {
    let mut out = String::new();
    for (group, rows) in groups {
        let counts: Vec<_> = counts(rows);
        let _ = write!(out, "### {}\n\n|  | ns", group.title);
        for (number, count) in counts.iter().enumerate() {
            out.push_str(if number > 0 { " |" } else { "" });
            if let Some(count) = count {
                out.push_str(if number > 0 { " " } else { ", " });
                out.push_str(&counted(*count, group.counts));
            }
        }
        out.push_str(" |");
        for beside in group.beside {
            let _ = write!(out, " of {beside} |");
        }
        out.push_str("\n|---|");
        out.push_str(&"---:|".repeat(counts.len() + group.beside.len()));
        out.push('\n');
        let first = counts.first().copied().flatten();
        for row in rows.iter().filter(|row| row.count == first) {
            let name =
                if group.ours.contains(&row.name.as_str()) { format!("**{}**", row.name) } else { row.name.clone() };
            let _ = write!(out, "| {name} |");
            for count in &counts {
                let ns = at(rows, &row.name, *count).map_or_else(|| "-".to_owned(), figure);
                let _ = write!(out, " {ns} |");
            }
            for beside in group.beside {
                let ratio =
                    at(rows, beside, first).map_or_else(|| "-".to_owned(), |peer| format!("{:.2}", row.ns / peer));
                let _ = write!(out, " {ratio} |");
            }
            out.push('\n');
        }
        out.push('\n');
    }
    out.trim_end().to_owned()
}

/// `1 thread`, `2 threads`, `100,000 pending`.
fn counted(count: u32, what: &str) -> String {
    let what = if count == 1 { what.trim_end_matches('s') } else { what };
    let (thousands, rest) = (count / 1000, count % 1000);
    if thousands > 0 { format!("{thousands},{rest:03} {what}") } else { format!("{rest} {what}") }
}

/// Three figures, and no more: the rest is noise.
fn figure(ns: f64) -> String {
    match ns {
        ns if ns < 10.0 => format!("{ns:.2}"),
        ns if ns < 100.0 => format!("{ns:.1}"),
        ns => format!("{ns:.0}"),
    }
}

/// A row for each benchmark, with what it costs as a part of each peer's cost at the same count.
pub(super) fn json(groups: &[(&Group, Vec<Measured>)]) -> String {
    let rows = groups.iter().flat_map(|(group, rows)| {
        rows.iter().map(|row| {
            let peers = group.peers(rows).filter(|peer| peer.count == row.count && peer.name != row.name);
            let ratios: BTreeMap<_, _> = peers.map(|peer| (peer.name.clone(), row.ns / peer.ns)).collect();
            serde_json::json!({ "name": row.name, group.counts: row.count, "ns": row.ns, "peer_ratio": ratios })
        })
    });
    serde_json::Value::Array(rows.collect()).to_string()
}

/// Replaces what is between the markers.
pub(super) fn write(path: &Path, groups: &[(&Group, Vec<Measured>)]) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let new =
        replaced(&text, &markdown(groups)).ok_or_else(|| format!("{} lacks `{BEGIN}` and `{END}`", path.display()))?;
    fs::write(path, new).map_err(|error| format!("{}: {error}", path.display()))
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n\n{END}{after}"))
}

fn counts(rows: &[Measured]) -> Vec<Option<u32>> {
    let mut counts: Vec<_> = rows.iter().map(|row| row.count).collect();
    counts.dedup();
    counts
}

fn at(rows: &[Measured], name: &str, count: Option<u32>) -> Option<f64> {
    rows.iter().find(|row| row.name == name && row.count == count).map(|row| row.ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group { id: "g", title: "Title", counts: "threads", ours: &["ours"], beside: &["peer"] }
    }

    fn rows() -> Vec<Measured> {
        let row = |name: &str, count, ns| Measured { name: name.to_owned(), count: Some(count), ns };
        vec![row("ours", 1, 1.0), row("peer", 1, 8.0), row("ours", 2, 1.5), row("peer", 2, 123.4)]
    }

    #[test]
    fn a_table_has_every_count_and_ratios_of_the_first() {
        let text = markdown(&[(&group(), rows())]);
        assert_eq!(
            text,
            "### Title\n\n|  | ns, 1 thread | 2 threads | of peer |\n|---|---:|---:|---:|\n\
             | **ours** | 1.00 | 1.50 | 0.12 |\n| peer | 8.00 | 123 | 1.00 |"
        );
    }

    #[test]
    fn large_counts_are_readable_and_those_without_leave_the_column_bare() {
        let group = Group { counts: "pending", ..group() };
        let row = |count, ns| Measured { name: "ours".to_owned(), count, ns };
        let counted = markdown(&[(&group, vec![row(Some(1), 1.0), row(Some(100_000), 2.0)])]);
        assert!(
            counted.contains("|  | ns, 1 pending | 100,000 pending | of peer |\n|---|---:|---:|---:|\n"),
            "{counted}"
        );
        let bare = markdown(&[(&group, vec![row(None, 1.0)])]);
        assert!(bare.contains("|  | ns | of peer |\n|---|---:|---:|\n| **ours** | 1.00 | - |"), "{bare}");
    }

    #[test]
    fn json_has_each_peer_at_the_same_count() {
        let rows: serde_json::Value = serde_json::from_str(&json(&[(&group(), rows())])).unwrap();
        assert_eq!(
            rows[0],
            serde_json::json!({"name": "ours", "threads": 1, "ns": 1.0, "peer_ratio": {"peer": 0.125}})
        );
        assert_eq!(rows[3]["peer_ratio"], serde_json::json!({}));
    }

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(replaced(&text, "new"), Some(format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n")));
        assert_eq!(replaced("no markers", "new"), None);
    }
}
