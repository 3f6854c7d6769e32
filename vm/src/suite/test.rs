//! What a test is: its name, what it shows, what it starts with, and its body.

use crate::pace::Flavour;
use crate::suite::bench::{Bench, Plan};
use crate::suite::failure::Failure;

/// A test.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    /// What it is called on the command line and in reports.
    pub name: &'static str,
    /// What it shows, in one line.
    pub shows: &'static str,
    /// The promises it proves on the kernel's side.
    pub proves: &'static [&'static str],
    /// What it starts with.
    pub plan: Plan,
    /// Whether it measures removals of dead devices, which another guest on the same processors would disturb.
    pub alone: bool,
    /// The test. The verdict on the log is the runner's.
    pub body: fn(&mut Bench<'_>) -> Result<(), Failure>,
}

impl Test {
    /// Whether the test is for this kernel.
    pub fn runs_on(&self, flavour: Flavour) -> bool {
        self.plan.only.is_none_or(|only| only == flavour)
    }
}
