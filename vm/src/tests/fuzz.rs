//! Random calls, by threads that share all they have, while the device is lost now and then.

use crate::fuzz::{self, Options, PLAN, Progress};
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "fuzz",
    shows: "15 s of random calls, good and bad, by three threads, while the device is lost: each is answered as it may be",
    proves: &["CALL-1"],
    plan: PLAN,
    alone: false,
    body: fuzz_for_a_while,
}];

/// The same one each time: `cargo xtask vm fuzz` takes others.
const SEED: u64 = 1;

fn fuzz_for_a_while(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let options = Options { seed: SEED, seconds: 15, threads: 3, losses: true };
    let mut progress = Progress::default();
    fuzz::carry_out(bench, &options, &mut progress, &|_| {})?;
    let never: Vec<_> = progress.report.poor().into_iter().filter(|poor| poor.contains("succeeded")).collect();
    expect(never.is_empty(), || format!("the calls show little: {never:?}"))
}
