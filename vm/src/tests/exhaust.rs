//! The device is lost at every hardware access of every call: a sample of what `cargo xtask vm exhaust` searches.

use crate::exhaust::{Choice, Mode, PLAN, Progress, Search, search_in};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "exhaust",
    shows: "the device goes, hangs, falls silent or answers nonsense at an access of each call, with the entry check and without",
    proves: &["CALL-1", "CALL-4", "FENCE-2", "MAP-1"],
    plan: PLAN,
    alone: true,
    body: exhaust,
}];

/// As many as a minute has room for: each call in each mode, with the race switch off and on.
const POINTS: usize = 200;

/// Always the same ones, so that a failure can be repeated.
const SEED: u64 = 4;

fn exhaust(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let search = Search {
        call: None,
        at: None,
        modes: Mode::ALL.to_vec(),
        races: vec![false, true],
        choice: Choice::Some { points: POINTS, seed: SEED },
    };
    let report = search_in(bench, &search, &Progress::quiet(), &|| false).map_err(Failure::from)?;
    expect(report.passed(), || report.to_string())
}
