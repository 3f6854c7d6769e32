//! The promises and the names of their tests, without running any.

use std::fmt::Write;

use serde::Serialize;

use super::claim::Claim;
use super::discover::Test;
use super::table::Promise;

/// Output of `--list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Listing {
    /// An entry for each promise, in the table's order.
    pub rows: Vec<ListRow>,
}

/// A promise and who proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ListRow {
    /// The identifier.
    pub id: String,
    /// The text of the promise.
    pub promise: String,
    /// Kinds of proof, as the document writes them.
    pub proof: Vec<String>,
    /// Where it comes from.
    pub source: String,
    #[serde(skip)]
    untested: bool,
    /// Its first test; `None` if there is none, or none is known.
    pub test: Option<String>,
    /// All its tests; `None` if none is known, because there is no checkout.
    pub tests: Option<Vec<ListedTest>>,
}

/// A test of a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ListedTest {
    /// Its name, with its modules.
    pub name: String,
    /// Where it is.
    pub target: String,
}

impl Listing {
    /// Lists the promises with those of `tests` that prove them; with `None` the tests are not known.
    pub(super) fn new(promises: &[&Promise], tests: Option<&[Test]>) -> Self {
        let row = |promise: &Promise| {
            let tests = tests.map(|tests| {
                let of_promise =
                    tests.iter().filter(|test| promise.claims.iter().any(|claim| test.proves(promise, claim.kind)));
                let listed = |test: &Test| ListedTest { name: test.name.clone(), target: test.target.clone() };
                of_promise.map(listed).collect::<Vec<_>>()
            });
            ListRow {
                id: promise.id.to_string(),
                promise: promise.text.clone(),
                proof: promise.claims.iter().map(Claim::to_string).collect(),
                source: promise.source.clone(),
                untested: promise.claims.iter().all(|claim| claim.untested),
                test: tests.as_ref().and_then(|tests| tests.first()).map(|test| test.name.clone()),
                tests,
            }
        };
        Self { rows: promises.iter().map(|promise| row(promise)).collect() }
    }

    /// A line for each promise, and below it one for each test.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            // A string takes any text.
            let _ = writeln!(text, "{:<9}{}", row.id, row.promise);
            match row.tests.as_deref() {
                None => {}
                Some([]) => text.push_str(if row.untested { "         no test yet\n" } else { "         no test\n" }),
                Some(tests) => {
                    for test in tests {
                        let _ = writeln!(text, "         {} {}", test.target, test.name);
                    }
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::table::Table;

    const TABLE: &str = "| ID | promise | proof | source |\n|---|---|---|---|\n| A-1 | a | H | S0 |\n| A-2 | b | H | K |\n| A-3 | c | agent (no test yet) | P |\n";

    #[test]
    fn each_promise_with_its_tests() {
        let table: Table = TABLE.parse().unwrap();
        let promises: Vec<_> = table.promises().iter().collect();
        let tests = ["m::a_1_x", "m::a_1_y"].map(|name| Test::listed(name, "k::t", &["A"]));
        let listing = Listing::new(&promises, Some(&tests));
        assert_eq!(listing.rows[0].test.as_deref(), Some("m::a_1_x"));
        assert_eq!((listing.rows[1].test.as_deref(), listing.rows[1].tests.as_deref()), (None, Some(&[][..])));
        let expected = "\
A-1      a
         k::t m::a_1_x
         k::t m::a_1_y
A-2      b
         no test
A-3      c
         no test yet
";
        assert_eq!(listing.text(), expected);
    }

    #[test]
    fn without_a_checkout_nothing_is_said_of_tests() {
        let table: Table = TABLE.parse().unwrap();
        let promises: Vec<_> = table.promises().iter().collect();
        let listing = Listing::new(&promises, None);
        assert_eq!(listing.text(), "A-1      a\nA-2      b\nA-3      c\n");
        let json = serde_json::to_value(&listing).unwrap();
        let row = serde_json::json!({"id": "A-2", "promise": "b", "proof": ["H"], "source": "K", "test": null, "tests": null});
        assert_eq!(json["rows"][1], row);
    }
}
