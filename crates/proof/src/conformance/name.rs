//! Which promises the name of a test gives. A test is registered by its name and nowhere else.
//!
//! The rules, which CONTRIBUTING.md states for people:
//!
//! - It is the name of the function that counts, not the modules around it; of a documentation test, the name of the item.
//! - The name is cut at its underscores. A group's word before a number is an ID, wherever it stands: `gate_4_…`,
//!   `…_and_gate_7_…`.
//! - Directly after an ID, `and` and a number are another ID of the same group: `life_3_and_4_…`.
//! - No other number counts: `resets_3_times`, `gates_2`.

use super::table::Id;

/// The IDs in the name of a test function, in its order and each once; also such as no table has.
///
/// `test` is the name as the test executable lists it, with its modules; `groups` are those of the table.
pub(super) fn ids_in_test(test: &str, groups: &[&str]) -> Vec<Id> {
    ids(last_segment(test), groups)
}

/// The same of an item of the documentation, by its path.
pub(super) fn ids_in_item(item: &str, groups: &[&str]) -> Vec<Id> {
    ids(last_segment(item), groups)
}

/// The file and the item that a documentation test is on: `crates/core/src/unplug.rs - unplug::life_6_… (line 24)`. `None` for one on a
/// crate or a file.
pub(super) fn documented(test: &str) -> Option<(&str, &str)> {
    let (file, item) = test.split_once(" - ")?;
    let (item, _) = item.split_once(" (line")?;
    Some((file, item))
}

fn last_segment(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

fn ids(name: &str, groups: &[&str]) -> Vec<Id> {
    let words: Vec<_> = name.split('_').collect();
    let mut found: Vec<Id> = Vec::new();
    // The group of the ID that ends right before this word.
    let mut group = None;
    let mut rest = words.as_slice();
    while let [word, after @ ..] = rest {
        let of = match *word {
            "and" => group,
            _ => groups.iter().copied().find(|group| group.to_ascii_lowercase() == *word),
        };
        (group, rest) = match (of, after) {
            (Some(group), [number, after @ ..]) if is_number(number) => {
                let id = Id::new(group, number);
                if !found.contains(&id) {
                    found.push(id);
                }
                (Some(group), after)
            }
            _ => (None, after),
        };
    }
    found
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: [&str; 4] = ["LIFE", "GATE", "CALL", "FENCE"];

    fn found(name: &str) -> Vec<String> {
        ids_in_test(name, &GROUPS).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form_that_names_promises() {
        for (name, ids) in [
            ("gate_4_two_readers_against_revoke", &["GATE-4"][..]),
            ("gate_10_a_proof_of_something_else_is_refused", &["GATE-10"]),
            ("life_3_and_4_the_device_that_returns_is_a_new_one", &["LIFE-3", "LIFE-4"]),
            ("life_3_and_4_and_7_together", &["LIFE-3", "LIFE-4", "LIFE-7"]),
            ("call_1_call_2_and_call_3_every_call", &["CALL-1", "CALL-2", "CALL-3"]),
            ("fence_2_and_gate_5_waiting_inside", &["FENCE-2", "GATE-5"]),
            ("gate_4_unplug_waits_for_sections_and_gate_7_names_those", &["GATE-4", "GATE-7"]),
            ("gate_4_and_gate_4_again", &["GATE-4"]),
            ("ends_with_gate_4", &["GATE-4"]),
            ("gate_4", &["GATE-4"]),
            // No table has these; the command says so.
            ("gate_99_of_a_typing_error", &["GATE-99"]),
            ("gate_04_is_written_otherwise", &["GATE-04"]),
        ] {
            assert_eq!(found(name), ids, "{name}");
        }
    }

    #[test]
    fn numbers_that_are_no_ids_do_not_count() {
        for name in [
            "resets_3_times",
            "a_device_resets_3_and_4",
            "gates_2_at_once",
            "gate_and_4_readers",
            "gate",
            "gate_",
            "life_x_3",
            "gate__4",
            "gate_4th",
            "gate4_without_its_underscore",
            "lifeboat_3",
            "GATE_4",
            "",
        ] {
            assert_eq!(found(name), [""; 0], "{name}");
        }
        // `and` continues an ID, and only right after it.
        assert_eq!(found("life_3_two_readers_and_4_writers"), ["LIFE-3"]);
        assert_eq!(found("life_3_and_then_4"), ["LIFE-3"]);
    }

    #[test]
    fn the_modules_around_a_test_do_not_count() {
        assert_eq!(found("gate_3::tests::life_7_in_modules"), ["LIFE-7"]);
        assert_eq!(found("gate_3::tests::no_promise"), [""; 0]);
    }

    #[test]
    fn documentation_tests_are_named_by_their_item() {
        let of = "crates/core/src/gate_4.rs";
        for (name, item, ids) in [
            ("unplug::life_6_in_order (line 24)", "unplug::life_6_in_order", &["LIFE-6"][..]),
            ("life_6_and_7 (line 24) - compile fail", "life_6_and_7", &["LIFE-6", "LIFE-7"]),
            ("life_6::unplug (line 24)", "life_6::unplug", &[]),
        ] {
            let name = format!("{of} - {name}");
            let (file, found) = documented(&name).unwrap();
            assert_eq!((file, found), (of, item));
            assert_eq!(ids_in_item(item, &GROUPS).iter().map(ToString::to_string).collect::<Vec<_>>(), ids);
        }
        assert_eq!(documented("crates/core/src/gate_4.rs - (line 4)"), None);
    }
}
