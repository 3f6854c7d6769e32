use std::time::Duration;

use lifeboat_recovery_policy::policy::{Policy, StepKind, Threshold, Unknown};
use lifeboat_recovery_policy::survey::Protection;
use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../policy.d/50-example.toml");
const RULE: &str = "[[device]]\nname = \"a\"\nmatch = { slot = \"*\" }\n";

fn files<const N: usize>(texts: [&str; N]) -> Vec<(PathBuf, String)> {
    let name = |index| PathBuf::from(format!("{index}.toml"));
    texts.iter().enumerate().map(|(index, text)| (name(index), (*text).to_owned())).collect()
}

fn config(text: &str) -> Config {
    parse(&files([text])).unwrap_or_else(|problems| panic!("{problems}"))
}

fn errors(text: &str) -> Vec<String> {
    parse(&files([text])).unwrap_err().0.iter().map(ToString::to_string).collect()
}

fn warnings(text: &str) -> Vec<String> {
    config(text).warnings.iter().map(ToString::to_string).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn subject(driver: &str, id: &str, slot: &str, class: u32) -> Subject {
    Subject { driver: Some(driver.into()), id: id.into(), slot: slot.into(), class }
}

#[test]
fn agent_23_the_mode_is_observe_as_shipped() {
    assert_eq!(Config::default().host.mode, Mode::Observe);
    assert_eq!(config("").host.mode, Mode::Observe);
    let folder = tempfile::tempdir().unwrap();
    let absent = load(&folder.path().join("policy.d")).unwrap();
    assert_eq!(absent.host.mode, Mode::Observe);
    assert!(absent.rules.all().is_empty() && absent.warnings.len() == 1);
    let shipped = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policy.d")).unwrap();
    assert_eq!(shipped.host.mode, Mode::Observe);
    assert_eq!(config("[host]\nmode = \"act\"").host.mode, Mode::Act);
}

#[test]
fn the_example_says_what_it_means() {
    let config = config(EXAMPLE);
    assert_eq!(config.warnings, []);
    let rule = &config.rules.all()[0];
    let policy = &rule.policy;
    assert_eq!(policy.name, "xe-compute");
    assert_eq!((policy.waived.as_slice(), policy.unknown), ([].as_slice(), Unknown::Hold));
    assert_eq!(policy.signals.all_ones, Threshold { times: 3, within: seconds(6) });
    assert_eq!((policy.holders.wait, policy.holders.term, policy.holders.kill), (seconds(60), None, None));
    assert!(rule.never[0].matches("systemd-logind"));
    let steps = policy.steps.iter().map(|step| (step.kind, step.tries, step.deadline.as_secs(), step.confirm));
    let expected = [
        (StepKind::Rebind, 2, 180, false),
        (StepKind::BusReset, 1, 300, false),
        (StepKind::PowerCycle, 1, 300, false),
        (StepKind::Vendor, 1, 1800, true),
    ];
    assert_eq!(steps.collect::<Vec<_>>(), expected);
    assert_eq!((policy.steps[3].case.as_str(), policy.steps[3].run.as_str()), ("xe/firmware-flash", "fwupd"));
    assert_eq!(rule.extras.len(), 4);
    assert!(rule.extras[1].with[0].matches("040300"));
    assert_eq!((policy.budget.attempts, policy.budget.per), (3, seconds(86_400)));
    assert_eq!(policy.budget.backoff, [seconds(60), seconds(600)]);
    let nvidia = &config.rules.all()[1].policy;
    assert_eq!(nvidia.signals.log, [("xid".into(), "79".into()), ("xid".into(), "154".into())]);
    assert_eq!((config.host.breaker_devices, config.host.breaker_per), (2, seconds(600)));
}

/// The sketch that operators were asked about, with the names of protections that there are.
#[test]
fn every_key_is_understood() {
    let text = r#"
        [[device]]
        name    = "xe-compute"
        match   = { driver = "xe", id = "8086:*", slot = "0000:3?:*", class = "display" }
        unless  = ["console", "vfio", "session"]
        signals = { wedged = 2, pci-failed = 0, state = 5, log = ["amdgpu/reset-failed"] }
        boot_grace = "0s"
        unknown = "ladder"
        evidence = "1m"
        kernel = "2m"
        approval = "3h"
        recheck = "4m"
        [device.holders]
        notify = false
        wait = "0s"
        end = { term = "30s", kill = "5s" }
        [[device.step]]
        do = "remove-rescan"
        [device.verify]
        node = false
        probe = "/usr/lib/lifeboatd/probe-xe"
        alive_for = "61s"
        deadline = "62s"
        [device.budget]
        attempts = 2
        per = "2h"
        backoff = ["1h"]
        then = "quarantine"
        [host]
        breaker = { devices = 4, per = "20m" }
        fleet_lock = { url = "https://lock.example", group = "gpu", retry = "5s" }
        unknown = "hold"
        mode = "act"
    "#;
    // A number above 1 needs a time where the default is one sighting.
    assert!(errors(text)[0].contains("say within which time 2 sightings must lie"));
    let config = config(&text.replace("wedged = 2", "wedged = { times = 2, within = \"1h\" }"));
    let rule = &config.rules.all()[0];
    let policy = &rule.policy;
    assert_eq!(policy.signals.wedged, Threshold { times: 2, within: seconds(3600) });
    assert_eq!(policy.signals.pci_failed, Threshold::NEVER);
    assert_eq!(policy.signals.state, Threshold { times: 5, within: seconds(60) });
    assert_eq!(policy.signals.log, [("amdgpu".into(), "reset-failed".into())]);
    let waived = [Protection::Mounted, Protection::Swap, Protection::DefaultRoute, Protection::ControlPath];
    assert_eq!(policy.waived, waived);
    assert_eq!(policy.unknown, Unknown::Ladder);
    let times = [policy.boot_grace, policy.evidence, policy.kernel, policy.approval, policy.recheck];
    assert_eq!(times, [0, 60, 120, 10_800, 240].map(seconds));
    let holders = (policy.holders.notify, policy.holders.wait, policy.holders.term, policy.holders.kill);
    assert_eq!(holders, (false, seconds(0), Some(seconds(30)), Some(seconds(5))));
    assert_eq!(rule.verify, Verify { node: false, probe: Some("/usr/lib/lifeboatd/probe-xe".into()) });
    assert_eq!((policy.verify.alive_for, policy.verify.deadline), (seconds(61), seconds(62)));
    assert_eq!(config.fleet_lock, Some(FleetLock { url: "https://lock.example".into(), group: "gpu".into() }));
    assert!(config.host.fleet_lock && config.host.fleet_lock_retry == seconds(5));
    assert_eq!((config.host.breaker_devices, config.host.mode), (4, Mode::Act));
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(config.warnings[0].text.starts_with("waived: mounted, swap, default-route, control-path."));
}

#[test]
fn a_rule_without_more_has_the_defaults() {
    let config = config(RULE);
    assert_eq!(config.rules.all()[0].policy, Policy { name: "a".into(), ..Policy::default() });
}

/// Each line is added to a rule. The error must be at the line and column, and say the words.
#[test]
fn an_error_says_where_it_is_and_what_would_be_right() {
    let cases = [
        ("sginals = {}", "0.toml:4:1: unknown key \"sginals\" in [[device]]; did you mean \"signals\"?"),
        ("boot-grace = \"1m\"", "0.toml:4:1: unknown key \"boot-grace\" in [[device]]; did you mean \"boot_grace\"?"),
        ("zzzzzzz = 1", "0.toml:4:1: unknown key \"zzzzzzz\" in [[device]]; there are: name, match,"),
        ("signals = { wegded = 1 }", "0.toml:4:13: unknown key \"wegded\" in signals; did you mean \"wedged\"?"),
        ("# \u{e4}\u{f6}\n  \"\u{fc}\" = 1", "0.toml:5:3: unknown key \"\u{fc}\""),
        ("signals = { wedged = -1 }", "0.toml:4:22: the number -1 is not within 0 to 1000"),
        ("signals = { wedged = 1.5 }", "0.toml:4:22: this is a decimal number; a number is wanted"),
        ("signals = { wedged = { within = \"1s\" } }", "0.toml:4:22: a threshold has no \"times\""),
        ("signals = { all-ones = { times = 2, within = \"1s\", every = \"1s\" } }", "0.toml:4:60: \"within\" and"),
        ("signals = { xid = [79, \"x\"] }", "0.toml:4:24: this is a text; a number is wanted"),
        ("signals = { log = [\"amdgpu\"] }", "0.toml:4:20: \"amdgpu\" names no fault"),
        ("unless = [\"consle\"]", "0.toml:4:11: \"consle\" is no protection; did you mean \"console\"?"),
        (
            "unless = [\"root-disk\"]",
            "0.toml:4:11: \"root-disk\" is no protection; there are: console, session, vfio, mounted",
        ),
        ("unless = \"console\"", "0.toml:4:10: this is a text; a list of protections is wanted"),
        ("unknown = \"guess\"", "0.toml:4:11: \"guess\" is no rule for unknown signs; there are: hold, ladder"),
        ("boot_grace = \"5 minuts\"", "0.toml:4:14: \"5 minuts\" is no time"),
        ("boot_grace = 5", "0.toml:4:14: this is a number; a time such as"),
        ("boot_grace = \"2y\"", "0.toml:4:14: a time is at most 366 days"),
        ("recheck = \"0s\"", "0.toml:4:11: the time must not be zero"),
        ("holders = { end = { kill = \"1s\" } }", "0.toml:4:19: \"kill\" needs a \"term\""),
        ("holders = { end = { term = true } }", "0.toml:4:28: say how long the process has"),
        ("holders = { notify = 1 }", "0.toml:4:22: this is a number; true or false is wanted"),
        ("verify = { probe = \"probe\" }", "0.toml:4:20: \"probe\" is no absolute path"),
        ("budget = { attempts = 0 }", "0.toml:4:23: the number 0 is not within 1 to 100"),
        ("budget = { then = \"reboot\" }", "0.toml:4:19: \"reboot\" is no end of a budget; there are: quarantine"),
        ("step = [{ do = \"rebnd\" }]", "0.toml:4:16: \"rebnd\" is no step; did you mean \"rebind\"?"),
        ("step = [{ do = \"rebind\", tries = 0 }]", "0.toml:4:34: the number 0 is not within 1 to 10"),
        ("step = [{ tries = 1 }]", "0.toml:4:9: [[device.step]] has no \"do\""),
        ("step = [{ do = \"rebind\", with = [\"audio\"] }]", "0.toml:4:33: the step \"rebind\" has no \"with\""),
        ("step = [{ do = \"bus-reset\", with = [\"adio\"] }]", "0.toml:4:37: \"adio\" is neither a class nor"),
        (
            "step = [{ do = \"bus-reset\", require = \"pcp\" }]",
            "0.toml:4:39: the step \"bus-reset\" has no \"require\"",
        ),
        (
            "step = [{ do = \"power-cycle\", require = \"pc\" }]",
            "0.toml:4:41: \"pc\" is no requirement; did you mean \"pcp\"?",
        ),
        ("step = [{ do = \"vendor\", case = \"x\" }]", "0.toml:4:9: [[device.step]] has no \"run\""),
        ("step = [{ do = \"vendor\", run = \"x\" }]", "0.toml:4:9: [[device.step]] has no \"case\""),
        ("step = [{ do = \"vendor\", case = \"x\", run = \"../x\" }]", "0.toml:4:44: \"../x\" is neither"),
        ("step = { do = \"rebind\" }", "0.toml:4:8: this is a table; a list of tables [[device.step]] is wanted"),
        ("[[device]]\nmatch = { slot = \"*\" }", "0.toml:4:1: [[device]] has no \"name\""),
        ("[[device]]\nname = \"b\"", "0.toml:4:1: [[device]] has no \"match\""),
        ("[[device]]\nname = \"b\"\nmatch = {}", "0.toml:6:9: an empty match is for no device"),
        (
            "[[device]]\nname = \"b\"\nmatch = { slot = \"00:3.0\" }",
            "0.toml:6:18: \"00:3.0\" is no pattern of an address",
        ),
        (
            "[[device]]\nname = \"b\"\nmatch = { id = \"0x8086:*\" }",
            "0.toml:6:16: \"0x8086:*\" is no pattern of vendor",
        ),
        ("[[device]]\nname = \"b\"\nmatch = { driver = [] }", "0.toml:6:20: no driver matches an empty list"),
        ("[[device]]\nname = \"b c\"\nmatch = { driver = \"*\" }", "0.toml:5:8: \"b c\" is no name"),
        (
            "[[device]]\nname = \"a\"\nmatch = { driver = \"x\" }",
            "0.toml:4:1: there is a rule \"a\" already at 0.toml:1:1",
        ),
        ("[host]\nmode = \"on\"", "0.toml:5:8: \"on\" is no mode; there are: observe, act"),
        ("[host]\nmode = \"act\"", "0.toml:1:1: the rule \"a\" has no [[device.step]], and the mode is \"act\""),
        ("[host]\nbreaker = { devices = 0 }", "0.toml:5:23: the number 0 is not within 1 to 4096"),
        ("[host]\nfleet_lock = { url = \"lock\", group = \"g\" }", "0.toml:5:22: \"lock\" is no address of a server"),
        ("[host]\nfleet_lock = { url = \"https://lock\" }", "0.toml:5:14: fleet_lock has no \"group\""),
        ("[hots]", "0.toml:4:2: unknown key \"hots\" in the file; did you mean \"host\"?"),
    ];
    for (line, expected) in cases {
        let found = errors(&format!("{RULE}{line}"));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].starts_with(expected), "{line}:\n{}\n{expected}", found[0]);
    }
}

#[test]
fn all_errors_of_all_files_are_found() {
    let broken = "[[device]]\nname = \"a\nmatch = { slot = \"*\" }\n";
    let wrong = "[host]\nmode = 1\n[[device]]\nname = \"b\"\nmatch = { slt = \"*\" }\nrecheck = 3\n";
    let Err(Problems(found)) = parse(&files([broken, wrong, RULE])) else { panic!("accepted") };
    let places: Vec<(String, usize)> =
        found.iter().map(|problem| (problem.place.file.display().to_string(), problem.place.line.unwrap())).collect();
    let second = |line| ("1.toml".to_owned(), line);
    assert_eq!(places[0], ("0.toml".to_owned(), 2));
    let rest: Vec<_> = places.into_iter().filter(|(file, _)| file != "0.toml").collect();
    assert_eq!(rest, [second(2), second(5), second(5), second(6)]);
}

#[test]
fn agent_14_a_file_that_cannot_be_read_is_no_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("10-good.toml"), RULE).unwrap();
    fs::write(folder.path().join("20-copy.toml.bak"), "nonsense").unwrap();
    fs::write(folder.path().join(".30-hidden.toml"), "nonsense").unwrap();
    assert_eq!(load(folder.path()).unwrap().rules.all().len(), 1);
    // For any user: a folder and bytes that are no text.
    fs::create_dir(folder.path().join("40-folder.toml")).unwrap();
    assert_eq!(load(folder.path()).unwrap_err().0.len(), 1);
    fs::write(folder.path().join("50-bytes.toml"), [0xff, 0xfe]).unwrap();
    fs::write(folder.path().join("60-wrong.toml"), "x = 1").unwrap();
    let Err(Problems(problems)) = load(folder.path()) else { panic!("accepted") };
    let names = problems.iter().map(|problem| problem.place.file.file_name().unwrap().to_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["40-folder.toml", "50-bytes.toml", "60-wrong.toml"]);
    assert!(load(&folder.path().join("10-good.toml")).is_err());
}

#[test]
fn a_later_file_replaces_a_rule_in_its_place() {
    let first = format!(
        "{RULE}unless = []\n[[device]]\nname = \"b\"\nmatch = {{ driver = \"xe\" }}\n[host]\nunknown = \"ladder\""
    );
    let second = "[[device]]\nname = \"a\"\nmatch = { driver = \"nvme\" }\n[host]\nbreaker = { devices = 7 }";
    let config = parse(&files([&first, second])).unwrap();
    let names: Vec<&str> = config.rules.all().iter().map(|rule| rule.policy.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let rule = &config.rules.all()[0];
    assert_eq!((rule.place.to_string().as_str(), rule.policy.waived.as_slice()), ("1.toml:1:1", [].as_slice()));
    // The host's rules are merged, and hold for rules of earlier files as well.
    assert_eq!((config.host.breaker_devices, rule.policy.unknown), (7, Unknown::Ladder));
    assert_eq!(config.warnings, [], "the rule that was replaced warns no more");
    let off = "[host]\nfleet_lock = false";
    let on = "[host]\nfleet_lock = { url = \"http://l\", group = \"g\" }";
    assert!(parse(&files([off, on])).unwrap().host.fleet_lock);
    let config = parse(&files([on, off])).unwrap();
    assert!(!config.host.fleet_lock && config.fleet_lock.is_none());
}

#[test]
fn the_first_match_wins_and_says_why_not_the_others() {
    let text = "
        [[device]]
        name = 'nvme'
        match = { driver = 'nvme' }
        [[device]]
        name = 'intel'
        match = { id = '8086:*', class = ['display', '12*'] }
        [[device]]
        name = 'slot'
        match = { slot = '0000:3?:*' }
        [[device]]
        name = 'other'
        match = { slot = '0000:4?:*' }
    ";
    let config = config(text);
    let found = config.rules.matching(&subject("xe", "8086:56c0", "0000:3a:00.0", 0x03_0000));
    assert_eq!(found.rule.map(|rule| rule.policy.name.as_str()), Some("intel"));
    let why_not: Vec<(&str, &str)> =
        found.why_not.iter().map(|(rule, reason)| (rule.policy.name.as_str(), reason.as_str())).collect();
    let expected = [
        ("nvme", "driver is xe, and not nvme"),
        ("slot", "rule \"intel\" matches first"),
        ("other", "slot is 0000:3a:00.0, and not 0000:4?:*"),
    ];
    assert_eq!(why_not, expected);
    let lost = Subject { driver: None, ..subject("", "8086:56C0", "0000:3A:00.0", 0x12_0000) };
    let found = config.rules.matching(&lost);
    assert_eq!(found.rule.map(|rule| rule.policy.name.as_str()), Some("intel"));
    assert_eq!(found.why_not[0].1, "driver is unknown, and not nvme");
    let stranger = config.rules.matching(&subject("e1000e", "8086:10d3", "0000:00:1f.0", 0x02_0000));
    assert_eq!((stranger.rule, stranger.why_not.len()), (None, 4));
    assert_eq!(stranger.why_not[1].1, "class is 020000, and not 03* or 12*");
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let step = |kind| format!("[[device.step]]\ndo = \"{kind}\"\n");
    let (rebind, reset) = (step("rebind"), step("bus-reset"));
    let cases = [
        (
            "budget = { attempts = 3, backoff = [\"1m\", \"2m\", \"3m\"] }",
            "0.toml:4:49: with 3 attempts, this and later",
        ),
        ("budget = { attempts = 1, backoff = [\"1m\"] }", "0.toml:4:37: with 1 attempts"),
        ("budget = { attempts = 3, per = \"1h\", backoff = [\"30m\"] }", "0.toml:4:48: the back-off alone takes 1h"),
        ("signals = { wedged = 0, pci-failed = 0, all-ones = 0, state = 0 }", "0.toml:4:11: no sign counts"),
        ("unless = []", "0.toml:4:10: waived: console, session, vfio, mounted, swap, default-route, control-path."),
        (
            &format!("{reset}{rebind}"),
            "0.toml:6:1: \"rebind\" has fewer side effects than \"bus-reset\" and comes later",
        ),
        (&format!("{rebind}{rebind}"), "0.toml:6:1: the step \"rebind\" follows itself"),
        (&format!("{reset}deadline = \"1m\""), "0.toml:6:12: the kernel may take 60s"),
        (
            "[[device]]\nname = \"b\"\nmatch = { driver = \"xe\" }",
            "0.toml:4:1: the rule \"b\" is never used: \"a\" at 0.toml:1:1",
        ),
    ];
    for (line, expected) in cases {
        let found = warnings(&format!("{RULE}{line}"));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].starts_with(expected), "{line}:\n{}\n{expected}", found[0]);
    }
    assert_eq!(warnings(&format!("{RULE}{rebind}{reset}")), [""; 0]);
    // Any driver is not any device: one without a driver gets the second rule.
    let drivers = "[[device]]\nname = \"a\"\nmatch = { driver = \"*\" }\n";
    assert_eq!(warnings(&format!("{drivers}{}", RULE.replace("\"a\"", "\"b\""))), [""; 0]);
    assert_eq!(warnings(&format!("{RULE}budget = {{ attempts = 3, per = \"1h\", backoff = [\"29m\"] }}")), [""; 0]);
}

#[test]
fn a_pattern_matches_the_whole_text() {
    let cases = [
        ("8086:*", "8086:56c0", true),
        ("8086:*", "18086:56c0", false),
        ("0000:3?:*", "0000:3f:00.0", true),
        ("0000:3?:*", "0000:3:00.0", false),
        ("*", "", true),
        ("", "", true),
        ("?", "", false),
        ("a*b*c", "aXbbXc", true),
        ("a*b*c", "aXbbXcd", false),
        ("*ab", "aab", true),
        ("XE", "xe", true),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
    }
    let many = Glob::new(&"*a".repeat(200));
    assert!(!many.matches(&"a".repeat(199)) && many.matches(&"a".repeat(10_000)));
}

#[test]
fn a_pattern_covers_another() {
    for (wide, narrow) in [("*", "xe"), ("8086:*", "8086:56??"), ("a?", "ab"), ("a*", "a*b*"), ("??*", "???")] {
        assert!(Glob::new(wide).covers(&Glob::new(narrow)), "{wide} {narrow}");
        assert!(!Glob::new(narrow).covers(&Glob::new(wide)), "{narrow} {wide}");
    }
}

proptest! {
    #[test]
    fn a_covered_pattern_matches_nothing_more(wide in "[ab*?]{0,6}", narrow in "[ab*?]{0,6}", text in "[ab]{0,6}") {
        let (wide, narrow) = (Glob::new(&wide), Glob::new(&narrow));
        if wide.covers(&narrow) && narrow.matches(&text) {
            prop_assert!(wide.matches(&text));
        }
    }

    #[test]
    fn any_text_is_parsed(text in any::<String>()) {
        let _ = parse(&files([text.as_str()]));
    }

    /// Changes a piece of the example: most of what comes out is TOML.
    #[test]
    fn a_changed_example_is_parsed(at in any::<prop::sample::Index>(), length in 0..12_usize, text in "[-a-z0-9 \"=\\[\\]{},.*\\n]{0,12}") {
        let mut changed: Vec<char> = EXAMPLE.chars().collect();
        let at = at.index(changed.len());
        let end = (at + length).min(changed.len());
        changed.splice(at..end, text.chars());
        let changed: String = changed.into_iter().collect();
        match parse(&files([changed.as_str()])) {
            Ok(config) => prop_assert!(config.rules.all().iter().all(|rule| rule.extras.len() == rule.policy.steps.len())),
            Err(Problems(problems)) => {
                let lines = changed.lines().count() + 1;
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|problem| problem.place.line.is_some_and(|line| line <= lines)));
            }
        }
    }
}
