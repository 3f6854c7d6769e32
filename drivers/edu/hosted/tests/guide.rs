//! The guide docs/driver.md shows this driver: its listings are parts of the source, so they compile.

#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::collections::BTreeSet;

const GUIDE: &str = include_str!("../../../../docs/driver.md");
const PROMISES: &str = include_str!("../../../../docs/conformance.md");
const SOURCES: [&str; 4] = [
    include_str!("../../src/lib.rs"),
    include_str!("../src/lib.rs"),
    include_str!("../../model/src/lib.rs"),
    include_str!("edu.rs"),
];

fn listings() -> Vec<&'static str> {
    GUIDE.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_listing_is_a_part_of_the_source() {
    let listings = listings();
    assert!(listings.len() >= 12, "{} listings", listings.len());
    for listing in listings {
        assert!(SOURCES.iter().any(|source| source.contains(listing)), "this is nowhere in the source:\n{listing}");
    }
}

/// Ids in a text, as `LIFE-1`, but those of the daemon: that is no driver's.
fn ids(text: &str) -> Vec<&str> {
    let is_id = |word: &&str| {
        let parts = word.split_once('-');
        parts.is_some_and(|(group, number)| {
            group.len() > 2 && group.bytes().all(|byte| byte.is_ascii_uppercase()) && number.parse::<u8>().is_ok()
        })
    };
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    words.filter(is_id).filter(|id| !id.starts_with("AGENT")).collect()
}

#[test]
fn the_guide_says_of_each_promise_once_what_a_driver_has_to_do_for_it() {
    let rows = PROMISES.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let promised: BTreeSet<_> = rows.flat_map(ids).collect();
    let (_, table) = GUIDE.split_once("## What comes for free").unwrap();
    let said = ids(table);
    assert_eq!(said.len(), said.iter().collect::<BTreeSet<_>>().len(), "one stands there twice");
    let missing: Vec<_> = promised.iter().filter(|id| !said.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
