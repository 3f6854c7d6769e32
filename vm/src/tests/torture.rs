//! Clients of every kind, and one fault after the other.

use std::time::Duration;

use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::torture::report::Tally;
use crate::torture::{self, Options, PLAN};

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "torture",
    shows: "a minute of clients that submit, wait, map, open, share and call everything, while faults of all kinds happen",
    proves: &["FENCE-2", "FENCE-4", "SCHED-6", "MAP-1", "CALL-1", "LIFE-5"],
    plan: PLAN,
    alone: false,
    body: tortured_for_a_minute,
}];

/// The same one each time: `cargo xtask vm torture` takes others.
const SEED: u64 = 1;
const TIME: Duration = Duration::from_mins(1);
/// Cycles without which the minute has shown nothing.
const CYCLES: u64 = 8;

fn tortured_for_a_minute(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let mut tally = Tally::default();
    torture::carry_out(bench, &Options::new(SEED, TIME), &mut tally, &|_| {})?;
    // The debug kernel is several times slower.
    let least = if bench.flavour() == crate::pace::Flavour::Debug { CYCLES / 4 } else { CYCLES };
    expect(tally.cycles >= least, || format!("only {} cycles", tally.cycles))
}
