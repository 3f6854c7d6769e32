//! The figures as text: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::Group;
use super::measured::Measured;

const BEGIN: &str = "<!-- cargo xtask bench: begin -->";
const END: &str = "<!-- cargo xtask bench: end -->";

/// One table per group: its first thread count in full, the others as the cost of each benchmark.
pub(super) fn markdown(groups: &[(&Group, Vec<Measured>)]) -> String {
    let mut out = String::new();
    for (group, rows) in groups {
        let threads: Vec<_> = counts(rows);
        let _ = write!(out, "### {}\n\n|  |", group.title);
        for count in &threads {
            match count {
                Some(1) => out.push_str(" ns, 1 thread |"),
                Some(count) => drop(write!(out, " {count} threads |")),
                None => out.push_str(" ns |"),
            }
        }
        for beside in group.beside {
            let _ = write!(out, " of {beside} |");
        }
        out.push_str("\n|---|");
        out.push_str(&"---:|".repeat(threads.len() + group.beside.len()));
        out.push('\n');
        let first = threads.first().copied().flatten();
        for row in rows.iter().filter(|row| row.threads == first) {
            let name =
                if group.ours.contains(&row.name.as_str()) { format!("**{}**", row.name) } else { row.name.clone() };
            let _ = write!(out, "| {name} |");
            for count in &threads {
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

/// Three figures, and no more: the rest is noise.
fn figure(ns: f64) -> String {
    match ns {
        ns if ns < 10.0 => format!("{ns:.2}"),
        ns if ns < 100.0 => format!("{ns:.1}"),
        ns => format!("{ns:.0}"),
    }
}

/// A row for each benchmark, with what it costs as a part of each peer's cost at as many threads.
pub(super) fn json(groups: &[(&Group, Vec<Measured>)]) -> String {
    let rows = groups.iter().flat_map(|(group, rows)| {
        rows.iter().map(|row| {
            let peers = group.peers(rows).filter(|peer| peer.threads == row.threads && peer.name != row.name);
            let ratios: BTreeMap<_, _> = peers.map(|peer| (peer.name.clone(), row.ns / peer.ns)).collect();
            serde_json::json!({ "name": row.name, "threads": row.threads, "ns": row.ns, "peer_ratio": ratios })
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
    let mut counts: Vec<_> = rows.iter().map(|row| row.threads).collect();
    counts.dedup();
    counts
}

fn at(rows: &[Measured], name: &str, threads: Option<u32>) -> Option<f64> {
    rows.iter().find(|row| row.name == name && row.threads == threads).map(|row| row.ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group { id: "g", title: "Title", ours: &["ours"], beside: &["peer"] }
    }

    fn rows() -> Vec<Measured> {
        let row = |name: &str, threads, ns| Measured { name: name.to_owned(), threads: Some(threads), ns };
        vec![row("ours", 1, 1.0), row("peer", 1, 8.0), row("ours", 2, 1.5), row("peer", 2, 123.4)]
    }

    #[test]
    fn a_table_has_every_thread_count_and_ratios_of_the_first() {
        let text = markdown(&[(&group(), rows())]);
        assert_eq!(
            text,
            "### Title\n\n|  | ns, 1 thread | 2 threads | of peer |\n|---|---:|---:|---:|\n\
             | **ours** | 1.00 | 1.50 | 0.12 |\n| peer | 8.00 | 123 | 1.00 |"
        );
    }

    #[test]
    fn json_has_each_peer_at_the_same_threads() {
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
