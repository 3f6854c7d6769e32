//! Parser for the output of test executables: the list of tests, and the end of one.

use std::collections::BTreeSet;
use std::time::Duration;

use super::process::{Ended, Finished};

/// The end of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Well.
    Passed,
    /// Not; why, in one line.
    Failed(String),
}

/// The tests in an answer to `--list --format terse`.
pub(super) fn listed(answer: &str) -> impl Iterator<Item = &str> {
    answer.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// The tests that are proofs: those listed and not among the `ignored` ones.
pub(super) fn proofs<'a>(listing: &'a str, ignored: &str) -> Vec<&'a str> {
    let ignored: BTreeSet<_> = listed(ignored).collect();
    listed(listing).filter(|name| !ignored.contains(name)).collect()
}

/// How a test of so many `parts` ended. It passed only if all of them say so: a name that fits no test runs nothing, and that is a
/// success to the test executable.
pub(super) fn of(finished: &Finished, parts: usize, limit: Duration) -> Outcome {
    match &finished.ended {
        Ended::TimedOut => Outcome::Failed(format!("was killed: it had not ended after {} s", limit.as_secs_f32())),
        Ended::Interrupted => Outcome::Failed("was killed: the run was interrupted".to_owned()),
        Ended::Exited(status) if status.success() => match tally(&finished.stdout) {
            Tally { passed, failed: 0 } if passed == parts => Outcome::Passed,
            Tally { passed, failed } => Outcome::Failed(format!(
                "is no proof: of {parts} expected {passed} passed and {failed} failed; one is ignored, or was changed meanwhile"
            )),
        },
        Ended::Exited(status) => Outcome::Failed(format!("failed: {status}")),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// Sums the lines `test result: ok. 1 passed; 0 failed; …`: cargo runs several executables for the documentation tests of one crate.
fn tally(answer: &str) -> Tally {
    let mut tally = Tally { passed: 0, failed: 0 };
    for line in answer.lines() {
        let Some(counts) = line.strip_prefix("test result: ") else { continue };
        for count in counts.split(['.', ';']) {
            match count.trim().split_once(' ') {
                Some((number, "passed")) => tally.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => tally.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(90);
    const ONE: &str = "\nrunning 1 test\ntest tests::a ... ok\n\n\
        test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.10s\n\n";
    const NONE: &str = "\nrunning 0 tests\n\n\
        test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 8 filtered out; finished in 0.00s\n\n";

    fn outcome(ended: Ended, stdout: &str) -> Outcome {
        let finished = Finished { ended, stdout: stdout.to_owned(), stderr: String::new(), took: LIMIT };
        of(&finished, 1, LIMIT)
    }

    /// An exit status as `wait` reports it: the code is in the second byte.
    fn exited(code: i32) -> Ended {
        Ended::Exited(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn what_is_listed_and_not_ignored_is_a_proof() {
        let listing = "a::b: test\nslow: test\nfast: benchmark\nx (line 3): test\n\n3 tests, 1 benchmarks\n";
        assert_eq!(proofs(listing, "slow: test\n"), ["a::b", "x (line 3)"]);
    }

    #[test]
    fn a_test_has_passed_only_if_it_ran() {
        assert_eq!(outcome(exited(0), ONE), Outcome::Passed);
        assert_eq!(outcome(exited(0), &[NONE, ONE, NONE].concat()), Outcome::Passed);
        for answer in ["", NONE, &[ONE, ONE].concat(), &ONE.replace("1 passed", "one passed")] {
            assert!(matches!(outcome(exited(0), answer), Outcome::Failed(_)), "{answer}");
        }
    }

    #[test]
    fn all_parts_of_a_test_must_pass() {
        let finished = Finished { ended: exited(0), stdout: [ONE, ONE].concat(), stderr: String::new(), took: LIMIT };
        assert_eq!(of(&finished, 2, LIMIT), Outcome::Passed);
        assert!(matches!(of(&finished, 3, LIMIT), Outcome::Failed(_)));
    }

    #[test]
    fn how_it_failed_is_said() {
        let says = |ended, stdout| match outcome(ended, stdout) {
            Outcome::Failed(reason) => reason,
            Outcome::Passed => panic!("it failed"),
        };
        assert_eq!(says(exited(101), ONE), "failed: exit status: 101");
        assert!(says(Ended::Exited(ExitStatus::from_raw(6)), "").contains("signal: 6"));
        assert!(says(Ended::TimedOut, ONE).contains("had not ended after 90 s"));
        assert!(says(Ended::Interrupted, ONE).contains("interrupted"));
    }
}
