//! The table of docs/driver.md that says what comes for free. `LIFEBOAT_WRITE_TABLE=1 cargo test -p lifeboat-edu-hosted --test
//! guide` writes it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const PROMISES: &str = include_str!("../../../../../docs/conformance.md");
const BEGIN: &str = "<!-- what comes for free, from drivers/edu/hosted/tests/guide/promises.rs: begin -->\n";
const END: &str = "<!-- what comes for free: end -->\n";
/// Tests of drivers that are not LB1's.
const TESTS: [&str; 3] = [
    include_str!("../edu.rs"),
    include_str!("../../../../../crates/drm/tests/second/main.rs"),
    include_str!("../../../../../crates/drm/tests/second/across.rs"),
];

/// What a driver has to do for promises. Each promise of conformance.md stands here once, but those that are [no driver's](OTHERS).
const NEEDS: &[(&str, &str)] = &[
    ("LIFE-1 LIFE-2 LIFE-3 LIFE-4 LIFE-5 LIFE-6 LIFE-7", "nothing"),
    ("LIFE-8", "nothing, if its `info` tells devices apart"),
    ("GATE-1 GATE-2 GATE-3 GATE-4 GATE-5 GATE-6 GATE-7 GATE-8 GATE-10", "nothing"),
    ("GATE-9", "puts what waits for hardware into a `Sequence`"),
    ("CALL-1 CALL-4 CALL-5 CALL-7", "a row per call in its table"),
    (
        "CALL-2 CALL-3 CALL-6 MAP-1 MAP-2 MAP-3 MAP-4",
        "nothing, if it is a `Gpu`; other subsystems choose the classes of their calls",
    ),
    ("FENCE-1 FENCE-3 FENCE-4", "nothing"),
    ("FENCE-2", "nothing for jobs; ends its own fences in `retire`"),
    (
        "SCHED-1 SCHED-2 SCHED-3 SCHED-5 SCHED-6 SCHED-7 SCHED-8 SCHED-9 SCHED-10 SCHED-13",
        "nothing, if its jobs run on rings",
    ),
    ("SCHED-4", "resets a ring, and the device"),
    ("SCHED-11", "says which rings complete out of order, and how many credits each has"),
    (
        "SCHED-12",
        "nothing, without firmware that holds something of queues; else asks that to let go (`let_go`), reports its answer (`Progress::LetGo`), and says what its reset is (`firmware`)",
    ),
    ("KMS-1 KMS-2 KMS-3 KMS-4 KMS-5", "a `Scanout`, if it has a screen"),
    ("HEALTH-1 HEALTH-3", "reads through `Registers`, and has a `shut_down`"),
    ("HEALTH-2 HEALTH-4", "has `computes`, and a `heartbeat` if the device has one"),
    ("HEALTH-5", "nothing"),
    ("RECOV-1 RECOV-2 RECOV-3 RECOV-4", "nothing"),
    ("RECOV-5", "has its rings prove themselves at the end of a reset"),
    ("WEDGE-1 WEDGE-2 WEDGE-5", "nothing"),
    ("WEDGE-3", "says in its facts what may help"),
    ("WEDGE-4", "says in its facts which registers a dump shows"),
    ("DRV-1 DRV-2 DRV-3", "nothing"),
];

/// Groups that are no driver's: the daemon, the cases it must pass, and programs that drive a device by VFIO.
const OTHERS: [&str; 3] = ["AGENT-", "CASE-", "VFIO-"];

/// Ids in a text, as `LIFE-1`, but those that are no driver's.
fn ids(text: &str) -> Vec<&str> {
    let is_id = |word: &&str| {
        let parts = word.split_once('-');
        parts.is_some_and(|(group, number)| {
            group.len() > 2 && group.bytes().all(|byte| byte.is_ascii_uppercase()) && number.parse::<u8>().is_ok()
        })
    };
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    words.filter(is_id).filter(|id| !OTHERS.iter().any(|group| id.starts_with(group))).collect()
}

/// Names of tests that name one of these promises, as `life_2` in `drv_2_life_2_it_is_held`.
fn tests_of(promises: &[&str]) -> Vec<&'static str> {
    let names = promises.iter().map(|id| format!("_{}_", id.to_lowercase().replace('-', "_"))).collect::<Vec<_>>();
    let tests =
        TESTS.iter().flat_map(|text| text.split("#[test]\nfn ").skip(1)).filter_map(|rest| rest.split('(').next());
    tests.filter(|test| names.iter().any(|name| format!("_{test}").contains(name))).collect()
}

fn table() -> String {
    let mut text = String::from("| promises | a driver | shown by |\n|---|---|---|\n");
    for (promises, need) in NEEDS {
        let tests = tests_of(&ids(promises)).iter().map(|test| format!("`{test}`")).collect::<Vec<_>>();
        writeln!(text, "| {promises} | {need} | {} |", tests.join(", ")).unwrap();
    }
    text
}

#[test]
fn each_promise_has_one_line_that_says_what_a_driver_has_to_do_for_it() {
    let rows = PROMISES.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let promised: BTreeSet<_> = rows.flat_map(ids).collect();
    let said: Vec<_> = NEEDS.iter().flat_map(|(promises, _)| ids(promises)).collect();
    assert_eq!(said.len(), said.iter().collect::<BTreeSet<_>>().len(), "one stands there twice");
    assert_eq!(said.into_iter().collect::<BTreeSet<_>>(), promised);
}

#[test]
fn the_table_of_what_comes_for_free_is_what_is_said_here() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/driver.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the table's place");
    let (old, after) = rest.split_once(END).expect("the table's end");
    let table = table();
    if std::env::var_os("LIFEBOAT_WRITE_TABLE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(old == table, "docs/driver.md is out of date; LIFEBOAT_WRITE_TABLE=1 writes it:\n{table}");
    }
}
