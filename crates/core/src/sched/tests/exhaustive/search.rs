//! Breadth first through all states, each visited once, so that the way to a violated property is the shortest.

use std::collections::hash_map::DefaultHasher;
use std::collections::HashMap;
use std::eprintln;
use std::hash::{Hash, Hasher};

use super::*;

/// Stands for a state. With 128 bits no two of a billion states share one, except with a probability of 10^-20.
type Fingerprint = (u64, u64);

fn fingerprint(world: &World) -> Fingerprint {
    let mut first = DefaultHasher::new();
    world.hash(&mut first);
    let mut second = first.clone();
    second.write_u8(1);
    (first.finish(), second.finish())
}

/// More than any configuration here has: the largest has 4,110,776. A search that goes beyond has
/// a number in its state that grows for ever, and would take all memory.
const MOST_STATES: usize = 5_000_000;

/// What a search has found.
#[derive(Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) transitions: usize,
    pub(super) depth: usize,
    /// States in which nothing can happen any more.
    pub(super) ends: usize,
    pub(super) notable: Vec<Notable>,
}

/// How each state was reached first; the beginning was not.
type Origins = HashMap<Fingerprint, Option<(Fingerprint, Event)>>;

/// Prints the way to the state in which a property failed.
struct Trace<'a> {
    config: &'a Config,
    origins: &'a Origins,
    at: Fingerprint,
    event: Option<Event>,
    /// What followed, if it was not an event.
    then: &'static str,
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let (mut events, mut at) = (vec![], self.at);
        events.extend(self.event);
        while let Some(Some((before, event))) = self.origins.get(&at) {
            events.push(*event);
            at = *before;
        }
        events.reverse();
        eprintln!("{} events lead to it in {:?}: {events:?}{}", events.len(), self.config, self.then);
    }
}

/// Visits every state that can be reached, and checks each property wherever it applies.
pub(super) fn explore(config: &Config) -> Explored {
    let beginning = World::new(config).canonical(config);
    let mut origins: Origins = HashMap::from([(fingerprint(&beginning), None)]);
    let mut frontier = vec![beginning];
    let mut explored = Explored { states: 1, transitions: 0, depth: 0, ends: 0, notable: vec![] };
    while !frontier.is_empty() {
        let mut next = vec![];
        for world in frontier {
            let at = fingerprint(&world);
            let mut found = vec![];
            {
                let mut trace = Trace { config, origins: &origins, at, event: None, then: "" };
                world.check(config);
                if !world.lost {
                    trace.then = ", and then the rings complete what they are given";
                    world.check_good_end(config, false);
                    trace.then = ", and then the rings hang, but their resets succeed";
                    world.check_good_end(config, true);
                }
                trace.then = "";
                for event in world.events(config) {
                    trace.event = Some(event);
                    let mut after = world.clone();
                    if let Some(notable) = after.apply(config, event) {
                        if !explored.notable.contains(&notable) {
                            explored.notable.push(notable);
                        }
                    }
                    let after = after.canonical(config);
                    explored.transitions += 1;
                    if after != world {
                        found.push((event, after));
                    }
                }
                trace.event = None;
                if found.is_empty() {
                    world.check_end(config);
                    explored.ends += 1;
                }
            }
            for (event, after) in found {
                if let std::collections::hash_map::Entry::Vacant(entry) = origins.entry(fingerprint(&after)) {
                    entry.insert(Some((at, event)));
                    next.push(after);
                }
            }
        }
        explored.states += next.len();
        assert!(
            explored.states <= MOST_STATES,
            "more states than any configuration has; see `MOST_STATES` and `canonical`"
        );
        explored.depth += usize::from(!next.is_empty());
        frontier = next;
    }
    explored
}
