//! Circles of small crates that were made up, and the list of known ones.

#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::io;
use std::path::Path;

use super::error::CirclesError;
use super::graph::Graph;
use super::known::{Verdict, judge};
use super::report::CircleReport;
use super::tree::Tree;

fn read(sources: &[(&str, &str)]) -> Result<Tree, CirclesError> {
    let mut tree = Tree::default();
    let text = |path: &Path| {
        let found = sources.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    tree.add(Path::new(sources[0].0), &text).map(|()| tree)
}

/// The circles of a crate whose root is the first of `sources`, each as the names of its files.
fn circles(sources: &[(&str, &str)]) -> Vec<String> {
    let tree = read(sources).unwrap();
    let reports = CircleReport::all(&tree, &Graph::of(&tree), Path::new(""));
    reports.iter().map(|circle| circle.files.join(" ")).collect()
}

const ABC: (&str, &str) = ("lib.rs", "mod a; mod b; mod c;");

#[test]
fn two_files_may_need_each_other() {
    let sources =
        [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B; struct A;"), ("b.rs", "use crate::a::A; struct B;")];
    assert!(circles(&sources).is_empty());
}

#[test]
fn three_files_may_not() {
    let sources =
        [ABC, ("a.rs", "use crate::b;"), ("b.rs", "use crate::c::{self, C};"), ("c.rs", "use crate::a::*; struct C;")];
    assert_eq!(circles(&sources), ["a.rs b.rs c.rs"]);
}

#[test]
fn a_chain_is_no_circle() {
    let sources = [
        ABC,
        ("a.rs", "use crate::b::B; use crate::c::C;"),
        ("b.rs", "use crate::c::C; struct B;"),
        ("c.rs", "struct C;"),
    ];
    assert!(circles(&sources).is_empty());
}

#[test]
fn a_reexport_leads_to_the_file_that_has_the_item() {
    let sources = [
        ("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use b::{Inner as B}; pub use c::*;"),
        ("a.rs", "use crate::B; pub struct A;"),
        ("b.rs", "use crate::C; pub struct Inner;"),
        ("c.rs", "use crate::A; pub struct C;"),
    ];
    assert_eq!(circles(&sources), ["a.rs b.rs c.rs"]);
}

#[test]
fn a_reexport_of_a_nested_module_is_followed_too() {
    let sources = [
        ABC,
        ("a.rs", "use crate::b::Deep;"),
        ("b/mod.rs", "mod deep; pub use deep::Deep;"),
        ("b/deep.rs", "use crate::c::C; pub struct Deep;"),
        ("c.rs", "use crate::a; struct C;"),
    ];
    assert_eq!(circles(&sources), ["a.rs b/deep.rs c.rs"]);
}

#[test]
fn what_other_crates_have_is_no_edge() {
    let sources = [
        ("lib.rs", "mod a; mod b; mod c; pub use other::A;"),
        ("a.rs", "use crate::b::B; use std::fmt;"),
        ("b.rs", "use crate::c::C; struct B;"),
        ("c.rs", "use other::a::A; use crate::A as B; struct C;"),
    ];
    assert!(circles(&sources).is_empty());
}

#[test]
fn tests_do_not_count() {
    let to_a =
        ["#[cfg(test)] mod tests { use crate::a::A; }", "#[cfg(test)] use crate::a::A;", "#[cfg(test)] mod tests;"];
    let more = [
        "#[cfg(all(test, not(any(loom, shuttle))))] mod tests { use crate::a::A; }",
        "#[cfg(doctest)] mod shown { use crate::a::A; }",
        "#[test] fn holds() { crate::a::new(); }",
        "impl C { #[cfg(test)] fn of(a: crate::a::A) {} }",
        "struct D { #[cfg(test)] a: crate::a::A }",
    ];
    for code in to_a.iter().chain(&more) {
        let c = format!("struct C; {code}");
        let sources = [
            ABC,
            ("a.rs", "use crate::b::B; struct A;"),
            ("b.rs", "use crate::c::C; struct B;"),
            ("c.rs", &c),
            ("c/tests.rs", "use crate::a::A;"),
        ];
        assert!(circles(&sources).is_empty(), "{code}");
    }
}

#[test]
fn every_way_to_name_an_item_counts() {
    let ways = [
        "use crate::a::A;",
        "use crate::{a::{A, other}, b};",
        "use super::a::A;",
        "mod inner { use super::super::a::A; }",
        "fn f() { use crate::a::A; }",
        "fn f() { crate::a::new(); }",
        "struct C { a: Vec<crate::a::A> }",
        "impl crate::a::T for u8 {}",
        "fn f() { println!(\"{}\", [crate::a::new()].len()); }",
        "fn f() { crate::made!(); }",
        "macro_rules! m { () => { $crate::a::new() }; }",
        "#[cfg(not(test))] use crate::a::A;",
        "#[cfg(any(test, loom))] use crate::a::A;",
    ];
    for way in ways {
        let sources = [
            ABC,
            (
                "a.rs",
                "use crate::b::B; struct A; trait T {} fn new() {} #[macro_export] macro_rules! made { () => {}; }",
            ),
            ("b.rs", "use crate::c; struct B;"),
            ("c.rs", way),
        ];
        assert_eq!(circles(&sources), ["a.rs b.rs c.rs"], "{way}");
    }
}

#[test]
fn what_is_named_through_an_imported_module_counts() {
    let sources = [
        ABC,
        ("a.rs", "use crate::b; fn f() -> b::Deep { b::deep::new() }"),
        ("b/mod.rs", "pub mod deep; pub use deep::Deep;"),
        ("b/deep.rs", "use crate::c::C; pub struct Deep;"),
        ("c.rs", "use crate::a; struct C;"),
    ];
    assert_eq!(circles(&sources), ["a.rs b/deep.rs c.rs"]);
}

#[test]
fn a_module_and_its_parts_are_one_thing() {
    let sources = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; mod c; mod d; use b::B; struct A;"),
        ("a/b.rs", "use super::A; use super::c::C; struct B;"),
        ("a/c.rs", "use super::A; use super::d::D; struct C;"),
        ("a/d.rs", "use super::A; use super::b::B; struct D;"),
    ];
    assert!(circles(&sources).is_empty());
}

#[test]
fn how_far_an_item_is_seen_is_no_need() {
    let sources = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b; mod c; use crate::a::b::B;"),
        ("a/b.rs", "use crate::a::c::C; struct B;"),
        ("a/c.rs", "pub(in crate::a) struct C;"),
    ];
    assert!(circles(&sources).is_empty());
}

#[test]
fn names_that_lead_nowhere_end() {
    let sources = [
        ("lib.rs", "mod a; mod b; pub use crate::Round; use crate::a::*;"),
        ("a.rs", "use crate::*; use crate::Round; use crate::b::Made; use super::super::super::Beyond;"),
        ("b.rs", "use crate::a::Made; use crate::b::Made;"),
    ];
    assert!(circles(&sources).is_empty());
}

#[test]
fn an_edge_has_the_lines_that_make_it() {
    let sources = [
        ABC,
        ("a.rs", "\nuse crate::b::{\n    B,\n};\nstruct A;"),
        ("b.rs", "use crate::c;\nfn f() { c::new() }\nstruct B;"),
        ("c.rs", "// crate::b is no code\ntype D = crate::a::A;"),
    ];
    let tree = read(&sources).unwrap();
    let reports = CircleReport::all(&tree, &Graph::of(&tree), Path::new(""));
    let edges = serde_json::json!(reports)[0]["edges"].clone();
    let expected = serde_json::json!([
        { "from": "a.rs", "to": "b.rs", "lines": [{ "line": 3, "code": "use crate::b::B" }] },
        { "from": "b.rs", "to": "c.rs", "lines": [{ "line": 1, "code": "use crate::c" }, { "line": 2, "code": "c::new" }] },
        { "from": "c.rs", "to": "a.rs", "lines": [{ "line": 2, "code": "crate::a::A" }] },
    ]);
    assert_eq!(edges, expected);
}

#[test]
fn what_cannot_be_read_is_said() {
    let said = |sources: &[(&str, &str)]| read(sources).err().map(|error| error.to_string()).unwrap();
    assert_eq!(said(&[("lib.rs", "mod a;")]), "lib.rs: `mod a;` has no file a.rs or a/mod.rs where one is looked for");
    assert!(said(&[("lib.rs", "mod a;"), ("a.rs", "\nfn {")]).starts_with("a.rs:2: "));
}

#[test]
fn known_circles_may_shrink_and_never_grow() {
    for (sizes, known, verdict) in [
        (&[][..], &[][..], Verdict::Free),
        (&[3], &[], Verdict::Grown),
        (&[5], &[5], Verdict::Known),
        (&[6], &[5], Verdict::Grown),
        (&[5, 3], &[5], Verdict::Grown),
        (&[5, 3], &[5, 3], Verdict::Known),
        (&[4, 4], &[5, 3], Verdict::Shrunk),
        (&[6, 3], &[16], Verdict::Shrunk),
        (&[6, 3], &[5, 5], Verdict::Grown),
        (&[4], &[5], Verdict::Shrunk),
        (&[5], &[5, 3], Verdict::Shrunk),
        (&[], &[5], Verdict::Shrunk),
    ] {
        assert_eq!(judge(sizes, known), verdict, "{sizes:?} {known:?}");
    }
    assert!(Verdict::Grown.error("a", &[6], &[5]).unwrap().contains("grown"));
    assert!(Verdict::Shrunk.error("a", &[4], &[5]).unwrap().contains("known.rs"));
}
