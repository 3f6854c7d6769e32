use serde_json::Value;

use super::*;
use crate::exit::Exit;

fn fate(fault: &str, job: Option<u64>, counts: Option<(&'static str, &'static str, u64)>) -> Fate {
    let at = job.map(|job| Place { device: 1, access: 80, job, reset: 1 });
    Fate { fault: fault.to_owned(), fired: at.is_some(), at, counts }
}

/// A run in which the device was lost once and every promise was kept.
fn good() -> RunReport {
    RunReport {
        picture: PictureSummary { width: 1600, height: 1000, source: "bundled picture".to_owned(), notes: Vec::new() },
        filter: Filter::Sobel,
        clients: 4,
        tile: 256,
        repeat: 300,
        device: None,
        faults: vec![fate("unplug@40%,replug:200ms", Some(9), None)],
        allow_unfired: false,
        jobs: Jobs { submitted: 25_212, completed: 25_200, lost: 0, resubmitted: 12 },
        fences: Fences { created: 25_212, signalled: 25_212, by_error: BTreeMap::from([("ENODEV".to_owned(), 12)]) },
        unplugs: 1,
        replugs: 1,
        incidents: Incidents { losses: BTreeMap::from([("unplugged".to_owned(), 1)]), ..Incidents::default() },
        dumps: Vec::new(),
        events_lost: None,
        longest_wait_us: 3_120,
        output_matches_reference: true,
        tiles: Tiles { all: 8_400, done: 8_400, unequal: 0 },
        saved: None,
        not_saved: None,
        mismatch: None,
        interrupted: false,
        seconds: 4.2,
        outage_seconds: 0.203,
        mpixel_per_s: 120.0,
        peak_memory_bytes: Some(95 << 20),
        built_in: Some(BuiltIn {
            seed: 42,
            unplug_us: Spread { median: 412, max: 412 },
            handles_open_at_end: 0,
            leaks: BTreeMap::new(),
            witness_violations: Vec::new(),
            flips: 210,
            scanout_matches: Some(true),
        }),
    }
}

fn inside(report: &mut RunReport) -> &mut BuiltIn {
    report.built_in.as_mut().unwrap()
}

fn changed(change: impl FnOnce(&mut RunReport)) -> RunReport {
    let mut report = good();
    change(&mut report);
    report
}

#[test]
fn each_broken_promise_alone_fails_the_run() {
    for (change, reason, says) in [
        (
            (|r| (r.jobs.lost, r.jobs.completed) = (1, 25_199)) as fn(&mut RunReport),
            Reason::JobsLost(1),
            "1 job was never done",
        ),
        (|r| r.jobs.completed -= 2, Reason::JobsUnaccounted(2), "not accounted for: 2"),
        (|r| r.fences.signalled -= 3, Reason::FencesUnbalanced(3), "not signalled exactly once: 3"),
        (|r| r.fences.signalled += 1, Reason::FencesUnbalanced(1), "not signalled exactly once: 1"),
        (|r| inside(r).handles_open_at_end = 1, Reason::HandlesOpen(1), "open handles  1"),
        (
            |r| inside(r).leaks = BTreeMap::from([("Buffer".to_owned(), 4)]),
            Reason::Leaked(vec!["Buffer".to_owned()]),
            "Buffer",
        ),
        (
            |r| inside(r).witness_violations.push("doorbell to a stopped ring 1".to_owned()),
            Reason::Violations(1),
            "  doorbell to a stopped ring 1",
        ),
        (
            |r| (r.output_matches_reference, r.tiles.unequal) = (false, 2),
            Reason::WrongOutput,
            "the same each time: 2 tiles of later rounds differed",
        ),
        (|r| inside(r).scanout_matches = Some(false), Reason::WrongScanout, "SOMETHING ELSE"),
    ] {
        let report = changed(change);
        assert_eq!(report.verdict(), Verdict::Broken(vec![reason.clone()]));
        assert_eq!(report.verdict().exit(), Exit::Failed);
        let text = report.to_string();
        assert!(text.contains(says) && text.contains("\nFAILED: ") && text.contains(&reason.to_string()), "{text}");
    }
}

#[test]
fn all_broken_promises_are_named() {
    let report = changed(|r| {
        r.output_matches_reference = false;
        inside(r).handles_open_at_end = 2;
    });
    assert!(report.to_string().ends_with("FAILED: the output does not match the reference; handles left open: 2.\n"));
}

#[test]
fn a_kept_promise_is_said_plainly() {
    let report = good();
    assert_eq!((report.verdict(), report.verdict().exit()), (Verdict::Kept, Exit::Success));
    assert!(report.to_string().ends_with("\nOK: nothing was lost, leaked or violated.\n"));
}

#[test]
fn an_unfinished_picture_is_not_called_a_wrong_one() {
    let report = changed(|r| (r.output_matches_reference, r.tiles.done) = (false, 11));
    assert_eq!(report.verdict(), Verdict::Broken(vec![Reason::Unfinished(report.tiles)]));
    let text = report.to_string();
    assert!(text.contains("There is no whole picture to check: 11 of 8400 tiles are done."), "{text}");
    assert!(text.ends_with("FAILED: the picture is not whole: 11 of 8400 tiles are done.\n"), "{text}");
    assert!(!text.contains("match") && !text.contains("could not be checked"), "{text}");
}

#[test]
fn a_wedged_device_is_not_called_one_that_vanished() {
    let wedging = Wedging {
        at_seconds: 1.5,
        failure: "its reset failed".to_owned(),
        helps: vec!["rebind".to_owned(), "bus-reset".to_owned()],
        over: false,
    };
    let mut report = changed(|r| {
        (r.unplugs, r.replugs) = (2, 1);
        r.incidents.losses = BTreeMap::from([("crashed".to_owned(), 1), ("wedged".to_owned(), 1)]);
        r.incidents.wedged = vec![wedging];
    });
    let text = report.to_string();
    assert!(text.contains("The GPU failed once, was wedged once while it worked and came back once."), "{text}");
    assert!(
        text.contains("It is wedged since 1.50 s after the start: its reset failed. What helps: rebind, bus-reset, or"),
        "{text}"
    );
    assert!(!text.contains("vanished"), "{text}");
    report.incidents.wedged[0].over = true;
    assert!(report.to_string().contains("One was wedged 1.50 s after the start"));
}

#[test]
fn why_no_device_could_be_bound_is_said_once_for_each_reason() {
    let failure = |at_seconds, why: &str| BindFailure { at_seconds, why: why.to_owned() };
    let failures =
        vec![failure(0.25, "it shows no life"), failure(0.5, "no memory"), failure(0.75, "it shows no life")];
    let text = changed(|r| {
        (r.unplugs, r.jobs) = (0, Jobs::default());
        r.incidents = Incidents { bind_failures: failures, ..Incidents::default() };
    });
    let text = text.to_string();
    assert!(
        text.contains("A GPU could not be bound, 2 times, first 0.25 s after the start: it shows no life."),
        "{text}"
    );
    assert!(text.contains("A GPU could not be bound, once, first 0.50 s after the start: no memory."), "{text}");
    assert!(!text.contains("stayed in its slot"), "{text}");
}

#[test]
fn an_interruption_excuses_unfinished_work_but_no_leak() {
    let unfinished = |r: &mut RunReport| {
        r.interrupted = true;
        r.jobs.completed = 100;
        r.jobs.lost = 4;
        r.tiles.done = 33;
        r.output_matches_reference = false;
    };
    let report = changed(unfinished);
    assert_eq!((report.verdict(), report.verdict().exit()), (Verdict::Interrupted, Exit::Interrupted));
    let leaky = changed(|r| {
        unfinished(r);
        r.fences.signalled -= 1;
    });
    assert_eq!(leaky.verdict().exit(), Exit::Failed);
}

/// The names are an interface; scripts read them.
#[test]
fn the_json_has_exactly_these_fields() {
    let json = serde_json::to_value(good()).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&json),
        [
            "allow_unfired",
            "bind_failures",
            "clients",
            "device",
            "dumps",
            "events_lost",
            "faults",
            "fences",
            "filter",
            "flips",
            "handles_open_at_end",
            "interrupted",
            "jobs",
            "leaks",
            "left_alone",
            "longest_wait_us",
            "losses",
            "mpixel_per_s",
            "outage_seconds",
            "output_matches_reference",
            "peak_memory_bytes",
            "picture",
            "repeat",
            "replugs",
            "saved",
            "scanout_matches",
            "seconds",
            "seed",
            "tile",
            "tiles",
            "unplug_us",
            "unplugs",
            "wedged",
            "witness_violations",
        ]
    );
    assert_eq!(names(&json["jobs"]), ["completed", "lost", "resubmitted", "submitted"]);
    assert_eq!(names(&json["fences"]), ["by_error", "created", "signalled"]);
    assert_eq!(names(&json["unplug_us"]), ["max", "median"]);
    assert_eq!(json["fences"]["by_error"]["ENODEV"], 12);
    assert_eq!(json["filter"], "sobel");
    assert_eq!(json["leaks"], serde_json::json!({}));
}

#[test]
fn the_text_in_full() {
    let expected = "\
sobel over bundled picture (1600 x 1000 pixels), 300 times, by 4 clients in tiles of 256 pixels; seed 42

What happened
  The GPU vanished once while it worked and came back once.
  12 jobs ended in an error; each waiter was told at once what had become of its job.
  The clients submitted 12 jobs again.
  Nobody waited longer than 3.1 ms for a job or a flip.
  The picture that came out equals the one computed on the CPU, bit for bit.

Faults
  unplug@40%,replug:200ms  fired at access 80, job 9

In numbers
  Jobs        25,212 submitted, 25,200 completed, 12 submitted again, 0 lost
  Fences      25,212 created, 25,212 signalled; with an error: ENODEV 12
  Unplug      took 412 \u{b5}s (median), 412 \u{b5}s (longest); 0.20 s without a GPU
  Display     210 flips; the screen shows the result
  Time        4.20 s
  Speed       120.0 Mpixel/s while there was a GPU
  Memory      95 MiB at most

OK: nothing was lost, leaked or violated.
";
    assert_eq!(good().to_string(), expected);
}

/// Into a driver and a device that are not its own the command cannot look: it says nothing of them.
#[test]
fn of_a_given_device_only_what_can_be_known_is_said() {
    let report = changed(|r| {
        r.device = Some("0000:01:00.0".to_owned());
        r.built_in = None;
        r.faults.clear();
    });
    let text = report.to_string();
    assert!(text.contains("in tiles of 256 pixels; on 0000:01:00.0\n"), "{text}");
    assert!(text.contains("for a job.\n") && text.contains("  Unplug      0.20 s without a GPU\n"), "{text}");
    assert!(!text.contains("Display") && !text.contains("seed"), "{text}");
    assert!(text.ends_with("\nOK: nothing was lost, and every fence signalled.\n"), "{text}");
    assert_eq!(report.verdict(), Verdict::Kept);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["device"], "0000:01:00.0");
    assert!(["seed", "leaks", "witness_violations", "flips"].iter().all(|name| json.get(name).is_none()), "{json:#}");
}

#[test]
fn a_fault_that_never_came_is_said_and_is_no_success() {
    let report = changed(|r| r.faults.push(fate("hang@job:99999", None, Some(("job", "jobs", 84)))));
    assert_eq!((report.verdict(), report.verdict().exit() as u8), (Verdict::NotAsAsked(1), 3));
    let text = report.to_string();
    assert!(text.contains("  hang@job:99999           never came: no device had more than 84 jobs\n"), "{text}");
    assert!(text.contains("\nNOT AS ASKED: ") && text.contains("1 fault never came"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["faults"][0]["at"]["job"], 9);
    assert_eq!(json["faults"][1], serde_json::json!({"fault": "hang@job:99999", "fired": false, "at": null}));
    let allowed = RunReport { allow_unfired: true, ..report };
    assert_eq!(allowed.verdict(), Verdict::Kept);
    let lossy = RunReport { interrupted: true, allow_unfired: false, ..allowed };
    assert_eq!(lossy.verdict(), Verdict::Interrupted, "what was asked for could not come");
}

#[test]
fn files_with_dumps_are_named() {
    let text = changed(|r| r.dumps = vec!["d/dump-0001.json".to_owned(), "d/\x1b[2J.json".to_owned()]).to_string();
    assert!(text.contains("\n  Dumps       d/dump-0001.json, d/ [2J.json\n"), "{text}");
}

#[test]
fn events_are_mentioned_if_some_did_not_arrive() {
    let text = |lost| changed(|r| r.events_lost = lost).to_string();
    assert!(text(Some(2)).contains("\n  Events      2 did not arrive\n"));
    assert!(!text(Some(0)).contains("Events"));
}

#[test]
fn spread_of_durations() {
    let of = |values: &[u64]| Spread::of(values.iter().map(|&us| Duration::from_micros(us)));
    assert_eq!(of(&[]), Spread { median: 0, max: 0 });
    assert_eq!(of(&[9, 1, 5]), Spread { median: 5, max: 9 });
    assert_eq!(of(&[9, 1]), Spread { median: 9, max: 9 });
}
