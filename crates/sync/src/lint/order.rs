//! The order graph: what was waited for while what was held.
//!
//! An edge is remembered where it was first seen. One that would close a circle is *refused*: it is reported by whoever
//! brought it, and then known but not followed, so that one mistake does not make every later path look wrong. The
//! kernel's lockdep switches itself off there.
//!
//! Adding an edge and looking for the way back is one step under one lock: of two threads that bring opposite edges at
//! once, one sees the other's.

use std::backtrace::Backtrace;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::Location;
use std::sync::{Arc, Mutex};

use super::Class;
use super::deliver::lock;

/// `to` was waited for while `from` was held.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) from: &'static Class,
    pub(super) to: &'static Class,
    /// Where `from` was taken.
    pub(super) held: &'static Location<'static>,
    /// Where `to` was waited for.
    pub(super) waited: &'static Location<'static>,
    pub(super) thread: String,
    pub(super) backtrace: Backtrace,
}

/// `None` is a refused edge.
type Graph = BTreeMap<(u32, u32), Option<Arc<Edge>>>;

static GRAPH: Mutex<Graph> = Mutex::new(Graph::new());

/// Whether an edge between these two classes is there, or was refused.
pub(super) fn known(pair: (u32, u32)) -> bool {
    lock(&GRAPH).contains_key(&pair)
}

/// Adds an edge. If there is a way back from its end to its start, refuses it and returns the shortest.
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

/// The shortest way, breadth first.
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
