//! `cargo xtask exhaust` as a developer runs it.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

#[path = "../../cli/tests/signals/mod.rs"]
mod signals;

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use signals::wait_until_it_listens;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(200);

/// The modes in which the device goes, or hangs.
const CLEAN: &[&str] = &["--mode", "unplug", "--mode", "unchecked", "--mode", "hang"];

fn exhaust(args: &[&str]) -> Output {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_lifeboat-proof"));
    command.arg("exhaust").args(args).timeout(LIMIT).output().unwrap()
}

/// Every call in every clean mode, but of the session only a few points: all of it is for the release build.
#[test]
fn call_4_the_device_is_lost_at_every_access_of_every_call() {
    let calls = lifeboat_lb1_hosted::CALLS.iter().map(|call| call.name).chain(["probe", "unbind"]);
    for call in calls {
        let output = exhaust(&[&["--call", call, "--json"], CLEAN].concat());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["failures"], output.status.code()), (&0.into(), Some(0)), "{report:#}");
        let points: u64 = report["table"].as_array().unwrap().iter().map(|line| line["points"].as_u64().unwrap()).sum();
        assert!(points > 0 && report["points"] == points, "{report:#}");
        for line in report["table"].as_array().unwrap() {
            let of = |what: &str| line[what].as_u64().unwrap();
            // At all of them, also at those that come after the call; but that interrupts may come together. In a probe and an
            // unbind somebody asks until a reset is over, sooner or later: the command itself sees to it that a point
            // is missed only by a run that had fewer accesses.
            let asked_while_waiting = ["probe", "unbind"].contains(&call);
            let least = if asked_while_waiting { 5 } else { of("accesses") - of("accesses") / 3 };
            assert!(of("reached") >= least, "{line:#}");
        }
    }
    for at in ["1", "40", "77", "150"] {
        let output = exhaust(&[&["--call", "session", "--at", at], CLEAN].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A few points of each mode that is not clean; all of them are for the release build.
#[test]
fn recov_4_whatever_untidy_happens_a_device_is_used_again_or_given_up_with_a_reason() {
    let output = exhaust(&["--sample", "400", "--seed", "3", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["failures"], output.status.code()), (&0.into(), Some(0)), "{report:#}");
    assert_eq!(report["sample"], serde_json::json!({ "every": 400, "seed": 3 }));
    let modes: std::collections::BTreeSet<&str> = report["table"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["points"] != 0)
        .map(|line| line["mode"].as_str().unwrap())
        .collect();
    for mode in ["link-down", "garbage", "lying-reset", "stuck-scanout", "swap-model", "dead-doorbell", "no-interrupts"]
    {
        assert!(modes.contains(mode), "{mode}: {report:#}");
    }
}

/// Another driver on another model, and the mistakes that its driver may make.
#[test]
fn drv_3_whatever_happens_to_another_driver_and_whatever_it_does_wrong_its_device_is_used_again() {
    let output = exhaust(&["--driver", "edu", "--sample", "29", "--seed", "4", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["failures"], output.status.code()), (&0.into(), Some(0)), "{report:#}");
    assert_eq!(report["driver"], "edu");
    for mode in ["unplug", "hang", "silent-bars", "driver-panics", "driver-stuck"] {
        let is_run = |line: &&Value| line["mode"] == mode && line["call"] == "session" && line["points"] != 0;
        assert!(report["table"].as_array().unwrap().iter().any(|line| is_run(&line)), "{mode}: {report:#}");
    }
}

#[test]
fn a_sample_has_so_many_points_and_says_which() {
    let points = |args: &[&str]| {
        let output = exhaust(&[&["--call", "map", "--json"], args, CLEAN].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let (all, half) = (points(&[]), points(&["--sample", "2", "--seed", "7"]));
    let of = |report: &Value| report["points"].as_u64().unwrap();
    assert!(of(&half).abs_diff(of(&all) / 2) <= 2, "{half:#}");
    assert_eq!((&all["sample"], &half["sample"]["seed"]), (&Value::Null, &7.into()));
}

#[test]
fn the_untidy_modes_are_those_that_are_not_clean() {
    let output = exhaust(&["--untidy", "--call", "map", "--at", "1", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let modes: Vec<&str> =
        report["table"].as_array().unwrap().iter().map(|line| line["mode"].as_str().unwrap()).collect();
    assert_eq!((modes.len(), output.status.code()), (13, Some(0)), "{report:#}");
    assert!(modes.contains(&"swap-size") && !CLEAN.iter().any(|mode| modes.contains(mode)), "{modes:?}");
}

#[test]
fn one_point_is_repeated_by_its_arguments() {
    let output = exhaust(&["--call", "map", "--at", "3", "--mode", "unplug", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["points"], &report["calls"]), (&1.into(), &1.into()));
    assert!(report["seconds"].as_f64().unwrap() > 0.0);
    assert!(report["table"][0]["accesses"].as_u64().unwrap() >= 3, "an access of this call: {report}");
}

#[test]
fn interrupted_it_prints_what_it_has_found() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lifeboat-proof"));
    let child = command.args(["exhaust", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until_it_listens(&child);
    // All of it takes minutes; how far it gets is not what is tested.
    std::thread::sleep(Duration::from_secs(1));
    for _ in 0..3 {
        assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["interrupted"], &report["failures"]), (&true.into(), &0.into()), "{report:#}");
}

#[test]
fn nonsense_is_refused_in_one_line() {
    for args in [&["--call", "nonsense"][..], &["--at", "3"], &["--call", "map", "--at", "0"], &["--mode", "flood"]] {
        let output = exhaust(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{args:?}: {stderr}");
    }
    let output = exhaust(&["--call", "map", "--at", "1000"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("map has no access 1000") && output.stdout.is_empty(), "{stderr}");
    let output = exhaust(&["--driver", "edu", "--mode", "swap-size"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("the model of edu has no swap-size") && output.status.code() == Some(2), "{stderr}");
    let output = exhaust(&["--call", "probe", "--mode", "hang"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
