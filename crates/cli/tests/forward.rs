//! The developers' subcommands: handed over to `cargo xtask` in a checkout, refused elsewhere.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const NAMES: [&str; 3] = ["torture", "exhaust", "conformance"];

fn lifeboat(folder: &Path, cargo: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.args(args).current_dir(folder).env("CARGO", cargo).output().unwrap()
}

#[test]
fn in_a_checkout_arguments_and_exit_code_are_handed_over() {
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("crates/proof/src");
    fs::create_dir_all(&inside).unwrap();
    fs::write(root.path().join("crates/proof/Cargo.toml"), "[package]\nname = \"lifeboat-proof\"\n").unwrap();
    // Stands for cargo, and shows what it was given.
    let cargo = root.path().join("cargo");
    fs::write(&cargo, "#!/bin/sh\npwd\necho \"$@\"\nexit 7\n").unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    for name in NAMES {
        let output = lifeboat(&inside, &cargo, &[name, "--seed", "3", "--help", "-q"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let (folder, args) = text.split_once('\n').unwrap();
        assert_eq!(Path::new(folder), fs::canonicalize(root.path()).unwrap());
        assert_eq!((args, output.status.code()), (format!("xtask {name} --seed 3 --help -q\n").as_str(), Some(7)));
    }
    let output = lifeboat(&inside, Path::new("/nonexistent/cargo"), &["torture"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("needs a Rust toolchain"), "{error}");
}

#[test]
fn outside_a_checkout_one_line_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    for name in NAMES {
        let output = lifeboat(nowhere.path(), Path::new("/nonexistent/cargo"), &[name, "--json"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{error}");
        assert!(error.contains(&format!("change into one and run `cargo xtask {name}`")), "{error}");
        assert_eq!(error.matches('\n').count(), 1, "{error}");
    }
}

#[test]
fn help_lists_them_as_the_developers() {
    let output = lifeboat(Path::new("/"), Path::new("cargo"), &["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for name in NAMES {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        assert!(line.contains("For developers, in a checkout"), "{text}");
    }
}
