//! Running tests: which there are, what each works with, in which order they run, and the verdict.

pub mod bench;
pub mod checkers;
pub mod failure;
pub mod judge;
pub mod registry;
pub mod report;
pub mod runner;
pub mod test;
