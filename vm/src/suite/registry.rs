//! All tests, by name.

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
        tests::races::TESTS,
        tests::lint::TESTS,
        tests::drm::nodes::TESTS,
        tests::drm::at_work::TESTS,
        tests::drm::clients::TESTS,
        tests::drm::fences::TESTS,
        tests::drm::rules::TESTS,
        tests::drm::sharing::TESTS,
    ]
    .concat()
}

/// The tests of these names, or all of them.
///
/// # Errors
/// The first name that no test has.
pub fn select(names: &[String]) -> Result<Vec<Test>, String> {
    let all = all();
    if names.is_empty() {
        return Ok(all);
    }
    names.iter().map(|name| all.iter().find(|test| test.name == name).copied().ok_or_else(|| name.clone())).collect()
}

#[cfg(test)]
mod tests_of_the_registry {
    use std::collections::BTreeSet;

    use regex::Regex;

    use super::*;
    use crate::suite::bench::Card;

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
    fn expected_complaints_are_regular_expressions() {
        for pattern in all().iter().flat_map(|test| [test.plan.provokes, test.plan.reports].concat()) {
            assert!(Regex::new(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn a_name_nobody_has_is_said() {
        assert_eq!(select(&["boot".into()]).map(|tests| tests.len()), Ok(1));
        assert_eq!(select(&["boot".into(), "bot".into()]).map(|tests| tests.len()), Err("bot".to_owned()));
        assert_eq!(select(&[]).map(|tests| tests.len()), Ok(all().len()));
    }
}
