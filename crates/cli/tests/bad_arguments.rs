//! Arguments that make no sense give one clear line and exit code 2; help is not an error.

use std::process::{Command, Output};

fn lifeboat(args: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_lifeboat")).args(args).output()
}

#[test]
fn one_line_and_exit_code_2() {
    for args in [
        &["run", "--clients", "0"][..],
        &["run", "--clients", "65"],
        &["run", "--filter", "swirl"],
        &["run", "--fault", "unplug"],
        &["run", "--fault", "hang@access:17"],
        &["run", "--tiles", "15"],
        &["run", "--timeout", "0s"],
        &["run", "--seed", "-1"],
        &["run", "--image"],
        &["run", "--device", "d", "--fault", "unplug@40%"],
        &["run", "--device", "/dev/dri/renderD999"],
        &["run", "--device", "/dev/null"],
        &["run", "--device", "ffff:ff:1f.7"],
        &["swim"],
        &["--no-such-option\nsecond line"],
    ] {
        let output = lifeboat(args).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!(error.matches('\n').count(), 1, "{args:?}: {error}");
        assert!(error.starts_with("lifeboat: ") && error.ends_with('\n'), "{args:?}: {error}");
        assert!(output.stdout.is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn help_that_cannot_be_written_is_a_failure() {
    for args in [&["--help"][..], &["--version"], &["run", "--help"], &["gpu"], &["calls"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_lifeboat")).args(args).stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert!(error.starts_with("lifeboat: ") && error.matches('\n').count() == 1, "{args:?}: {error}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for args in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let output = lifeboat(args).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}
