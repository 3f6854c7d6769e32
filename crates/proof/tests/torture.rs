//! `cargo xtask torture` as a developer runs it.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail
#![allow(clippy::cast_precision_loss)] // small numbers

use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(200);

fn torture(args: &[&str]) -> Output {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_lifeboat-proof"));
    command.arg("torture").args(args).timeout(LIMIT).output().unwrap()
}

/// However busy the machine is: a thread that stands still for so long does so for good.
const STILL: &str = "100s";

/// The report, and that nothing was wrong.
fn report(args: &[&str]) -> Value {
    let output = torture(&[args, &["--json", "--limit", STILL]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["failures"], output.status.code()), (&0.into(), Some(0)), "{report:#}\n{stderr}");
    report
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn recov_3_whatever_happens_at_the_same_time_everything_comes_back() {
    let report = report(&["--cycles", "100", "--seed", "1"]);
    assert_eq!((&report["cycles"], &report["seed"]), (&100.into(), &1.into()), "{report:#}");
    assert!(number(&report["cycles_per_s"]) > 0.0, "{report:#}");
    // Every state and event of a slot's lifecycle is there, and what this has seen of them.
    let pairs = report["coverage"]["pairs"].as_array().unwrap();
    let seen = pairs.iter().filter(|pair| number(&pair["count"]) > 0.0).count() as f64;
    assert!(seen > 30.0 && (seen - number(&report["coverage"]["seen"])).abs() < 0.5, "{report:#}");
    assert!((number(&report["coverage"]["of"]) - pairs.len() as f64).abs() < 0.5, "{report:#}");
    for times in ["unplug_us", "recovery_us"] {
        let of = |what: &str| number(&report[times][what]);
        assert!(0.0 < of("median") && of("median") <= of("p99") && of("p99") <= of("max"), "{report:#}");
    }
    // Of each kind some, and everybody has worked.
    let planned = report["faults"].as_object().unwrap().values().map(|met| number(&met["planned"])).sum::<f64>();
    assert!((planned - 100.0).abs() < 0.5 && report["faults"].as_object().unwrap().len() > 15, "{report:#}");
    // What has happened has met a slot in some state.
    for (kind, met) in report["faults"].as_object().unwrap() {
        let states = met["states"].as_object().unwrap();
        assert!(number(&met["happened"]) < 0.5 || !states.is_empty(), "{kind}: {report:#}");
    }
    assert_eq!(report["clients"].as_object().unwrap().len(), 7, "{report:#}");
    assert!(number(&report["unplugs"]) > 50.0, "{report:#}");
}

/// Another driver on another model.
#[test]
fn recov_3_another_driver_comes_back_from_whatever_happens_to_it() {
    let report = report(&["--driver", "edu", "--cycles", "60", "--seed", "1", "--lanes", "3"]);
    assert_eq!((&report["driver"], &report["cycles"]), (&"edu".into(), &60.into()), "{report:#}");
    for kind in ["removal-at-access", "driver-panics"] {
        assert!(number(&report["faults"][kind]["happened"]) > 0.0, "{kind}: {report:#}");
    }
}

#[test]
fn the_same_seed_lets_the_same_things_happen() {
    let faults = |args: &[&str]| {
        let report = report(args);
        let planned = report["faults"].as_object().unwrap().iter();
        Value::Object(planned.map(|(kind, met)| (kind.clone(), met["planned"].clone())).collect())
    };
    let whole = faults(&["--cycles", "24", "--seed", "5", "--lanes", "3"]);
    assert_eq!(whole, faults(&["--cycles", "24", "--seed", "5", "--lanes", "3"]));
    assert_ne!(whole, faults(&["--cycles", "24", "--seed", "6", "--lanes", "3"]));
    // And from any cycle on.
    let (first, rest) =
        (faults(&["--cycles", "10", "--seed", "5"]), faults(&["--cycles", "14", "--skip", "10", "--seed", "5"]));
    for (kind, count) in whole.as_object().unwrap() {
        let of = |part: &Value| part.get(kind).map_or(0.0, number);
        assert!((of(&first) + of(&rest) - number(count)).abs() < 0.5, "{kind}: {whole:#} {first:#} {rest:#}");
    }
}

#[test]
fn only_what_is_asked_for_happens() {
    let report =
        report(&["--cycles", "8", "--seed", "1", "--lanes", "2", "--fault", "unload", "--fault", "forced-unbind"]);
    let kinds: Vec<&String> = report["faults"].as_object().unwrap().keys().collect();
    assert_eq!(kinds, ["forced-unbind", "unload"]);
    // Both devices of a bus go in each of them.
    assert!(number(&report["unplugs"]) >= 2.0 * number(&report["cycles"]), "{report:#}");
}

#[test]
fn who_interrupts_it_gets_the_report_so_far() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lifeboat-proof"))
        .args(["torture", "--time", "1h", "--seed", "3", "--json", "--limit", STILL])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It has begun when its machines have their threads.
    let tasks = format!("/proc/{}/task", child.id());
    let threads = || std::fs::read_dir(&tasks).map_or(0, Iterator::count);
    let begun = Instant::now();
    while threads() < 20 {
        assert!(begun.elapsed() < LIMIT, "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((child.wait().unwrap().code(), &report["interrupted"]), (Some(130), &true.into()), "{report:#}");
    assert_eq!(report["failures"], 0, "{report:#}");
}

#[test]
fn nonsense_is_refused_in_one_line() {
    for args in [
        &["--cycles", "0"][..],
        &["--cycles", "5", "--time", "5s"],
        &["--time", "soon"],
        &["--time", "1ms"],
        &["--lanes", "0"],
        &["--fault", "flood"],
        &["--limit", "1ms"],
    ] {
        let output = torture(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{args:?}: {stderr}");
    }
    let output = torture(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    for word in ["--seed", "removal-in-recovery", "Not decided are the moments", "stands still"] {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
}
