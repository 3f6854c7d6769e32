//! One function per tool. Each says what it proves and what bounds it.

use std::path::Path;
use std::process::Command;

use crate::proof::{self, Proof};
use crate::{CARGO, circles, vm};

/// How a stage ended.
pub(super) enum Outcome {
    Passed,
    /// Why, in one line.
    Failed(String),
    /// Why, and how to get what is missing, in one line.
    Skipped(String),
}

impl Outcome {
    fn passed(&self) -> bool {
        matches!(self, Self::Passed)
    }
}

/// A check.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Minutes that it may take from nothing on two cores. A stage that takes longer is reported and
    /// does not fail: its part that takes longest goes to [`LONG`].
    pub(super) budget: u32,
    pub(super) run: fn() -> Outcome,
}

/// The checks of each change, the quick ones first. Their budgets are less than an hour together.
pub(super) const STAGES: &[Stage] = &[
    Stage { name: "format", about: "rustfmt finds nothing to change", budget: 1, run: format },
    Stage { name: "clippy", about: "no warning in any target", budget: 4, run: clippy },
    Stage { name: "circles", about: "no more than two files need each other in a circle", budget: 1, run: circles },
    Stage { name: "build", about: "everything builds, also the benchmarks", budget: 9, run: build },
    Stage { name: "test", about: "every test passes, and no promise has lost its tests", budget: 10, run: test },
    Stage { name: "doc", about: "the documentation builds without warnings", budget: 2, run: doc },
    Stage {
        name: "freestanding",
        about: "core, driver, pci, uapi and the portable drivers need neither std nor an allocator",
        budget: 1,
        run: freestanding,
    },
    Stage { name: "loom", about: "every interleaving of the sync protocols", budget: 3, run: loom },
    Stage { name: "shuttle", about: "random interleavings of larger scenarios", budget: 2, run: shuttle },
    Stage {
        name: "stress",
        about: "no access after a revoke, with membarrier and with fences",
        budget: 2,
        run: stress,
    },
    Stage { name: "asan", about: "the same under AddressSanitizer", budget: 2, run: asan },
    Stage { name: "valgrind", about: "the same under valgrind", budget: 1, run: valgrind },
    Stage { name: "deny", about: "licences, bans and sources of dependencies", budget: 1, run: deny },
    Stage { name: "demo", about: "the main job, as a user runs it", budget: 2, run: demo },
    Stage {
        name: "exhaust",
        about: "something happens to the device at every access of every call",
        budget: 4,
        run: exhaust,
    },
    Stage {
        name: "torture",
        about: "faults and clients of every kind at once, for a minute; and edu",
        budget: 2,
        run: torture,
    },
    Stage { name: "vm", about: "the kernel module in a Debian guest, as its device vanishes", budget: 12, run: guest },
];

/// Checks that take too long for each change, run by `--long` before an issue is closed.
pub(super) const LONG: &[Stage] = &[
    Stage { name: "searches", about: "the larger searches of the core", budget: 20, run: searches },
    Stage {
        name: "clean",
        about: "every point of exhaust at which the device is as good as gone",
        budget: 6,
        run: clean,
    },
    Stage { name: "untidy", about: "a tenth of the untidy points of exhaust", budget: 60, run: untidy },
    Stage { name: "long-torture", about: "torture for ten minutes", budget: 11, run: long_torture },
    Stage { name: "debug-vm", about: "the guest's tests with KASAN and lockdep", budget: 60, run: debug_guest },
];

fn format() -> Outcome {
    if !works("cargo", &["fmt", "--version"]) {
        return Outcome::Skipped("rustfmt is missing: rustup component add rustfmt".into());
    }
    cargo(&["fmt", "--all", "--check"])
}

fn clippy() -> Outcome {
    if !works("cargo", &["clippy", "--version"]) {
        return Outcome::Skipped("clippy is missing: rustup component add clippy".into());
    }
    // Includes the check against each crate's own rust-version (1.85 for what the kernel shares).
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

fn circles() -> Outcome {
    circles::check().map_or_else(Outcome::Failed, |()| Outcome::Passed)
}

fn build() -> Outcome {
    cargo(&["build", "--workspace", "--all-targets", "--locked"])
}

/// Every test of the workspace, once: what the promises' tests say in this run decides about the promises.
fn test() -> Outcome {
    prove(Proof::Conformance, &["--all", "--quiet"])
}

fn doc() -> Outcome {
    run(Command::new(CARGO).args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// A static library with its own panic handler and no allocator: if anything in it needed `std`, there would be two
/// panic handlers; if anything needed `alloc`, there would be no allocator. Built for a bare target where one is
/// installed, else for the host, which proves the same.
fn freestanding() -> Outcome {
    const TARGET: &str = "x86_64-unknown-none";
    let mut command = Command::new(CARGO);
    command.args(["build", "--release", "--locked", "--manifest-path", "xtask/freestanding/Cargo.toml"]);
    command.args(["--target-dir", "target/freestanding"]);
    if installed(TARGET) {
        command.args(["--target", TARGET]);
    }
    run(&mut command)
}

/// About a minute. Small models without a bound, larger ones with three interruptions of a thread at most.
fn loom() -> Outcome {
    let args =
        ["test", "--release", "--locked", "-p", "lifeboat-sync", "--test", "loom", "--target-dir", "target/loom"];
    run(Command::new(CARGO).args(args).env("RUSTFLAGS", "--cfg loom"))
}

/// 4,000 to 8,000 schedules of each scenario: sections, the scheduler's hosted shell with its fences, the watchdog.
fn shuttle() -> Outcome {
    // The watchdog's scenarios are in the crate: what it watches is not public.
    let scenarios: [(&str, &[&str]); 3] = [
        ("lifeboat-sync", &["--test", "shuttle"]),
        ("lifeboat", &["--test", "shuttle"]),
        ("lifeboat", &["--lib", "watchdog::model"]),
    ];
    for (package, scenario) in scenarios {
        let mut command = Command::new(CARGO);
        command.args(["test", "--release", "--locked", "--target-dir", "target/shuttle", "-p", package]);
        if let failed @ Outcome::Failed(_) = run(command.args(scenario).env("RUSTFLAGS", "--cfg shuttle")) {
            return failed;
        }
    }
    Outcome::Passed
}

const STRESS: [&str; 7] = ["--release", "--locked", "--quiet", "--package", "lifeboat-sync", "--example", "stress"];

/// 64 readers against a revoke per millisecond, 5 s each way.
fn stress() -> Outcome {
    for fences in ["0", "1"] {
        let mut command = Command::new(CARGO);
        command.arg("run").args(STRESS).args(["--", "--time", "5s"]).env("LIFEBOAT_SYNC_FENCES", fences);
        if let failed @ Outcome::Failed(_) = run(&mut command) {
            return failed;
        }
    }
    Outcome::Passed
}

/// 10 s. The sanitizer is a flag of the compiler that wants a nightly, or to be told that we know.
fn asan() -> Outcome {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        return Outcome::Skipped(format!("runs on {TARGET} only"));
    }
    let mut command = Command::new(CARGO);
    command.arg("run").args(STRESS).args(["--target", TARGET, "--target-dir", "target/asan", "--", "--time", "10s"]);
    run(command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address"))
}

/// 5 s and 12 readers: valgrind runs one thread at a time, some fifty times as slow.
fn valgrind() -> Outcome {
    if !works("valgrind", &["--version"]) {
        return Outcome::Skipped("valgrind is missing: apt-get install valgrind".into());
    }
    if let failed @ Outcome::Failed(_) = run(Command::new(CARGO).arg("build").args(STRESS)) {
        return failed;
    }
    let mut command = Command::new("valgrind");
    command.args([
        "--quiet",
        "--error-exitcode=9",
        "target/release/examples/stress",
        "--readers",
        "12",
        "--time",
        "5s",
    ]);
    run(&mut command)
}

/// Advisories are checked only where their database is: it comes from a place that not every machine can reach.
fn deny() -> Outcome {
    if !works("cargo", &["deny", "--version"]) {
        return Outcome::Skipped("cargo-deny is missing: cargo install --locked cargo-deny".into());
    }
    cargo(&["deny", "--locked", "check", "licenses", "bans", "sources"])
}

fn demo() -> Outcome {
    cargo(&["run", "--release", "--locked", "--quiet"])
}

/// Modes of `exhaust` in which the device is as good as gone, besides `unplug`.
const CLEAN: [&str; 4] = ["--mode", "unchecked", "--mode", "hang"];

/// Every point at which the device is pulled out: seven thousand, a minute and a half. Of the same points in the other
/// clean modes one of three: a minute (`test` has all points of single calls, `clean` also those of a session). Of the
/// untidy ones one of a hundred and fifty, and of `edu` one of ten in all modes: half a minute each. Each sample has a
/// new seed each time, which is printed.
fn exhaust() -> Outcome {
    let sampled = [&["--quiet", "--sample", "3"][..], &CLEAN].concat();
    let runs: [&[&str]; 4] = [
        &["--quiet", "--mode", "unplug"],
        &sampled,
        &["--quiet", "--untidy", "--sample", "150"],
        &["--quiet", "--driver", "edu", "--sample", "10"],
    ];
    runs.iter().map(|run| prove(Proof::Exhaust, run)).find(|outcome| !outcome.passed()).unwrap_or(Outcome::Passed)
}

/// Thirteen thousand points; three minutes.
fn clean() -> Outcome {
    prove(Proof::Exhaust, &[&["--quiet"][..], &CLEAN].concat())
}

/// All of them take hours.
fn untidy() -> Outcome {
    prove(Proof::Exhaust, &["--quiet", "--untidy", "--sample", "10"])
}

/// A minute with `lb1`, ten seconds with `edu`.
fn torture() -> Outcome {
    match torture_for("lb1", "60s", "1") {
        Outcome::Passed => torture_for("edu", "10s", "1"),
        other => other,
    }
}

/// Takes another seed than `torture`.
fn long_torture() -> Outcome {
    torture_for("lb1", "10m", "2")
}

/// A test without progress ends at the limit.
fn torture_for(driver: &str, time: &str, seed: &str) -> Outcome {
    prove(Proof::Torture, &["--driver", driver, "--time", time, "--seed", seed, "--limit", "60s", "--quiet"])
}

/// Bounded by the number of states that each search allows.
fn searches() -> Outcome {
    cargo(&["test", "--release", "--locked", "--package", "lifeboat-core", "--", "--ignored"])
}

/// The kernel module in a Debian guest, on a PCI bus from which the device is really removed. Sets the guest up first;
/// every step in it has a limit.
fn guest() -> Outcome {
    guest_with(&[])
}

/// Builds the kernel first, which takes a quarter of an hour.
fn debug_guest() -> Outcome {
    guest_with(&["--debug-kernel"])
}

fn guest_with(kernel: &[&str]) -> Outcome {
    match vm::command().args(["test", "--json", "target/vm-results.json"]).args(kernel).status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) if status.code() == Some(vm::UNAVAILABLE) => {
            Outcome::Skipped("this host cannot have a guest: the line above says why".into())
        }
        Ok(status) => Outcome::Failed(format!("{status}")),
        Err(error) => Outcome::Failed(format!("cannot start: {error}")),
    }
}

fn prove(proof: Proof, args: &[&str]) -> Outcome {
    match proof::status(proof, args) {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("{status}")),
        Err(error) => Outcome::Failed(error),
    }
}

fn cargo(args: &[&str]) -> Outcome {
    run(Command::new(CARGO).args(args))
}

fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("{status}")),
        Err(error) => Outcome::Failed(format!("cannot start: {error}")),
    }
}

/// Whether a tool can be called at all.
fn works(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

/// Whether the toolchain has a target's libraries.
fn installed(target: &str) -> bool {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&sysroot).join("lib/rustlib").join(target).join("lib").is_dir()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_checks_of_a_change_may_take_less_than_an_hour() {
        let minutes: u32 = STAGES.iter().map(|stage| stage.budget).sum();
        assert!(minutes < 60, "{minutes} minutes");
    }

    #[test]
    fn every_check_has_a_name_of_its_own() {
        let all = || STAGES.iter().chain(LONG);
        assert_eq!(all().map(|stage| stage.name).collect::<BTreeSet<_>>().len(), all().count());
    }
}
