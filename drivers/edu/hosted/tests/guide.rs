//! The guide docs/driver.md shows this driver: its listings are parts of the source, so they compile.

#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

#[path = "guide/promises.rs"]
mod promises;

const GUIDE: &str = include_str!("../../../../docs/driver.md");
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
