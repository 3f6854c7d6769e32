//! The kernel's log, as it comes out of the first serial port.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Collects the log from the first line to the last.
#[derive(Debug)]
pub struct Console {
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<String>,
    ended: bool,
}

impl Console {
    /// Collects from a port, and into a file as well.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn collect(stream: UnixStream, into: &Path) -> io::Result<Self> {
        let log = Arc::<Log>::default();
        let file = File::create(into)?;
        let reader = thread::spawn({
            let log = Arc::clone(&log);
            move || listen(BufReader::new(stream), file, &log)
        });
        Ok(Self { log, reader: Some(reader) })
    }

    /// Waits for `limit`, less if the guest ends meanwhile; says whether it lived on.
    pub fn lives_on_for(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut lines = self.log.lines.lock();
        while !lines.ended && !self.log.changed.wait_until(&mut lines, deadline).timed_out() {}
        !lines.ended
    }

    /// Waits until a line from number `since` on contains `text`; says whether it came.
    pub fn wait_for(&self, since: usize, text: &str, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut lines = self.log.lines.lock();
        loop {
            if lines.all.iter().skip(since).any(|line| line.contains(text)) {
                return true;
            }
            if lines.ended || self.log.changed.wait_until(&mut lines, deadline).timed_out() {
                return false;
            }
        }
    }

    /// How many lines there are, so that [`since`](Self::since) can tell what came later.
    pub fn len(&self) -> usize {
        self.log.lines.lock().all.len()
    }

    /// Whether the kernel has said nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines from this number on.
    pub fn since(&self, number: usize) -> Vec<String> {
        self.log.lines.lock().all.get(number..).unwrap_or_default().to_vec()
    }

    /// The whole log, once the guest has ended.
    pub fn into_log(mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has collected what it has.
            let _ = reader.join();
        }
        std::mem::take(&mut self.log.lines.lock().all)
    }
}

fn listen(mut reader: impl BufRead, mut file: File, log: &Log) {
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        // The log in memory is what is judged; the file is for people.
        let _ = writeln!(file, "{line}");
        let mut lines = log.lines.lock();
        lines.all.push(line);
        drop(lines);
        log.changed.notify_all();
        bytes.clear();
    }
    log.lines.lock().ended = true;
    log.changed.notify_all();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    fn console() -> (UnixStream, Console, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let console = Console::collect(ours, &folder.path().join("console.log")).unwrap();
        (theirs, console, folder)
    }

    #[test]
    fn the_log_is_kept_line_by_line() {
        let (mut guest, console, folder) = console();
        guest.write_all(b"booting\r\n").unwrap();
        assert!(console.wait_for(0, "boot", LONG));
        assert!(!console.wait_for(console.len(), "boot", SHORT), "what has been does not count");
        assert!(console.lives_on_for(SHORT));
        guest.write_all(b"bytes that are no text: \xff\r\nrest").unwrap();
        drop(guest);
        assert_eq!(console.into_log(), ["booting", "bytes that are no text: \u{fffd}", "rest"]);
        let kept = std::fs::read_to_string(folder.path().join("console.log")).unwrap();
        assert!(kept.starts_with("booting\nbytes") && kept.ends_with("\nrest\n"), "{kept:?}");
    }

    #[test]
    fn the_end_of_the_guest_ends_all_waiting() {
        let (guest, console, _folder) = console();
        drop(guest);
        assert!(!console.lives_on_for(LONG));
        assert!(!console.wait_for(0, "anything", LONG));
    }
}
