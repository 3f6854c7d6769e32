//! What the process has of the system's: memory, threads, descriptors.

use std::fs;

use serde::Serialize;

/// What it had at some moment. `None` where the system does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// Resident memory, in bytes.
    pub rss_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
}

impl Footprint {
    /// What it has now.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        // The one through which they are listed is one of them.
        let descriptors = fs::read_dir("/proc/self/fd").ok().map(|list| (list.count() as u64).saturating_sub(1));
        Self {
            rss_bytes: value(&status, "VmRSS:").and_then(|kibibytes| kibibytes.checked_mul(1024)),
            threads: value(&status, "Threads:"),
            descriptors,
        }
    }
}

fn value(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Every thread of the process: its name, its state, and the system call it is in, as far as the system tells.
pub(super) fn threads() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let line = |task: fs::DirEntry| {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let status = read("status");
        let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").trim().to_owned();
        format!("{}: {}, {}", of("Name:"), of("State:"), read("wchan").trim())
    };
    let mut lines: Vec<String> = tasks.filter_map(Result::ok).map(line).collect();
    lines.sort();
    lines
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_seen() {
        let before = Footprint::now();
        assert!(before.rss_bytes.unwrap() > 100_000 && before.threads.unwrap() > 0);
        let files: Vec<_> = (0..100).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
        assert!(Footprint::now().descriptors.unwrap() + 50 > before.descriptors.unwrap() + files.len() as u64);
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("here-i-am".into()).spawn(move || stopped.recv().is_ok());
        let named = || threads().iter().any(|line| line.starts_with("here-i-am: "));
        while !named() {
            std::thread::yield_now();
        }
        drop(stop);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn reads_the_kernels_format() {
        assert_eq!(value("Name:\tx\nVmRSS:\t   12 kB\nThreads:\t3\n", "VmRSS:"), Some(12));
        assert_eq!(value("Threads:\tmany\n", "Threads:"), None);
    }
}
