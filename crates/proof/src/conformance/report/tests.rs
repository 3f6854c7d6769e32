use super::*;
use crate::conformance::discover::GuestKernel;
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
    ConformanceReport::new(&promises, Columns::InProcess, &ran, Duration::from_millis(1234))
}

#[test]
fn a_promise_is_kept_if_all_its_tests_pass() {
    let report = report([passed(1), passed(20), passed(300)]);
    let row = |at: usize| report.rows[at].in_process.as_ref().unwrap();
    assert_eq!((row(0).result, row(0).test.as_deref(), row(0).ms), (Verdict::Pass, Some("m::a_1_x"), 21));
    assert_eq!((row(1).result, row(1).test.as_deref(), row(1).ms), (Verdict::Pass, Some("m::a_1_and_2_y"), 320));
    assert_eq!((row(2).result, row(2).test.as_deref(), row(2).ms), (Verdict::Missing, None, 0));
    let count = Count { kind: Kind::Hosted, of: "promises", all: 3, pass: 2, fail: 0, missing: 1, untested: 0 };
    assert_eq!(report.summary, Summary { counts: vec![count], tests: 3, ms: 1234 });
    assert_eq!(report.failures(), "");
}

#[test]
fn the_test_that_fails_decides() {
    let report = report([passed(1), passed(1), failed(7)]);
    let proof = |at: usize| report.rows[at].in_process.as_ref().unwrap();
    assert_eq!((proof(0).result, proof(1).result), (Verdict::Pass, Verdict::Fail));
    assert_eq!(proof(1).test.as_deref(), Some("a_2_z"));
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
    let report = ConformanceReport::new(&[&table.promises()[0]], Columns::InProcess, &results, Duration::ZERO);
    let kept = report.rows[0].in_process.as_ref().unwrap().result;
    assert_eq!((kept, report.exit()), (Verdict::Pass, Exit::Failed));
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
        {"id": "A-3", "promise": "c", "proof": "H", "test": null, "result": "missing", "ms": 0, "tests": []}
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
H: 3 promises: 0 pass, 2 fail, 1 have no test.
3 tests took 1.23 s.
";
    assert_eq!(text, expected);
}

/// Two promises of both columns, one of each alone; the guest's tests are said to have passed or not.
fn both(in_guest: [TestResult; 2]) -> ConformanceReport {
    let table: Table = "| ID | promise | proof |\n|---|---|---|\n\
         | A-1 | a | H K |\n| A-2 | b | H K |\n| A-3 | c | H |\n| A-4 | d | K |\n"
        .parse()
        .unwrap();
    let promises: Vec<_> = table.promises().iter().collect();
    let guest = |name: &str, ids: &[&str]| Test {
        ids: ids.iter().map(|id| id.parse().unwrap()).collect(),
        suite: crate::conformance::discover::Suite::Guest(GuestKernel::Stock),
        ..Test::listed(name, "guest", &[])
    };
    let tests =
        [Test::listed("a_1_and_2_and_3_x", "k::t", &["A"]), guest("pull", &["A-1", "A-4"]), guest("unbind", &["A-1"])];
    let [pull, unbind] = in_guest;
    let ran: Vec<_> = tests.iter().zip([passed(10), pull, unbind]).collect();
    ConformanceReport::new(&promises, Columns::InProcessAndGuest, &ran, Duration::from_millis(1234))
}

#[test]
fn both_columns_are_judged_by_their_own_tests() {
    let text = both([passed(1000), failed(1000)]).text();
    let expected = "\
ID       process  guest    promise                                                   test
A-1      pass     FAIL     a                                                         guest unbind (+1)
A-2      pass     missing  b
A-3      pass              c                                                         k::t a_1_and_2_and_3_x
A-4               pass     d                                                         guest pull
H: 3 promises: 3 pass, 0 fail, 0 have no test.
K: 3 promises: 1 pass, 1 fail, 1 have no test.
3 tests took 1.23 s.
";
    assert_eq!(text, expected);
    assert_eq!(both([passed(1), passed(1)]).exit(), Exit::Failed, "one has no test in the guest");
}

#[test]
fn json_of_both_has_the_guests_proof_apart() {
    let json = serde_json::to_value(both([passed(1000), passed(1000)])).unwrap();
    assert_eq!((&json["rows"][0]["result"], &json["rows"][0]["guest"]["result"]), (&"pass".into(), &"pass".into()));
    assert_eq!(json["rows"][0]["guest"]["tests"].as_array().map(Vec::len), Some(2));
    assert!(json["rows"][2].get("guest").is_none() && json["rows"][3].get("result").is_none());
    let [hosted, kernel] = json["summary"]["counts"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!((&hosted["proof"], &hosted["pass"]), (&"H".into(), &3.into()));
    assert_eq!((&kernel["proof"], &kernel["missing"]), (&"K".into(), &1.into()));
}

/// Promises and a case of the daemon, one promise of programs in a guest; the daemon has these tests.
fn of_daemon(names: &[(&str, &str)]) -> ConformanceReport {
    let table: Table = "| ID | promise | proof |\n|---|---|---|\n\
         | AGENT-1 | a | agent |\n| AGENT-2 | b | agent (no test yet) |\n| VFIO-1 | c | guest (no test yet) |\n\n\
         | ID | case | proof |\n|---|---|---|\n| CASE-1 | d | agent |\n"
        .parse()
        .unwrap();
    let promises: Vec<_> = table.promises().iter().collect();
    let tests: Vec<_> = names.iter().map(|(target, name)| Test::listed(name, target, &table.groups())).collect();
    let ran: Vec<_> = tests.iter().map(|test| (test, passed(10))).collect();
    ConformanceReport::new(&promises, Columns::InProcess, &ran, Duration::from_millis(1234))
}

#[test]
fn a_promise_that_needs_no_test_yet_is_shown_and_fails_nothing() {
    let report = of_daemon(&[("lifeboat-agent", "agent_1_case_1_x")]);
    let expected = "\
ID       result        time  promise                                                   test
AGENT-1  pass        0.01 s  a                                                         lifeboat-agent agent_1_case_1_x
AGENT-2  untested            b                                                         no test yet
VFIO-1   untested            c                                                         no test yet
CASE-1   pass        0.01 s  d                                                         lifeboat-agent agent_1_case_1_x
agent: 2 promises: 1 pass, 0 fail, 0 have no test, 1 have none yet.
agent: 1 cases: 1 pass, 0 fail, 0 have no test.
guest: 1 promises: 0 pass, 0 fail, 0 have no test, 1 have none yet.
1 tests took 1.23 s.
";
    assert_eq!(report.text(), expected);
    assert_eq!(report.exit(), Exit::Success);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["rows"][1]["proof"], &json["rows"][1]["result"]), (&"agent".into(), &"untested".into()));
    assert_eq!(json["rows"][2]["guest"]["result"], "untested");
}

#[test]
fn a_promise_of_the_daemon_that_loses_its_tests_is_not_kept() {
    for (names, lost) in [
        (&[("lifeboat-agent", "agent_1_x")][..], "CASE-1"),
        (&[("lifeboat-recovery-policy::machine", "case_1_x")], "AGENT-1"),
        (&[("lifeboat-agent", "case_1_x"), ("lifeboat-core", "agent_1_x")], "AGENT-1"),
    ] {
        let report = of_daemon(names);
        let verdicts = report.rows.iter().map(|row| (row.id.as_str(), row.proofs().next().unwrap().result));
        let missing: Vec<_> = verdicts.filter(|(_, verdict)| *verdict == Verdict::Missing).map(|(id, _)| id).collect();
        assert_eq!((missing, report.exit()), (vec![lost], Exit::Failed));
    }
}
