//! Checkers of the debug kernel that have to be asked: they say nothing by themselves, or not in the time that a test takes.

use crate::pace;
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::judge;

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";
const LOCKDEP: &str = "/proc/lockdep_stats";

/// Asks all of them, after the module was unloaded and has been quiet for longer than the five seconds within which kmemleak
/// takes an object for new.
///
/// # Errors
/// Memory has leaked, or lockdep has turned itself off without a report.
pub fn ask(bench: &Bench<'_>) -> Result<(), Failure> {
    let agent = &bench.machine.agent;
    // The first scan notes what objects contain; the second one reports those that nothing refers to and nobody writes to.
    for _ in 0..2 {
        agent.write(KMEMLEAK, "scan", pace::SCAN)?;
    }
    let leaks = agent.read(KMEMLEAK)?;
    expect(leaks.trim().is_empty(), || format!("memory has leaked: {leaks}"))?;
    let lockdep = agent.read(LOCKDEP)?;
    let log = judge::without_the_boot(bench.machine.console.since(0));
    // A report is judged with the log.
    let reported = || log.iter().any(|line| judge::complains_of(line).is_some());
    expect(is_awake(&lockdep) || reported(), || format!("lockdep has turned itself off: {lockdep}"))
}

/// Whether lockdep checks still, by its own statistics.
fn is_awake(statistics: &str) -> bool {
    let value = statistics.lines().find_map(|line| line.trim().strip_prefix("debug_locks:"));
    value.is_some_and(|value| value.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockdep_says_whether_it_is_awake() {
        let statistics = " max bfs queue depth:                  255\n debug_locks:                            1\n";
        assert!(is_awake(statistics));
        assert!(!is_awake(&statistics.replace("   1\n", "   0\n")));
        assert!(!is_awake(""));
    }
}
