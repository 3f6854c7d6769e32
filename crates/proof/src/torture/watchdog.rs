//! What is said when a thread stands still: everything there is to know of who waits for what.

use std::fmt::Write;
use std::time::Duration;

use super::activity::Activities;
use super::process;

/// What every thread is doing: those that have stood still for longer than `limit` first, then the others, then the open
/// sections, and the threads as the system sees them.
pub(super) fn account(activities: &Activities, limit: Duration) -> String {
    let mut text = String::new();
    let stalled = activities.stalled(limit);
    let mut part = |title: &str, lines: Vec<String>| {
        // A string takes whatever is written to it.
        let _ = writeln!(text, "{title}: {}", if lines.is_empty() { "none" } else { "" });
        for line in lines {
            let _ = writeln!(text, "    {line}");
        }
    };
    part(
        &format!("threads that have stood still for longer than {limit:?}"),
        stalled.iter().map(ToString::to_string).collect(),
    );
    let others =
        activities.all().into_iter().filter(|seen| !stalled.iter().any(|stalled| stalled.thread == seen.thread));
    part("other threads of the torture", others.map(|seen| seen.to_string()).collect());
    part("open sections", lifeboat_sync::open_sections().iter().map(ToString::to_string).collect());
    part("all threads, as the system sees them", process::threads());
    text
}

#[cfg(test)]
mod tests {
    use std::thread;

    use lifeboat_sync::Gate;

    use super::*;

    #[test]
    fn it_names_who_stands_still_and_every_open_section() {
        let activities = Activities::default();
        activities.register("stuck 7").does("create-context");
        activities.register("idle 7").rests();
        thread::sleep(Duration::from_millis(30));
        let gate = Gate::new();
        let text = gate.run(|| account(&activities, Duration::from_millis(20))).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let at = |start: &str| lines.iter().position(|line| line.trim_start().starts_with(start)).unwrap();
        assert!(at("stuck 7: create-context, for 0.") < at("other threads"), "{text}");
        assert!(at("other threads") < at("idle 7: rests"), "{text}");
        let section = lines.iter().position(|line| line.contains("torture/watchdog.rs"));
        assert!(section > Some(at("open sections")) && section < Some(at("all threads")), "{text}");
    }
}
