//! What the types of the module rule out.

use crate::setup::forbidden;
use crate::suite::bench::{Bench, PLAIN};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "types_refuse_mistakes",
    shows: "mistakes in the module's own code do not compile: another order, a forged proof, a second signal",
    proves: &["LIFE-1", "LIFE-6", "GATE-1", "FENCE-1", "SCHED-3", "WEDGE-1"],
    plan: PLAIN,
    alone: false,
    body: types_refuse_mistakes,
}];

fn types_refuse_mistakes(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let wrong = forbidden::check(&bench.environment.folder, bench.flavour())?;
    expect(wrong.is_empty(), || wrong.join("; "))
}

#[cfg(test)]
mod tests_of_the_test {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_promise_has_its_mistakes() -> std::io::Result<()> {
        let promise = |name: &String| name.split('_').take(2).collect::<Vec<_>>().join("-").to_uppercase();
        let named: BTreeSet<_> = forbidden::names()?.iter().map(promise).collect();
        assert_eq!(named, TESTS[0].proves.iter().map(|promise| (*promise).to_owned()).collect());
        Ok(())
    }
}
