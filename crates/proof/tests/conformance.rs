//! `cargo xtask conformance` as a developer runs it, where that builds nothing: outside of a checkout, and with arguments that make no sense.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::path::Path;
use std::process::Output;
use std::time::Duration;

/// Longer than cargo takes to say that there is nothing.
const LIMIT: Duration = Duration::from_mins(1);

fn conformance(folder: &Path, args: &[&str]) -> Output {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_lifeboat-proof"));
    command.arg("conformance").args(args).current_dir(folder).timeout(LIMIT).output().unwrap()
}

/// The one line of an error.
fn complaint(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(output.stdout.is_empty());
    assert!(error.starts_with("lifeboat: ") && error.matches('\n').count() == 1, "{error}");
    error
}

fn rows(output: &Output) -> Vec<serde_json::Value> {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    json["rows"].as_array().unwrap().clone()
}

#[test]
fn the_promises_are_listed_anywhere() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = conformance(nowhere.path(), &["--list", "--json"]);
    let rows = rows(&output);
    assert!(rows.len() > 50 && rows.iter().all(|row| row["tests"].is_null() && row["test"].is_null()));
    assert_eq!(rows[0]["id"], "LIFE-1");
    assert!(rows.iter().any(|row| row["id"] == "WEDGE-5"));
    assert!(rows[1]["promise"].as_str().unwrap().starts_with("A module cannot be unloaded while"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no tests are listed"));

    let output = conformance(nowhere.path(), &["--list", "--id", "kms", "--id", "CALL-3"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let ids: Vec<_> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(ids, ["CALL-3", "KMS-1", "KMS-2", "KMS-3", "KMS-4", "KMS-5"]);

    // Without a guest also what no guest shows yet.
    let output = conformance(nowhere.path(), &["--list", "--json", "--id", "AGENT", "--id", "VFIO"]);
    let ids: Vec<_> = self::rows(&output).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    let numbered = |group: &str, last: u8| (1..=last).map(|number| format!("{group}-{number}")).collect::<Vec<_>>();
    assert_eq!(ids, [numbered("VFIO", 5), numbered("AGENT", 23)].concat());
}

#[test]
fn tests_need_a_checkout() {
    let nowhere = tempfile::tempdir().unwrap();
    let error = complaint(&conformance(nowhere.path(), &[]));
    assert!(error.contains("checkout of Lifeboat") && error.contains("change into it"), "{error}");

    // Nor does it take another workspace for one.
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("src")).unwrap();
    std::fs::write(other.path().join("src/lib.rs"), "").unwrap();
    std::fs::write(other.path().join("Cargo.toml"), "[package]\nname = \"other\"\n\n[workspace]\n").unwrap();
    let error = complaint(&conformance(&other.path().join("src"), &["--json"]));
    assert!(error.contains("is another one"), "{error}");
}

#[test]
fn a_checkout_with_another_table_is_refused() {
    let root = tempfile::tempdir().unwrap();
    for package in ["lifeboat-core", "lifeboat-proof"] {
        let folder = root.path().join(package);
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("src/lib.rs"), "").unwrap();
        std::fs::write(folder.join("Cargo.toml"), format!("[package]\nname = \"{package}\"\n")).unwrap();
    }
    std::fs::write(root.path().join("Cargo.toml"), "[workspace]\nmembers = [\"lifeboat-*\"]\nresolver = \"3\"\n")
        .unwrap();
    let error = complaint(&conformance(root.path(), &["--list"]));
    assert!(error.contains("is not the table that this command was built with"), "{error}");
    std::fs::create_dir(root.path().join("docs")).unwrap();
    let table = "| ID | promise | proof |\n|---|---|---|\n| LIFE-1 | Something else. | H |\n";
    std::fs::write(root.path().join("docs/conformance.md"), table).unwrap();
    complaint(&conformance(root.path(), &["--list"]));
}

#[test]
fn promises_that_nobody_made_are_refused_and_those_there_are_named() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for id in ["LIFE-99", "GATE-04", "MAYBE"] {
        let error = complaint(&conformance(here, &["--id", "LIFE-1", "--id", id]));
        assert!(error.contains(id) && error.contains("LIFE-1 to LIFE-8, GATE-1 to GATE-10"), "{error}");
    }
    let error = complaint(&conformance(here, &["--id", "AGENT-24", "--list"]));
    assert!(error.contains("AGENT-24") && error.contains("AGENT-1 to AGENT-23"), "{error}");
    assert!(complaint(&conformance(here, &["--id", "4"])).contains("give a promise"));
    assert!(complaint(&conformance(here, &["--timeout", "soon"])).contains("--timeout"));
}
