//! Parser for the output of test executables: the list of tests, and the end of each.
//!
//! A test has passed only if a line says so. Whatever else happens (a test is ignored, renamed or killed, its executable aborts,
//! the form of the lines changes) is a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::process::{Ended, Finished};

/// Lines of a suite's output that are shown of a test that has none of its own.
const LAST_WORDS: usize = 40;

/// What libtest says after the name of a test in its results, and not in its list.
const MODES: [&str; 3] = [" - should panic", " - compile fail", " - compile"];

/// The end of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Well.
    Passed,
    /// Not; why, in one line.
    Failed(String),
}

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestResult {
    /// The end of it.
    pub outcome: Outcome,
    /// The time it took.
    pub took: Duration,
    /// The output; empty if it passed.
    pub output: String,
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

/// The run of a suite: the end of each of its tests.
pub(super) struct Run<'a> {
    finished: &'a Finished,
    limit: Duration,
    lines: BTreeMap<&'a str, Vec<Line>>,
}

/// A line `test a::b ... ok <0.012s>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    said: Said,
    took: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Ok,
    Failed,
    Ignored,
}

impl<'a> Run<'a> {
    /// Reads what a suite has said. `limit` is how long it was allowed to say nothing.
    pub(super) fn new(finished: &'a Finished, limit: Duration) -> Self {
        let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, line) in finished.stdout.lines().filter_map(line) {
            lines.entry(name).or_default().push(line);
        }
        Self { finished, limit, lines }
    }

    /// The end of a test of these parts: passed if all of them have.
    pub(super) fn outcome(&self, parts: &[String]) -> Outcome {
        for part in parts {
            let lines = self.lines.get(part.as_str()).map_or(&[][..], Vec::as_slice);
            if lines.is_empty() {
                return Outcome::Failed(format!("is no proof: it has not ended; {}", self.end()));
            }
            if lines.iter().any(|line| line.said == Said::Failed) {
                return Outcome::Failed("failed".to_owned());
            }
            if lines.iter().any(|line| line.said == Said::Ignored) {
                return Outcome::Failed("is no proof: it is ignored".to_owned());
            }
        }
        // All were well, and then the program was not: any of them may be the cause.
        let none_failed = self.lines.values().flatten().all(|line| line.said != Said::Failed);
        match &self.finished.ended {
            Ended::Exited(status) if status.success() || !none_failed => Outcome::Passed,
            Ended::Exited(_) => Outcome::Failed(format!("is no proof: {}", self.end())),
            // This one had ended before.
            Ended::TimedOut | Ended::Interrupted => Outcome::Passed,
        }
    }

    /// The time that all parts took together.
    pub(super) fn took(&self, parts: &[String]) -> Duration {
        parts.iter().filter_map(|part| self.lines.get(part.as_str())).flatten().map(|line| line.took).sum()
    }

    /// The output of a test that failed; the last words of all if it has none of its own.
    pub(super) fn output(&self, parts: &[String]) -> String {
        let own: String = parts.iter().filter_map(|part| section(&self.finished.stdout, part)).collect();
        if !own.is_empty() {
            return own;
        }
        let last = |text: &str| {
            let lines: Vec<_> = text.lines().collect();
            lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n") + "\n"
        };
        last(&self.finished.stdout) + &last(&self.finished.stderr)
    }

    /// The end of the program, in words.
    fn end(&self) -> String {
        match &self.finished.ended {
            Ended::Exited(status) => format!("its executable ended with {status}"),
            Ended::TimedOut => {
                format!("its executable was killed: no test had ended for {} s", self.limit.as_secs_f32())
            }
            Ended::Interrupted => "the run was interrupted".to_owned(),
        }
    }
}

/// The test that a line is about, and what it says.
fn line(text: &str) -> Option<(&str, Line)> {
    let (name, end) = text.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let name = MODES.iter().find_map(|mode| name.strip_suffix(mode)).unwrap_or(name);
    let (word, time) = end.split_once(" <").unwrap_or((end, ""));
    let said = match word {
        "ok" => Said::Ok,
        "FAILED" => Said::Failed,
        ignored if ignored.starts_with("ignored") => Said::Ignored,
        _ => return None,
    };
    let seconds = time.strip_suffix("s>").and_then(|seconds| seconds.parse().ok()).unwrap_or(0.0);
    Some((name, Line { said, took: Duration::try_from_secs_f64(seconds).unwrap_or_default() }))
}

/// What a failed test has printed: from its head to the next, or to the list of failures.
fn section<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = format!("---- {name} stdout ----\n");
    let (_, after) = answer.split_once(&head)?;
    let end = ["\n---- ", "\nfailures:\n"].iter().filter_map(|mark| after.find(mark)).min();
    Some(&after[..end.unwrap_or(after.len())])
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(90);
    const SAID: &str = "\nrunning 5 tests\ntest m::good ... ok <0.250s>\ntest m::panics - should panic ... ok\n\
        test m::slow ... ignored, takes hours\ntest m::bad ... FAILED <1.000s>\ntest a.rs - b (line 3) - compile fail ... ok\n\
        test a.rs - c (line 9) - compile ... ok\n\n\
        failures:\n\n---- m::bad stdout ----\n\nthread 'm::bad' panicked\nhere\n\nfailures:\n    m::bad\n\n\
        test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s\n\n";

    fn finished(ended: Ended, stdout: &str) -> Finished {
        Finished { ended, stdout: stdout.to_owned(), stderr: String::new(), took: LIMIT }
    }

    /// An exit status as `wait` reports it: the code is in the second byte.
    fn exited(code: i32) -> Ended {
        Ended::Exited(ExitStatus::from_raw(code << 8))
    }

    fn outcome(finished: &Finished, names: &[&str]) -> Outcome {
        let parts: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Run::new(finished, LIMIT).outcome(&parts)
    }

    fn why(finished: &Finished, name: &str) -> String {
        match outcome(finished, &[name]) {
            Outcome::Failed(reason) => reason,
            Outcome::Passed => panic!("{name} passed"),
        }
    }

    #[test]
    fn what_is_listed_and_not_ignored_is_a_proof() {
        let listing = "a::b: test\nslow: test\nfast: benchmark\nx (line 3): test\n\n3 tests, 1 benchmarks\n";
        assert_eq!(proofs(listing, "slow: test\n"), ["a::b", "x (line 3)"]);
    }

    #[test]
    fn each_test_of_a_run_has_its_own_end() {
        let run = finished(exited(101), SAID);
        for good in ["m::good", "m::panics", "a.rs - b (line 3)", "a.rs - c (line 9)"] {
            assert_eq!(outcome(&run, &[good]), Outcome::Passed, "{good}");
        }
        assert_eq!(why(&run, "m::bad"), "failed");
        assert!(why(&run, "m::slow").contains("ignored"));
        assert!(matches!(outcome(&run, &["m::good", "m::bad"]), Outcome::Failed(_)), "all parts must pass");
        let bad = ["m::bad".to_owned()];
        let run = Run::new(&run, LIMIT);
        assert_eq!(run.output(&bad), "\nthread 'm::bad' panicked\nhere\n");
        assert_eq!(run.took(&["m::good".to_owned(), "m::bad".to_owned()]), Duration::from_millis(1250));
    }

    #[test]
    fn a_test_has_passed_only_if_a_line_says_so() {
        for said in
            ["", "test m::goods ... ok\n", "xtest m::good ... ok\n", "test m::good ... fine\n", "test m::good\n"]
        {
            assert!(why(&finished(exited(0), said), "m::good").contains("it has not ended"), "{said}");
        }
    }

    #[test]
    fn an_executable_that_ends_badly_takes_its_tests_with_it() {
        let said = "test m::good ... ok\n";
        assert_eq!(outcome(&finished(exited(0), said), &["m::good"]), Outcome::Passed);
        assert!(why(&finished(exited(3), said), "m::good").contains("exit status: 3"));
        assert!(why(&finished(Ended::Exited(ExitStatus::from_raw(6)), said), "m::other").contains("signal: 6"));
        let hung = finished(Ended::TimedOut, said);
        assert_eq!(outcome(&hung, &["m::good"]), Outcome::Passed);
        assert!(why(&hung, "m::other").contains("no test had ended for 90 s"));
        assert!(why(&finished(Ended::Interrupted, said), "m::other").contains("interrupted"));
    }
}
