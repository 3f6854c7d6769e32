//! Mistakes that the gate invites, made on purpose: the debug kernel has to report each the first time, without a deadlock.

use std::time::Duration;

use crate::card::hotplug::SLOT;
use crate::driver::DEBUGFS;
use crate::guest::agent::AgentError;
use crate::pace::{self, Flavour};
use crate::program::refused;
use crate::suite::bench::{Bench, Plan};
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;

/// On the debug kernel alone, which reports.
const DEBUG: Plan = Plan { only: Some(Flavour::Debug), ..ACPI_GPU };

/// Lockdep's report about two orders that contradict each other.
const CIRCLE: Plan = Plan { reports: &["possible circular locking dependency detected", "^.*Call Trace:"], ..DEBUG };

/// Our own report about a wait for a fence.
const WAIT: Plan = Plan { reports: &["WARNING: .*lifeboat_shim_on_wait", "^.*Call Trace:"], ..DEBUG };

/// The tests. One mistake each: lockdep turns itself off after a report.
pub const TESTS: &[Test] = &[
    Test {
        name: "lint_is_refused",
        shows: "a kernel that would not report a mistake is not made to make it",
        proves: &[],
        plan: Plan { only: Some(Flavour::Stock), ..ACPI_GPU },
        alone: false,
        body: is_refused,
    },
    Test {
        name: "lint_fence",
        shows: "the debug kernel reports a wait for a fence in a section of the gate",
        proves: &["GATE-5"],
        plan: WAIT,
        alone: false,
        body: |bench| mistake(bench, "fence"),
    },
    Test {
        name: "lint_reservation",
        shows: "the debug kernel reports a wait for a reservation in a section of the gate",
        proves: &["GATE-5"],
        plan: WAIT,
        alone: false,
        body: |bench| mistake(bench, "reservation"),
    },
    Test {
        name: "lint_modeset",
        shows: "the debug kernel reports a modeset lock in a section of the gate",
        proves: &["GATE-5"],
        plan: CIRCLE,
        alone: false,
        body: |bench| mistake(bench, "modeset"),
    },
    Test {
        name: "lint_user_memory",
        shows: "the debug kernel reports a copy of user memory in a section of the gate",
        proves: &["GATE-5"],
        plan: CIRCLE,
        alone: false,
        body: |bench| mistake(bench, "user_memory"),
    },
    Test {
        name: "lint_registers",
        shows: "the debug kernel reports registers that are used outside of sections",
        proves: &["GATE-5"],
        plan: Plan { reports: &["WARNING: .*lifeboat_shim_assert_inside", "^.*Call Trace:"], ..DEBUG },
        alone: false,
        body: |bench| mistake(bench, "registers"),
    },
    Test {
        name: "lint_sleep",
        shows: "the debug kernel reports a register section that sleeps",
        proves: &["GATE-2"],
        plan: Plan { reports: &["BUG: sleeping function called from invalid context", "^.*Call Trace:"], ..DEBUG },
        alone: false,
        body: |bench| mistake(bench, "sleep"),
    },
];

/// Has the driver make a mistake. The log is judged afterwards.
fn mistake(bench: &mut Bench<'_>, name: &str) -> Result<(), Failure> {
    bench.driver().load("health_ms=0")?;
    Ok(make(bench, name).map(drop)?)
}

fn is_refused(bench: &mut Bench<'_>) -> Result<(), Failure> {
    const EOPNOTSUPP: i32 = 95;
    bench.driver().load("health_ms=0")?;
    for name in ["fence", "reservation", "modeset", "user_memory", "registers", "sleep"] {
        let errno = refused(make(bench, name))?;
        expect(errno == EOPNOTSUPP, || format!("the mistake `{name}` is refused with errno {errno}"))?;
    }
    Ok(())
}

fn make(bench: &Bench<'_>, name: &str) -> Result<Duration, AgentError> {
    bench.machine.agent.write(&format!("{DEBUGFS}/{SLOT}/mistake"), name, pace::DRIVER)
}
