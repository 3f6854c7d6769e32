//! All tests, by name.

use crate::pace::Flavour;
use crate::suite::test::Test;
use crate::tests;

/// The tests, in the order in which they are started.
pub fn all() -> Vec<Test> {
    [
        tests::runner::TESTS,
        tests::lifecycle::TESTS,
        tests::orderly::TESTS,
        tests::loss::TESTS,
        tests::sick::TESTS,
        tests::hangs::TESTS,
        tests::jobqueue::TESTS,
        tests::second::TESTS,
        tests::dump::TESTS,
        tests::races::TESTS,
        tests::recovery::TESTS,
        tests::wedge::TESTS,
        tests::wedge_allocations::TESTS,
        tests::lint::TESTS,
        tests::types::TESTS,
        tests::dkms::TESTS,
        tests::drm::nodes::TESTS,
        tests::drm::at_work::TESTS,
        tests::drm::clients::TESTS,
        tests::drm::fences::TESTS,
        tests::drm::rules::TESTS,
        tests::drm::sharing::TESTS,
        tests::drm::starts::TESTS,
        tests::drm::buffers::TESTS,
        tests::drm::main_job::TESTS,
        tests::exhaust::TESTS,
        tests::fuzz::TESTS,
        tests::torture::TESTS,
    ]
    .concat()
}

/// The tests of these names, or all that are for this kernel.
///
/// # Errors
/// The first name that cannot be run.
pub fn select(names: &[String], flavour: Flavour) -> Result<Vec<Test>, NotSelected> {
    let all = all();
    if names.is_empty() {
        return Ok(all.into_iter().filter(|test| test.runs_on(flavour)).collect());
    }
    let find = |name: &String| {
        let test = all.iter().find(|test| test.name == name).ok_or_else(|| NotSelected::Unknown(name.clone()))?;
        if test.runs_on(flavour) { Ok(*test) } else { Err(NotSelected::OtherKernel(test.name)) }
    };
    names.iter().map(find).collect()
}

/// Why a name selects no test.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSelected {
    /// No test has it.
    #[error("there is no test {0}; --list names them")]
    Unknown(String),
    /// Its test is for the other kernel.
    #[error("the test {0} is for the other kernel: --debug-kernel chooses it, or leave the option out")]
    OtherKernel(&'static str),
}

#[cfg(test)]
mod tests_of_the_registry {
    use std::collections::BTreeSet;

    use regex::Regex;

    use super::*;
    use crate::suite::bench::{Builder, Card};

    #[test]
    fn names_are_unique_and_can_be_folders() {
        let names: BTreeSet<_> = all().iter().map(|test| test.name).collect();
        assert_eq!(names.len(), all().len());
        for name in names {
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{name}"
            );
        }
    }

    #[test]
    fn promises_are_named_as_in_the_list() {
        let id = Regex::new("^[A-Z]+-[0-9]+$");
        for promise in all().iter().flat_map(|test| test.proves) {
            assert!(id.as_ref().is_ok_and(|id| id.is_match(promise)), "{promise}");
        }
    }

    #[test]
    fn a_card_of_ours_has_a_server() {
        for test in all() {
            assert!(test.plan.gpu || test.plan.card != Card::Gpu, "{}", test.name);
        }
    }

    #[test]
    fn dkms_builds_for_the_stock_kernel() {
        for test in all().iter().filter(|test| test.plan.builder == Builder::Dkms) {
            assert!(test.plan.gpu && test.plan.only == Some(Flavour::Stock), "{}", test.name);
        }
    }

    #[test]
    fn expected_complaints_are_regular_expressions() {
        for pattern in all().iter().flat_map(|test| [test.plan.provokes, test.plan.reports].concat()) {
            assert!(Regex::new(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_run_is_said() {
        let count = |names: &[&str], flavour| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            select(&names, flavour).map(|tests| tests.len())
        };
        assert_eq!(count(&["boot"], Flavour::Stock), Ok(1));
        assert_eq!(count(&["boot", "bot"], Flavour::Stock), Err(NotSelected::Unknown("bot".to_owned())));
        assert_eq!(count(&["lint_fence"], Flavour::Stock), Err(NotSelected::OtherKernel("lint_fence")));
        assert_eq!(count(&["lint_fence"], Flavour::Debug), Ok(1));
        let both = all().iter().filter(|test| test.plan.only.is_none()).count();
        assert!(count(&[], Flavour::Stock).is_ok_and(|stock| stock >= both && stock < all().len()));
    }
}
