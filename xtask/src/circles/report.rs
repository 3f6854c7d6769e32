//! What was found, for people and for programs.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::graph::Graph;
use super::known::Verdict;
use super::tree::Tree;

/// The circles of one crate that are too large.
#[derive(Serialize)]
pub(super) struct CrateReport {
    #[serde(rename = "crate")]
    pub(super) name: String,
    /// Files that were read.
    pub(super) files: usize,
    pub(super) circles: Vec<CircleReport>,
    #[serde(skip)]
    pub(super) verdict: Verdict,
    /// Why this fails; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// A circle: its files, and why they are one.
#[derive(Serialize)]
pub(super) struct CircleReport {
    pub(super) files: Vec<String>,
    pub(super) edges: Vec<EdgeReport>,
}

/// An edge, and the lines that make it.
#[derive(Serialize)]
pub(super) struct EdgeReport {
    from: String,
    to: String,
    lines: Vec<LineReport>,
}

/// A line of the file that the edge comes from.
#[derive(Serialize)]
struct LineReport {
    line: usize,
    code: String,
}

impl CircleReport {
    /// All circles of a graph that are too large, with paths that begin at `root`.
    pub(super) fn all(tree: &Tree, graph: &Graph, root: &Path) -> Vec<Self> {
        let shown = |file| {
            let path: &Path = tree.path(file);
            path.strip_prefix(root).unwrap_or(path).display().to_string()
        };
        let circles = graph.circles();
        let reports = circles.iter().map(|circle| {
            let edges = graph.edges(circle).map(|(from, to, references)| {
                let lines = references.iter().map(|reference| LineReport {
                    line: reference.path.line,
                    code: format!("{}{}", if reference.in_use { "use " } else { "" }, reference.path),
                });
                EdgeReport { from: shown(from), to: shown(to), lines: lines.collect() }
            });
            Self { files: circle.files.iter().map(|file| shown(*file)).collect(), edges: edges.collect() }
        });
        reports.collect()
    }
}

impl fmt::Display for CrateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for circle in &self.circles {
            writeln!(f, "{}: a circle of {} files", self.name, circle.files.len())?;
            for edge in &circle.edges {
                writeln!(f, "  {} → {}", edge.from, edge.to)?;
                for LineReport { line, code } in &edge.lines {
                    writeln!(f, "    {line}: {code}")?;
                }
            }
        }
        Ok(())
    }
}
