//! The order graph: its edges record that a thread waited for one class while it held another.
//!
//! An edge keeps the place where it was first seen. An edge that would close a circle is *refused*:
//! its thread reports it, and the edge is then remembered but not followed. So a single mistake
//! does not make later paths look wrong. The kernel's lockdep switches itself off at this point.
//!
//! Adding an edge and searching for the way back happen under one lock. So if two threads add
//! opposite edges at the same time, one of them sees the edge of the other.

use std::backtrace::Backtrace;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::Location;
use std::sync::{Arc, Mutex};

use super::Class;
use super::deliver::lock;

/// Edge: a thread waited for `to` while it held `from`.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) from: &'static Class,
    pub(super) to: &'static Class,
    /// Place where `from` was taken.
    pub(super) held: &'static Location<'static>,
    /// Place where the thread waited for `to`.
    pub(super) waited: &'static Location<'static>,
    pub(super) thread: String,
    pub(super) backtrace: Backtrace,
}

/// Edges by the numbers of their classes. `None` is a refused edge.
type Graph = BTreeMap<(u32, u32), Option<Arc<Edge>>>;

static GRAPH: Mutex<Graph> = Mutex::new(Graph::new());

/// Tells whether an edge between these two classes was added or refused.
pub(super) fn known(pair: (u32, u32)) -> bool {
    lock(&GRAPH).contains_key(&pair)
}

/// Adds an edge. If a path leads back from its end to its start, refuses the edge and returns the
/// shortest such path.
pub(super) fn add(edge: &Arc<Edge>) -> Option<Vec<Arc<Edge>>> {
    let (from, to) = (edge.from.id(), edge.to.id());
    let mut graph = lock(&GRAPH);
    if graph.contains_key(&(from, to)) {
        return None;
    }
    let back = path(&graph, to, from);
    graph.insert((from, to), if back.is_none() { Some(edge.clone()) } else { None });
    back
}

/// Finds the shortest path, breadth first.
fn path(graph: &Graph, start: u32, end: u32) -> Option<Vec<Arc<Edge>>> {
    let mut came_by: BTreeMap<u32, &Arc<Edge>> = BTreeMap::new();
    let mut seen = BTreeSet::from([start]);
    let mut next = VecDeque::from([start]);
    while let Some(at) = next.pop_front() {
        for (&(_, to), edge) in graph.range((at, 0)..=(at, u32::MAX)) {
            let Some(edge) = edge else { continue };
            if seen.insert(to) {
                came_by.insert(to, edge);
                next.push_back(to);
            }
        }
        if seen.contains(&end) {
            break;
        }
    }
    let mut way = Vec::new();
    let mut at = end;
    while at != start {
        let edge = *came_by.get(&at)?;
        way.push(edge.clone());
        at = edge.from.id();
    }
    way.reverse();
    Some(way)
}
