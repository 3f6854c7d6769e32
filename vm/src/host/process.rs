//! Programs the runner starts: ended with the test that started them, and all at once when the runner is interrupted.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often a program that should end is looked at; there is no wait with a limit.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// All programs of a run.
#[derive(Debug, Clone, Default)]
pub struct Processes(Arc<ProcessInner>);

#[derive(Debug, Default)]
struct ProcessInner {
    interrupted: AtomicBool,
    running: Mutex<Vec<Weak<Mutex<Child>>>>,
}

/// A program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Arc<Mutex<Child>>,
}

impl Processes {
    /// Starts a program that dies with this process, however that ends.
    ///
    /// The kernel ties it to the *thread* that calls this, which must outlive it.
    ///
    /// # Errors
    /// It cannot be started, or the run was interrupted.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Process> {
        let mut running = self.0.running.lock();
        if self.interrupted() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = Arc::new(Mutex::new(command.spawn()?));
        running.retain(|child| child.strong_count() > 0);
        running.push(Arc::downgrade(&child));
        Ok(Process { child })
    }

    /// Kills everything that runs, so that whoever waits for it sees it end, and lets nothing new start.
    pub fn interrupt(&self) {
        let running = self.0.running.lock();
        self.0.interrupted.store(true, Ordering::SeqCst);
        for child in running.iter().filter_map(Weak::upgrade) {
            // It may have ended by itself.
            let _ = child.lock().kill();
        }
    }

    /// Whether [`interrupt`](Self::interrupt) was called.
    pub fn interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::SeqCst)
    }
}

/// A command that gets killed with the thread that starts it, even if that is killed itself.
pub fn tied(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

impl Process {
    /// How it ended, if it has.
    ///
    /// # Errors
    /// Those of `waitpid`.
    pub fn ended(&self) -> io::Result<Option<ExitStatus>> {
        self.child.lock().try_wait()
    }

    /// Waits for it to end by itself; `None` if it has not within the limit.
    ///
    /// # Errors
    /// Those of `waitpid`.
    pub fn wait(&self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        loop {
            match self.ended()? {
                Some(status) => return Ok(Some(status)),
                None if started.elapsed() >= limit => return Ok(None),
                None => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// Its standard output, the first time, if it is a pipe.
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.child.lock().stdout.take()
    }

    /// Kills it and waits until it is no more.
    pub fn kill(&self) {
        let mut child = self.child.lock();
        // Both fail only if it has ended and was waited for.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An exit status in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn sleeper(processes: &Processes) -> Process {
        processes.spawn(tied("sleep").arg("1000")).unwrap()
    }

    #[test]
    fn what_is_dropped_is_killed_and_reaped() {
        let process = sleeper(&Processes::default());
        let child = Arc::clone(&process.child);
        assert_eq!(process.wait(Duration::ZERO).unwrap(), None);
        drop(process);
        assert_eq!(child.lock().try_wait().unwrap().unwrap().signal(), Some(9));
    }

    #[test]
    fn an_interruption_ends_all_and_starts_nothing() {
        let processes = Processes::default();
        let both = [sleeper(&processes), sleeper(&processes)];
        processes.interrupt();
        for process in both {
            assert_eq!(process.wait(LONG).unwrap().unwrap().signal(), Some(9));
        }
        assert_eq!(processes.spawn(&mut tied("true")).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn a_program_dies_with_the_thread_that_started_it() {
        let processes = Processes::default();
        let process = thread::spawn({
            let processes = processes.clone();
            move || {
                let process = sleeper(&processes);
                // Until then it is not yet tied.
                let name = format!("/proc/{}/comm", process.child.lock().id());
                while std::fs::read_to_string(&name).unwrap() != "sleep\n" {
                    thread::sleep(LOOK_EVERY);
                }
                process
            }
        });
        let process = process.join().unwrap();
        assert_eq!(process.wait(LONG).unwrap().unwrap().signal(), Some(9));
    }
}
