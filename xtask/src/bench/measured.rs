//! What criterion measured, as it leaves it in `target/criterion`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One benchmark.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) name: String,
    /// How many of what its group counts, if it was run with different numbers.
    pub(super) count: Option<u32>,
    /// Nanoseconds per operation: the median, which an interruption does not move.
    pub(super) ns: f64,
}

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// All benchmarks of a group, by count and then by cost.
pub(super) fn read(group: &str) -> Result<Vec<Measured>, String> {
    let mut found = Vec::new();
    collect(&folder(group), group, &mut found)?;
    if found.is_empty() {
        return Err(format!("no results of `{group}`: run this without --again first"));
    }
    found.sort_by(|a, b| a.count.cmp(&b.count).then(a.ns.total_cmp(&b.ns)));
    Ok(found)
}

/// Deletes them.
pub(super) fn forget(group: &str) -> Result<(), String> {
    let folder = folder(group);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}

fn folder(group: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("criterion").join(group)
}

/// A benchmark is a folder with a folder `new`; they nest by function and parameter.
fn collect(folder: &Path, group: &str, found: &mut Vec<Measured>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.join("new/estimates.json").is_file() {
            found.extend(one(&path.join("new"), group)?);
        } else if path.is_dir() && !path.ends_with("report") {
            collect(&path, group, found)?;
        }
    }
    Ok(())
}

fn one(folder: &Path, group: &str) -> Result<Option<Measured>, String> {
    let benchmark: Benchmark = parse(&folder.join("benchmark.json"))?;
    let estimates: Estimates = parse(&folder.join("estimates.json"))?;
    let Some(name) = benchmark.function_id.filter(|_| benchmark.group_id == group) else { return Ok(None) };
    let count = benchmark.value_str.and_then(|value| value.parse().ok());
    Ok(Some(Measured { name, count, ns: estimates.median.point_estimate }))
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}
