//! The commands, as an operator calls them, on fake machines.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

#[allow(dead_code, unreachable_pub, reason = "tests in other files use more of it")]
#[path = "../support/tree/mod.rs"]
mod tree;

use tree::{Tree, machines};

/// Ladder for every display and accelerator.
const LADDER: &str = r#"
[[device]]
name = "gpus"
match = { class = ["display", "accelerator"] }
unless = ["console", "session", "vfio", "mounted", "swap", "default-route", "control-path"]
[[device.step]]
do = "rebind"
tries = 2
[[device.step]]
do = "function-reset"
[[device.step]]
do = "bus-reset"
"#;

struct Machine {
    tree: Tree,
    policies: tempfile::TempDir,
}

impl Machine {
    fn new(tree: Tree, policy: &str) -> Self {
        let policies = tempfile::tempdir().unwrap();
        fs::write(policies.path().join("50-test.toml"), policy).unwrap();
        Self { tree, policies }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let program = match program {
            "lifeboatd" => env!("CARGO_BIN_EXE_lifeboatd"),
            _ => env!("CARGO_BIN_EXE_lifeboatctl"),
        };
        let mut command = Command::new(program);
        command.args(arguments).arg("--policies").arg(self.policies.path()).arg("--root").arg(self.tree.root());
        command.output().unwrap()
    }

    fn text(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, program: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(program, &[arguments, &["--json"]].concat())).unwrap()
    }

    /// Returns the code and the complaint of a command that fails.
    fn fails(&self, program: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(program, arguments);
        assert!(output.stdout.is_empty());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// Returns all files below `sys` with what is in them.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.tree.root().join("sys"), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(&entry.path(), files);
        } else if kind.is_file() {
            files.insert(entry.path().display().to_string(), fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn check_says_where_a_policy_is_wrong() {
    let machine = Machine::new(machines::card(), "[[device]]\nname = \"x\"\nmatsh = { driver = \"xe\" }\n");
    let (code, complaint) = machine.fails("lifeboatd", &["check"]);
    assert_eq!(code, Some(2));
    assert!(complaint.contains("50-test.toml:3:1") && complaint.contains("match"), "{complaint}");
}

#[test]
fn agent_23_the_mode_is_observe_unless_the_policy_says_act() {
    let machine = Machine::new(machines::card(), LADDER);
    assert!(machine.text("lifeboatd", &["check"]).starts_with("mode observe"));
    let machine = Machine::new(machines::card(), &format!("[host]\nmode = \"act\"\n{LADDER}"));
    assert!(machine.text("lifeboatd", &["check"]).starts_with("mode act"));
}

#[test]
fn once_lists_each_device_that_has_a_rule() {
    let machine = Machine::new(machines::eight_gpus(), LADDER);
    let answer = machine.json("lifeboatd", &["--once", "--observe"]);
    let devices = answer["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 8);
    for device in devices {
        assert_eq!((device["rule"].as_str(), device["health"].as_str()), (Some("gpus"), Some("works")));
        assert_eq!(device["holders"].as_array().unwrap().len(), 1, "each has its job");
    }
}

#[test]
fn agent_1_once_hears_what_was_missed_before() {
    let machine = Machine::new(machines::card(), LADDER);
    // A line of this boot, as the kernel has it.
    machine.tree.write(
        "dev/kmsg",
        "2,1,100,-;xe 0000:03:00.0: [drm] device wedged, needs recovery\n SUBSYSTEM=pci\n DEVICE=+pci:0000:03:00.0\n",
    );
    let answer = machine.json("lifeboatd", &["--once"]);
    let signs = answer["devices"][0]["signs"].as_array().unwrap();
    let counting: Vec<_> = signs.iter().filter(|sign| sign["counts"] == true).collect();
    assert_eq!(counting.len(), 1, "{answer}");
    assert!(counting[0]["sign"]["kind"]["wedged"].is_object(), "{answer}");
}

#[test]
fn simulate_shows_the_exact_writes_and_makes_none() {
    let machine = Machine::new(machines::card(), LADDER);
    let before = machine.files();
    let text = machine.text("lifeboatctl", &["simulate", "0000:03:00.0", "--signal", "wedged=rebind", "--act"]);
    for write in [
        r#"write "0000:03:00.0" to /sys/bus/pci/drivers/xe/unbind"#,
        r#"write "0000:03:00.0" to /sys/bus/pci/drivers/xe/bind"#,
    ] {
        assert_eq!(text.matches(write).count(), 4, "two rebinds and two resets:\n{text}");
    }
    assert!(text.contains("function-reset (try 1)") && text.contains("no step is left"), "{text}");
    assert_eq!(machine.files(), before);
}

#[test]
fn agent_23_simulate_stops_before_the_first_step_of_a_daemon_that_observes() {
    let machine = Machine::new(machines::card(), LADDER);
    let text = machine.text("lifeboatctl", &["simulate", "0000:03:00.0", "--signal", "wedged=rebind"]);
    assert!(text.contains("only observes") && !text.contains("write"), "{text}");
}

#[test]
fn agent_10_simulate_leaves_a_console_alone() {
    let machine = Machine::new(machines::laptop(), LADDER);
    let text = machine.text("lifeboatctl", &["simulate", "0000:00:02.0", "--signal", "wedged=rebind", "--act"]);
    assert!(text.contains("it is protected: console") && !text.contains("write"), "{text}");
}

#[test]
fn agent_9_explain_names_the_sibling_that_a_bus_reset_would_hit() {
    let machine = Machine::new(machines::with_audio(), LADDER);
    let answer = machine.json("lifeboatctl", &["explain", "0000:01:00.0"]);
    let step = answer["steps"].as_array().unwrap().iter().find(|step| step["name"] == "bus-reset").unwrap().clone();
    assert!(step["survey"]["domain_in_use"][0].as_str().unwrap().contains("0000:01:00.1"), "{step}");
    let rebind = &answer["steps"][0]["survey"]["domain_in_use"];
    assert_eq!(rebind.as_array().map(Vec::len), Some(0), "a rebind touches the GPU alone");
}

#[test]
fn explain_says_why_there_is_no_rule() {
    let machine = Machine::new(machines::nvme(), LADDER);
    let text = machine.text("lifeboatctl", &["explain", "0000:04:00.0"]);
    assert!(text.contains("no rule") && text.contains("not \"gpus\": class is 010802"), "{text}");
    let (code, complaint) = machine.fails("lifeboatctl", &["simulate", "0000:04:00.0", "--signal", "all-ones"]);
    assert_eq!(code, Some(2));
    assert!(complaint.contains("no rule matches"), "{complaint}");
}

#[test]
fn a_request_that_makes_no_sense_is_refused_with_what_would() {
    let machine = Machine::new(machines::card(), LADDER);
    let cases = [
        (["0000:04:00.0", "all-ones"], "there are: 0000:00:01.0, 0000:03:00.0"),
        (["card0", "all-ones"], "one looks like 0000:03:00.0"),
        (["0000:03:00.0", "broken"], "signs look like"),
    ];
    for ([device, sign], words) in cases {
        let (code, complaint) = machine.fails("lifeboatctl", &["simulate", device, "--signal", sign]);
        assert_eq!(code, Some(2));
        assert!(complaint.contains(words), "{complaint}");
    }
}
