//! `lifeboat run` as a user runs it: the binary, its report and its exit code.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod signals;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use signals::wait_until_it_listens;

/// A small picture of noise: every pixel that is lost, moved or computed wrongly shows.
fn noise(path: &Path, width: u32, height: u32) {
    let mut random = fastrand::Rng::with_seed(7);
    let pixels: Vec<u8> = (0..width * height * 4).map(|_| random.u8(..)).collect();
    image::save_buffer(path, &pixels, width, height, image::ExtendedColorType::Rgba8).unwrap();
}

/// Longer than any run here takes, however loaded the machine; a run that takes longer has hung, and is killed.
const LIMIT: Duration = Duration::from_secs(100);

// Where jobs hang on purpose, others must not seem to on a busy machine: they have two seconds.
fn lifeboat(args: &[&str]) -> Output {
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .env("LIFEBOAT_LINT", "panic")
        .arg("run")
        .args(args)
        .timeout(LIMIT)
        .output()
        .unwrap()
}

/// Runs with a JSON report; the exit code must be `code`.
fn report(args: &[&str], code: i32) -> Value {
    let output = lifeboat(&[args, &["--report", "json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What must hold after every run that was meant to succeed.
fn check(report: &Value) {
    let number = |value: &Value| value.as_u64().unwrap();
    let jobs = &report["jobs"];
    assert_eq!(number(&jobs["lost"]), 0);
    assert_eq!(number(&jobs["submitted"]), number(&jobs["completed"]) + number(&jobs["resubmitted"]));
    assert_eq!(report["fences"]["created"], report["fences"]["signalled"]);
    assert_eq!(number(&report["handles_open_at_end"]), 0);
    assert_eq!(report["leaks"], serde_json::json!({}));
    assert_eq!(report["witness_violations"], serde_json::json!([]));
    assert_eq!(report["output_matches_reference"], true);
}

#[test]
fn without_faults_every_job_runs_once() {
    let report = report(&["--no-faults", "--repeat", "2", "--seed", "5"], 0);
    check(&report);
    // 7 x 4 tiles, 3 jobs each, twice.
    assert_eq!(report["jobs"]["submitted"], 168);
    assert_eq!((&report["unplugs"], &report["jobs"]["resubmitted"]), (&0.into(), &0.into()));
    assert_eq!(report["seed"], 5);
    assert_eq!(report["scanout_matches"], true);
}

#[test]
fn progress_can_be_lines_for_what_is_no_terminal() {
    for (form, most) in [(&["--progress", "lines"][..], 30), (&[], 0), (&["-q"], 0)] {
        let output = lifeboat(&[&["--no-faults", "--image", "assets/lifeboat.png"], form].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.lines().count() <= most && told.lines().all(|line| line.starts_with("lifeboat: ")), "{told}");
        assert_eq!(told.contains("lifeboat: 28 of 28 tiles are done\n"), most > 0, "{told}");
    }
}

#[test]
fn the_result_is_saved_and_is_the_same_with_and_without_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (input, calm, lossy) = (path("in.png"), path("calm.png"), path("lossy.png"));
    let (drawing, trace) = (path("t.svg"), path("t.json"));
    noise(Path::new(&input), 300, 200);
    check(&report(&["--image", &input, "--tiles", "32", "--out", &calm, "--timeline", &trace], 0));
    let fault = "unplug@50%,replug:20ms";
    let lost =
        report(&["--image", &input, "--tiles", "32", "--out", &lossy, "--timeline", &drawing, "--fault", fault], 0);
    check(&lost);
    assert_eq!((&lost["unplugs"], &lost["replugs"]), (&1.into(), &1.into()));
    let pixels = |path: &str| image::open(path).unwrap().to_rgba8().into_raw();
    assert_eq!(pixels(&calm), pixels(&lossy));
    assert_ne!(pixels(&calm), pixels(&input));
    assert_eq!(lost["saved"], lossy.as_str());
    assert!(std::fs::read_to_string(drawing).unwrap().starts_with("<svg"));
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(trace).unwrap()).unwrap();
    assert!(trace["traceEvents"].as_array().unwrap().len() > 70);
}

#[test]
fn of_each_fault_the_report_says_where_it_fired_or_that_it_never_came() {
    // Two that come, one at a time when no job is left to hit, and two at what there is not.
    let faults = ["unplug@job:20,replug:5ms", "hang@job:21", "hang@100%", "unplug@job:99999", "failed-reset@reset:99"];
    let args: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let args = [&args[..], &["--timeout", "2s"]].concat();
    let asked = report(&args, 3);
    check(&asked);
    let fates = asked["faults"].as_array().unwrap();
    let told: Vec<_> =
        fates.iter().map(|fate| (fate["fault"].as_str().unwrap(), fate["fired"].as_bool().unwrap())).collect();
    assert_eq!(told, faults.into_iter().zip([true, true, false, false, false]).collect::<Vec<_>>(), "{asked:#}");
    assert_eq!((&fates[0]["at"]["device"], &fates[0]["at"]["job"]), (&1.into(), &20.into()));
    assert_eq!(fates[1]["at"]["job"], 21);

    let allowed = lifeboat(&[&args[..], &["--allow-unfired"]].concat());
    let text = String::from_utf8(allowed.stdout).unwrap();
    assert_eq!(allowed.status.code(), Some(0), "{text}");
    assert!(text.contains("  unplug@job:20,replug:5ms  fired at job 20, access "), "{text}");
    assert!(text.contains("  unplug@job:99999          never came: no device had more than "), "{text}");
}

/// The line that README gives to try: all of its faults come, whatever the size of the picture and the speed of the machine.
#[test]
fn the_faults_of_the_readme_all_come() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let (_, line) = readme.split_once("run --image photo.jpg").unwrap();
    let (line, _) = line.split_once("\n$").unwrap();
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "\\").collect();
    let faults: Vec<&str> = words.windows(2).filter(|pair| pair[0] == "--fault").flatten().copied().collect();
    assert_eq!(faults.len(), 6, "{line}");
    for tiles in ["256", "96"] {
        let report = report(&[&faults[..], &["--filter", "emboss", "--tiles", tiles]].concat(), 0);
        check(&report);
        assert!(report["faults"].as_array().unwrap().iter().all(|fate| fate["fired"] == true), "{report:#}");
    }
}

#[test]
fn wedge_4_a_dump_of_each_incident_is_saved_and_can_be_shown() {
    let dir = tempfile::tempdir().unwrap();
    let dumps = dir.path().join("dumps");
    let args = ["--fault", "hang@job:17", "--fault", "fault@job:60", "--timeout", "2s", "--seed", "1"];
    let report = report(&[&args[..], &["--repeat", "3", "--dump-dir", dumps.to_str().unwrap()]].concat(), 0);
    check(&report);
    let files: Vec<&str> = report["dumps"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(std::fs::read_dir(&dumps).unwrap().count(), 2, "nothing else is left there");
    for (file, says) in files.iter().zip(["a job on ring", "stopped with a fault"]) {
        let show = |more: &[&str]| {
            let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_lifeboat"));
            command.args(["dump", "show", file]).args(more).timeout(LIMIT).output().unwrap()
        };
        let shown = show(&[]);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.status.success() && text.contains(says) && text.contains("Guilty    context"), "{text}");
        let json: Value = serde_json::from_slice(&show(&["--json"]).stdout).unwrap();
        assert_eq!((&json["format"], &json["version"]), (&"lifeboat-dump".into(), &1.into()));
    }
}

#[test]
fn hangs_faults_and_lost_interrupts_are_survived() {
    let faults = ["hang@job:17", "fault@job:40", "lost-irq@job:60", "spurious-irq@50%", "slow:1ms@90%"];
    let args: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let report = report(&[&args[..], &["--timeout", "2s", "--seed", "1"]].concat(), 0);
    check(&report);
    assert_eq!(report["fences"]["by_error"]["ETIME"], 2, "the hung job and the faulty one");
    assert_eq!(report["unplugs"], 0);
}

#[test]
fn a_ring_that_cannot_be_reset_costs_a_reset_and_a_device_that_cannot_is_bound_again() {
    let ring = ["--fault", "hang@job:20", "--fault", "failed-reset@reset:2", "--timeout", "2s"];
    let survived = report(&ring, 0);
    check(&survived);
    assert_eq!((&survived["unplugs"], &survived["fences"]["by_error"]["ETIME"]), (&0.into(), &1.into()));
    let bound_again = report(&[&ring[..], &["--fault", "failed-reset@reset:3"]].concat(), 0);
    check(&bound_again);
    assert_eq!((&bound_again["unplugs"], &bound_again["replugs"]), (&1.into(), &1.into()));
}

#[test]
fn a_device_that_is_wedged_is_called_wedged_and_what_helps_is_said() {
    let faults = ["hang@job:20", "failed-reset@reset:2", "failed-reset@reset:3"];
    let args: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).chain(["--recoveries", "0"]).collect();
    let output = lifeboat(&args);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("The GPU was wedged once while it worked and did not come back."), "{text}");
    assert!(text.contains("It is wedged since ") && text.contains("What helps: rebind, bus-reset"), "{text}");
    assert!(text.contains("the picture is not whole") && !text.contains("does not match"), "{text}");
    let report = report(&args, 1);
    assert_eq!(report["losses"], serde_json::json!({"wedged": 1}), "{report:#}");
    assert_eq!(report["wedged"][0]["helps"], serde_json::json!(["rebind", "bus-reset"]));
    assert!(report["wedged"][0]["at_seconds"].as_f64().unwrap() > 0.5, "after the time a job may take");
}

#[test]
fn a_device_that_cannot_be_bound_says_why() {
    // In the first it never works, in the second the one that comes instead works.
    for (fault, code, says) in [
        ("unplug@access:3", 1, "There was no GPU to work with."),
        ("failed-reset@reset:1,replug:5ms", 0, "A GPU could not be bound, once"),
    ] {
        let output = lifeboat(&["--fault", fault, "--recoveries", "0"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(says) && text.contains("A GPU could not be bound, "), "{text}");
        let report = report(&["--fault", fault, "--recoveries", "0"], code);
        assert!(!report["bind_failures"][0]["why"].as_str().unwrap().is_empty(), "{report:#}");
    }
}

#[test]
fn a_hung_device_can_be_replaced_by_another() {
    // The hang would be noticed after a minute; the operator is quicker.
    let report = report(&["--fault", "hang@job:20,replug:50ms", "--timeout", "1m"], 0);
    check(&report);
    assert_eq!((&report["unplugs"], &report["replugs"]), (&1.into(), &1.into()));
    assert!(report["fences"]["by_error"]["ETIME"].is_null());
}

#[test]
fn a_job_that_fails_again_and_again_ends_the_run() {
    // Nothing completes within this time on a device this slow.
    let report = report(&["--fault", "slow:50ms@job:1", "--timeout", "5ms", "--clients", "1"], 1);
    assert_eq!(report["output_matches_reference"], false);
    assert!(report["jobs"]["lost"].as_u64().unwrap() > 0);
    assert!(report["fences"]["by_error"]["ETIME"].as_u64().unwrap() >= 20);
    assert_eq!(report["leaks"], serde_json::json!({}));
}

#[test]
fn several_losses_in_one_run() {
    let faults = [
        "unplug@20%,replug:10ms",
        "unplug@access:2000,replug:5ms",
        "unplug@job:100,replug:0ms",
        "unplug@70%,replug:10ms",
    ];
    let args: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let report = report(&[&args[..], &["--repeat", "8", "--allow-unfired"]].concat(), 0);
    check(&report);
    assert!(report["unplugs"].as_u64().unwrap() >= 2, "{report}");
    assert_eq!(report["unplugs"], report["replugs"]);
}

#[test]
fn a_device_that_does_not_come_back_fails_the_run_and_says_what_is_lost() {
    let report = report(&["--fault", "unplug@40%"], 1);
    assert_eq!(report["output_matches_reference"], false);
    assert_eq!((&report["unplugs"], &report["replugs"]), (&1.into(), &0.into()));
    let jobs = &report["jobs"];
    let sum = ["completed", "resubmitted", "lost"].iter().map(|name| jobs[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(jobs["submitted"].as_u64().unwrap(), sum);
    assert_eq!(report["leaks"], serde_json::json!({}));
    assert_eq!(report["fences"]["created"], report["fences"]["signalled"]);
}

/// A picture that somebody has, in a folder of its own.
fn precious() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.png");
    std::fs::write(&path, "precious").unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn check_untouched(folder: &tempfile::TempDir, path: &str) {
    assert_eq!(std::fs::read_to_string(path).unwrap_or_else(|_| "another picture".to_owned()), "precious");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
}

#[test]
fn a_run_that_fails_leaves_the_picture_that_was_there() {
    for faults in [&["--fault", "unplug@0%"][..], &["--fault", "unplug@60%"], &["--fault", "swap-model@10%"]] {
        let (folder, path) = precious();
        let report = report(&[faults, &["--out", &path]].concat(), 1);
        check_untouched(&folder, &path);
        assert_eq!(report["saved"], Value::Null);
    }
}

#[test]
fn a_run_that_is_interrupted_leaves_the_picture_that_was_there() {
    for more in [&[][..], &["--fault", "unplug@job:40,replug:1m", "--timeout", "1m"]] {
        let (folder, path) = precious();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(["run", "--repeat", "100000", "--out", &path]).args(more);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The run has claimed its place when there is a second file.
        while std::fs::read_dir(folder.path()).unwrap().count() < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("result.png is as it was"), "{text}");
        check_untouched(&folder, &path);
    }
}

#[test]
fn bad_files_give_one_line_and_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (text, missing, wide) = (path("notes.png"), path("missing.png"), path("wide.png"));
    std::fs::write(&text, "not a picture").unwrap();
    noise(Path::new(&wide), 8193, 1);
    for args in [
        &["--image", &text][..],
        &["--image", &missing],
        &["--image", &wide],
        &["--image", dir.path().to_str().unwrap()],
        &["--out", &path("result.jpg")],
        &["--out", &path("no/such/dir/result.png")],
        &["--timeline", &path("timeline.txt")],
        &["--clients", "64", "--tiles", "2048", "--vram", "16"],
    ] {
        let output = lifeboat(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!(error.matches('\n').count(), 1, "{args:?}: {error}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing was left behind");
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_as_cleanly_as_the_first() {
    let (folder, path) = precious();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.args(["run", "--repeat", "100000", "--report", "json", "--out", &path]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while std::fs::read_dir(folder.path()).unwrap().count() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..5 {
        assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    check_untouched(&folder, &path);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_cleanly_with_a_report() {
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .args(["run", "--repeat", "100000", "--report", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_it_listens(&child);
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["leaks"], serde_json::json!({}));
    assert_eq!(report["fences"]["created"], report["fences"]["signalled"]);
}

/// A removal at a random moment.
fn removal() -> impl Strategy<Value = String> {
    let at = prop_oneof![
        (0..100u32).prop_map(|percent| format!("{percent}%")),
        (1..4000u32).prop_map(|access| format!("access:{access}")),
        (1..500u32).prop_map(|job| format!("job:{job}")),
        (1..3u32).prop_map(|reset| format!("reset:{reset}")),
    ];
    (at, 0..30u32).prop_map(|(at, replug)| format!("unplug@{at},replug:{replug}ms"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 20, ..ProptestConfig::default() })]

    /// Any number of clients, any tile size, any two removals: the picture is right, and nothing is lost or leaked.
    /// A failing case prints its arguments; its seed is kept by proptest.
    #[test]
    fn any_removal_is_survived(
        clients in 1..12u32, tile in 16..200u32, seed: u64, first in removal(), second in removal(),
    ) {
        let (clients, tile, seed) = (clients.to_string(), tile.to_string(), seed.to_string());
        let args = ["--clients", &clients, "--tiles", &tile, "--seed", &seed, "--fault", &first, "--fault", &second];
        check(&report(&[&args[..], &["--allow-unfired"]].concat(), 0));
    }
}

#[test]
fn events_reach_who_listens_and_nobody_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("uevents");
    let args = ["--fault", "unplug@40%,replug:20ms", "--events", socket.to_str().unwrap()];
    let nobody = lifeboat(&args);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nobody listens at"), "{nobody:?}");

    let listener = UnixDatagram::bind(&socket).unwrap();
    listener.set_read_timeout(Some(LIMIT)).unwrap();
    let heard = std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        let mut next = || {
            let length = listener.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).split('\0').nth(1).unwrap().to_owned()
        };
        [next(), next(), next(), next()]
    });
    let report = report(&args, 0);
    check(&report);
    assert_eq!(report["events_lost"], 0);
    assert_eq!(heard.join().unwrap(), ["ACTION=add", "ACTION=remove", "ACTION=add", "ACTION=remove"]);
}

#[test]
fn wedge_3_who_listens_hears_what_would_help_a_device_that_is_recovered_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("uevents");
    let listener = UnixDatagram::bind(&socket).unwrap();
    listener.set_read_timeout(Some(LIMIT)).unwrap();
    let heard = std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        loop {
            let length = listener.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if let Some(wedged) = text.split('\0').find(|variable| variable.starts_with("WEDGED=")) {
                return (wedged.to_owned(), text.starts_with("change@"));
            }
        }
    });
    // Its heartbeat stands still while the last of the work hangs, so the run outlasts three looks.
    let faults = ["--fault", "stuck-heartbeat@job:17,replug:2s", "--fault", "hang@job:18"];
    let patience = ["--timeout", "1m", "--watch", "10ms", "--recoveries", "0", "--repeat", "1"];
    let report = report(&[&faults[..], &patience, &["--events", socket.to_str().unwrap()]].concat(), 0);
    check(&report);
    assert_eq!(heard.join().unwrap(), ("WEDGED=rebind,bus-reset".to_owned(), true));
    assert_eq!((&report["unplugs"], &report["replugs"]), (&1.into(), &1.into()), "one that is wedged is lost once");
}
