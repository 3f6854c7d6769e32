//! What came of a run, for people and for programs.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::pace::Flavour;
use crate::suite::test::Test;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuiteReport {
    /// Which kind of kernel.
    pub flavour: Flavour,
    /// From the first guest's start to the last one's end.
    pub seconds: f64,
    /// In the order in which the tests are listed.
    pub tests: Vec<TestReport>,
}

/// A test as a list for programs has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestEntry {
    /// The test.
    pub name: &'static str,
    /// What it shows, in one line.
    pub shows: &'static str,
    /// The promises it proves.
    pub proves: &'static [&'static str],
    /// The one kernel that it is for; either if there is none.
    pub only: Option<Flavour>,
}

impl TestEntry {
    /// The entry of a test.
    pub fn new(test: &Test) -> Self {
        Self { name: test.name, shows: test.shows, proves: test.proves, only: test.plan.only }
    }
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestReport {
    /// The test.
    pub name: &'static str,
    /// Whether it passed.
    pub outcome: Outcome,
    /// How long it took, boot and quiet included.
    pub seconds: f64,
    /// How long each removal took in the driver, in microseconds.
    pub remove_us: Vec<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artefacts: Option<PathBuf>,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    Passed,
    /// Not.
    Failed,
    /// The run was interrupted.
    Interrupted,
}

impl SuiteReport {
    /// Whether all tests passed. A run without any has shown nothing.
    pub fn passed(&self) -> bool {
        !self.tests.is_empty() && self.tests.iter().all(|test| test.outcome == Outcome::Passed)
    }
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "FAILED",
            Outcome::Interrupted => "interrupted",
        };
        write!(f, "{outcome:<11} {:<28} {:6.1} s", self.name, self.seconds)?;
        if let (Some(least), Some(most)) = (self.remove_us.iter().min(), self.remove_us.iter().max()) {
            let (least, most) = (Duration::from_micros(*least), Duration::from_micros(*most));
            match self.remove_us.len() {
                1 => write!(f, "   removal {most:.1?}")?,
                count => write!(f, "   {count} removals {least:.1?} to {most:.1?}")?,
            }
        }
        if let Some(failure) = &self.failure {
            write!(f, "\n            {failure}")?;
        }
        if let Some(artefacts) = &self.artefacts {
            write!(f, "\n            kept: {}", artefacts.display())?;
        }
        Ok(())
    }
}

impl fmt::Display for SuiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.tests.iter().filter(|test| test.outcome == Outcome::Passed).count();
        write!(f, "{passed} of {} passed in {:.1} s", self.tests.len(), self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(outcome: Outcome) -> TestReport {
        let (seconds, remove_us) = (1.25, vec![812, 1_200]);
        TestReport { name: "boot", outcome, seconds, remove_us, failure: None, artefacts: None }
    }

    #[test]
    fn nothing_but_success_is_success() {
        let report = |tests| SuiteReport { flavour: Flavour::Stock, seconds: 1.0, tests };
        assert!(report(vec![test(Outcome::Passed)]).passed());
        assert!(!report(vec![]).passed());
        for bad in [Outcome::Failed, Outcome::Interrupted] {
            assert!(!report(vec![test(Outcome::Passed), test(bad)]).passed());
        }
    }

    #[test]
    fn a_line_has_times_and_reasons() {
        assert_eq!(
            test(Outcome::Passed).to_string(),
            "passed      boot                            1.2 s   2 removals 812.0µs to 1.2ms"
        );
        let failed = TestReport { failure: Some("why".into()), remove_us: vec![], ..test(Outcome::Failed) };
        assert_eq!(failed.to_string(), "FAILED      boot                            1.2 s\n            why");
    }
}
