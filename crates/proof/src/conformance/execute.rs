//! Runs tests, each in a process of its own: one that hangs, aborts or leaks takes no other with it.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::checkout::Checkout;
use super::discover::Test;
use super::outcome::{self, Outcome};
use super::process::{self, Finished, Stderr};
use super::progress::Progress;
use lifeboat_cli::interrupt::Interrupt;

/// Tests that run at the same time, at most: many of them use several threads, and some judge by time.
const AT_ONCE: usize = 2;

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestResult {
    /// The end of it.
    pub outcome: Outcome,
    /// The time it took.
    pub took: Duration,
    /// The output; empty if it passed.
    pub output: String,
}

/// Runs `tests`, each for at most `limit`, and gives the results in their order. When the user wants to stop, the rest is not
/// run and fails.
///
/// # Errors
/// The system refuses a process or a file.
pub(super) fn execute(
    checkout: &Checkout,
    tests: &[&Test],
    limit: Duration,
    progress: &Progress,
    interrupt: &Interrupt,
) -> io::Result<Vec<TestResult>> {
    let run = |test: &&Test| {
        progress.now(&test.name);
        let finished = process::run(&mut test.command(checkout), Stderr::Kept, limit, interrupt)?;
        progress.done();
        Ok(result(finished, test.parts(), limit))
    };
    progress.begin("running tests", tests.len());
    let results = in_order(tests, workers(), run);
    progress.clear();
    results
}

fn workers() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(AT_ONCE)
}

fn result(finished: Finished, parts: usize, limit: Duration) -> TestResult {
    let outcome = outcome::of(&finished, parts, limit);
    let output = match outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed(_) => finished.stdout + &finished.stderr,
    };
    TestResult { outcome, took: finished.took, output }
}

/// Does `work` for each item with so many threads, and gives the results in the items' order.
fn in_order<T: Sync, R: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> io::Result<R> + Sync,
) -> io::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let worker = || -> io::Result<Vec<(usize, R)>> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Relaxed);
            let Some(item) = items.get(at) else { return Ok(done) };
            done.push((at, work(item)?));
        }
    };
    let mut done = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, io::Error>(all)
    })?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_tests() {
        let items: Vec<_> = (0..50u64).collect();
        let doubled = in_order(&items, 2, |item| {
            thread::sleep(Duration::from_micros(50 - item));
            Ok(item * 2)
        });
        assert_eq!(doubled.unwrap(), (0..50).map(|item| item * 2).collect::<Vec<_>>());
        let none: [u8; 0] = [];
        assert!(in_order(&none, 2, |_| Ok(())).unwrap().is_empty());
        let refused = in_order(&items, 2, |item| if *item == 20 { Err(io::Error::other("no")) } else { Ok(()) });
        assert!(refused.is_err());
    }
}
