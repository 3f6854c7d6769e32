use super::*;
use crate::conformance::discover::Test;
use crate::conformance::table::Table;

fn table() -> Table {
    "| ID | promise | proof |\n|---|---|---|\n\
     | A-1 | It is short. | H |\n\
     | A-2 | It is so long that nobody would want to read it in a table of results on a screen. | H |\n\
     | A-3 | c | H |\n"
        .parse()
        .unwrap()
}

fn passed(ms: u64) -> TestResult {
    TestResult { outcome: Outcome::Passed, took: Duration::from_millis(ms), output: String::new() }
}

fn failed(ms: u64) -> TestResult {
    let outcome = Outcome::Failed("failed: exit status: 101".to_owned());
    TestResult { outcome, took: Duration::from_millis(ms), output: "\nthread 'x' panicked\n\n".to_owned() }
}

fn report(results: [TestResult; 3]) -> ConformanceReport {
    let tests = ["m::a_1_x", "m::a_1_and_2_y", "a_2_z"].map(|name| Test::listed(name, "k::t", &["A"]));
    let table = table();
    let promises: Vec<_> = table.promises().iter().collect();
    let ran: Vec<_> = tests.iter().zip(results).collect();
    ConformanceReport::new(&promises, &ran, Duration::from_millis(1234))
}

#[test]
fn a_promise_is_kept_if_all_its_tests_pass() {
    let report = report([passed(1), passed(20), passed(300)]);
    let row = |at: usize| &report.rows[at];
    assert_eq!((row(0).result, row(0).test.as_deref(), row(0).ms), (Verdict::Pass, Some("m::a_1_x"), 21));
    assert_eq!((row(1).result, row(1).test.as_deref(), row(1).ms), (Verdict::Pass, Some("m::a_1_and_2_y"), 320));
    assert_eq!((row(2).result, row(2).test.as_deref(), row(2).ms), (Verdict::Missing, None, 0));
    assert_eq!(report.summary, Summary { promises: 3, pass: 2, fail: 0, missing: 1, tests: 3, ms: 1234 });
    assert_eq!(report.failures(), "");
}

#[test]
fn the_test_that_fails_decides() {
    let report = report([passed(1), passed(1), failed(7)]);
    assert_eq!((report.rows[0].result, report.rows[1].result), (Verdict::Pass, Verdict::Fail));
    assert_eq!(report.rows[1].test.as_deref(), Some("a_2_z"));
    assert_eq!(report.failures(), "\n── k::t a_2_z failed: exit status: 101\nthread 'x' panicked\n");
}

#[test]
fn only_what_is_kept_is_a_success() {
    let all = report([passed(1), passed(1), passed(1)]);
    assert_eq!(all.exit(), Exit::Failed, "one has no test");
    let kept = ConformanceReport { rows: all.rows[..2].to_vec(), ..all };
    assert_eq!(kept.exit(), Exit::Success);
    assert_eq!(report([failed(1), passed(1), passed(1)]).exit(), Exit::Failed);
    // A test of no promise fails, and every promise is kept.
    let other = Test::listed("of_no_promise", "k::t", &["A"]);
    let table = table();
    let results = [(&Test::listed("a_1_x", "k::t", &["A"]), passed(1)), (&other, failed(1))];
    let report = ConformanceReport::new(&[&table.promises()[0]], &results, Duration::ZERO);
    assert_eq!((report.rows[0].result, report.exit()), (Verdict::Pass, Exit::Failed));
    assert!(report.failures().contains("of_no_promise"));
}

#[test]
fn json_has_a_row_for_each_promise_in_order() {
    let json = serde_json::to_value(report([failed(1), passed(20), passed(300)])).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&json), ["rows", "summary"]);
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["A-1", "A-2", "A-3"]);
    assert_eq!(rows[0]["result"], "fail");
    assert_eq!(rows[0]["tests"][0]["reason"], "failed: exit status: 101");
    assert_eq!(rows[1]["result"], "pass");
    assert_eq!(
        rows[1]["tests"][1],
        serde_json::json!({"name": "a_2_z", "target": "k::t", "result": "pass", "ms": 300})
    );
    let missing = serde_json::json!(
        {"id": "A-3", "promise": "c", "test": null, "result": "missing", "ms": 0, "tests": []}
    );
    assert_eq!(rows[2], missing);
}

#[test]
fn the_table_for_people() {
    let text = report([passed(1), failed(2000), passed(300)]).text();
    let expected = "\
ID       result        time  promise                                                   test
A-1      FAIL        2.00 s  It is short.                                              k::t m::a_1_and_2_y (+1)
A-2      FAIL        2.30 s  It is so long that nobody would want to read it in a ta…  k::t m::a_1_and_2_y (+1)
A-3      missing             c
3 promises: 0 pass, 2 fail, 1 have no test. 3 tests took 1.23 s.
";
    assert_eq!(text, expected);
}
