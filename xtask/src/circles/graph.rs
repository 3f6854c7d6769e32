//! The graph of a crate: its files, with an edge from each that names an item of another.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::references::{Reference, references};
use super::tree::{FileId, Tree};

/// Files that a circle may have: two that belong together, such as a thing and its builder.
const ALLOWED: usize = 2;

/// The graph. An edge has the paths that make it.
pub(super) struct Graph {
    edges: BTreeMap<(FileId, FileId), Vec<Reference>>,
}

/// Files of which each is reached from each other.
#[derive(Debug)]
pub(super) struct Circle {
    pub(super) files: BTreeSet<FileId>,
}

impl Graph {
    pub(super) fn of(tree: &Tree) -> Self {
        let mut edges = BTreeMap::<_, Vec<_>>::new();
        for module in tree.modules() {
            let from = tree.module(module).file;
            for reference in references(tree, module) {
                if let Some(to) = tree.file_of(module, &reference.path.names).filter(|to| *to != from) {
                    edges.entry((from, to)).or_default().push(reference);
                }
            }
        }
        Self { edges }
    }

    /// Circles of more files than [`ALLOWED`], the largest first.
    pub(super) fn circles(&self) -> Vec<Circle> {
        let graph: DiGraphMap<FileId, ()> = self.edges.keys().copied().collect();
        let components = tarjan_scc(&graph).into_iter().filter(|files| files.len() > ALLOWED);
        let mut circles: Vec<_> = components.map(|files| Circle { files: files.into_iter().collect() }).collect();
        circles.sort_by_key(|circle| (std::cmp::Reverse(circle.files.len()), circle.files.first().copied()));
        circles
    }

    /// The edges within a circle.
    pub(super) fn edges<'a>(&'a self, circle: &'a Circle) -> impl Iterator<Item = (FileId, FileId, &'a [Reference])> {
        let within = |(from, to): &(FileId, FileId)| circle.files.contains(from) && circle.files.contains(to);
        let edges = self.edges.iter().filter(move |(ends, _)| within(ends));
        edges.map(|((from, to), references)| (*from, *to, references.as_slice()))
    }
}
