//! Which points there are, and which of them are run.

use super::mode::Mode;
use super::point::{Deed, Point};

/// One deed in one mode, with the race switch on or off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) deed: Deed,
    pub(super) mode: Mode,
    pub(super) race: bool,
    /// Its accesses, undisturbed.
    pub(super) accesses: u64,
}

impl Line {
    /// All its points. What touches no hardware is still tried once, with the loss right after it.
    fn points(self) -> Vec<Point> {
        let Self { deed, mode, race, accesses } = self;
        (1..=accesses.max(1)).map(|at| Point { deed, mode, race, at: Some(at) }).collect()
    }
}

/// Which points are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// All.
    All,
    /// So many, from every line in turn, at random.
    Some {
        /// How many.
        points: usize,
        /// What decides which.
        seed: u64,
    },
}

/// The points that are run, in an order in which the module is seldom loaded anew.
pub(super) fn points(lines: &[Line], choice: Choice) -> Vec<Point> {
    let mut all: Vec<Vec<Point>> = lines.iter().map(|line| line.points()).collect();
    let mut chosen = match choice {
        Choice::All => all.concat(),
        Choice::Some { points, seed } => {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut chosen = Vec::new();
            while chosen.len() < points && all.iter().any(|line| !line.is_empty()) {
                random.shuffle(&mut all);
                for line in all.iter_mut().filter(|line| !line.is_empty()).take(points - chosen.len()) {
                    chosen.push(line.swap_remove(random.usize(..line.len())));
                }
            }
            chosen
        }
    };
    let place = |point: &Point| {
        let deed = Deed::all().position(|deed| deed.name() == point.deed.name());
        (point.race, point.mode, deed, point.at)
    };
    chosen.sort_by_key(place);
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn lines() -> Vec<Line> {
        Deed::all().map(|deed| Line { deed, mode: Mode::Gone, race: false, accesses: 3 }).collect()
    }

    #[test]
    fn call_4_every_access_is_a_point_and_what_has_none_is_one() {
        let quiet = Line { accesses: 0, ..lines()[0] };
        assert_eq!(points(&lines(), Choice::All).len(), 3 * lines().len());
        assert_eq!(points(&[quiet], Choice::All).len(), 1);
    }

    #[test]
    fn call_4_a_sample_has_every_line_and_is_the_same_for_the_same_seed() {
        let count = lines().len();
        let names = |seed| {
            let chosen = points(&lines(), Choice::Some { points: count + 2, seed });
            assert_eq!(chosen.len(), count + 2);
            chosen.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(7), names(7));
        assert_ne!(names(7), names(8));
        let chosen = points(&lines(), Choice::Some { points: count, seed: 1 });
        assert_eq!(chosen.iter().map(|point| point.deed.name()).collect::<BTreeSet<_>>().len(), count);
        assert_eq!(points(&lines(), Choice::Some { points: 10_000, seed: 1 }).len(), 3 * count);
        assert!(points(&[], Choice::Some { points: 1, seed: 1 }).is_empty());
    }
}
