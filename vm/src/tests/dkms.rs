//! The module as DKMS builds it, and the kernels that DKMS cannot build it for.

use crate::pace::Flavour;
use crate::setup::dkms::{Answer, Dkms, Headers};
use crate::suite::bench::{Bench, Builder, PLAIN, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::{UNTIMED_GPU, orderly};

/// The exit code of DKMS for a kernel that a package does not want.
const SKIPPED: i32 = 77;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "dkms_builds_and_loads",
        shows: "DKMS builds and installs the module from a tree of its own; that one loads, drives a GPU and unloads",
        proves: &[],
        plan: Plan { only: Some(Flavour::Stock), builder: Builder::Dkms, ..UNTIMED_GPU },
        alone: false,
        body: orderly::device_del,
    },
    Test {
        name: "dkms_says_what_is_missing",
        shows: "DKMS skips a kernel without Rust metadata, without Rust, or too old, and the user reads why",
        proves: &[],
        plan: Plan { only: Some(Flavour::Stock), ..PLAIN },
        alone: false,
        body: says_what_is_missing,
    },
];

fn says_what_is_missing(bench: &mut Bench<'_>) -> Result<(), Failure> {
    // The words name what is missing, and what to do where something can be done.
    let cases: [(Headers, &[&str]); 3] = [
        (Headers::AsPackaged, &["no Rust metadata", "modules_prepare", "/build be a link to"]),
        (Headers::WithoutRust, &["without CONFIG_RUST"]),
        (Headers::Of("6.12.48+deb13-amd64"), &["kernel 6.12.48+deb13-amd64", "needs 7.3 or later"]),
    ];
    for (headers, words) in cases {
        let dkms = Dkms::new(bench.environment, headers)?;
        // The package manager calls `autoinstall` for each new kernel, and must not fail for it.
        for (action, code) in [("add", 0), ("install", SKIPPED), ("autoinstall", 0)] {
            let answer = dkms.call(action)?;
            let Answer { said, .. } = &answer;
            let is_right =
                answer.code == Some(code) && (action == "add" || words.iter().all(|word| said.contains(word)));
            expect(is_right, || format!("headers {headers:?}: `dkms {action}` ended with {:?}: {said}", answer.code))?;
        }
        let updates = dkms.modules().join("updates");
        expect(!updates.exists(), || format!("headers {headers:?}: DKMS has installed {}", updates.display()))?;
    }
    Ok(())
}
