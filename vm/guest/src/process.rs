//! Other processes of this program: they do what the agent does, and can be killed.
//!
//! The agent speaks to each over pipes as the runner speaks to the agent, and hands requests on. So requests to one process
//! overlap as well.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::wire::{Call, Failure, FromGuest, Outcome, Request};

/// Makes this program a process that the agent has started.
pub const CLIENT: &str = "client";

/// The processes that were spawned and not killed, by process id.
#[derive(Debug, Default)]
pub struct Processes(Mutex<BTreeMap<u32, Arc<Process>>>);

#[derive(Debug)]
struct Process {
    child: Mutex<Child>,
    calls: Calls,
    next: AtomicU64,
}

/// The calls that have no answer yet; `None` once there will be none.
type Waiting = Mutex<Option<HashMap<u64, Sender<Outcome>>>>;

#[derive(Debug)]
struct Calls {
    waiting: Arc<Waiting>,
    port: Mutex<std::process::ChildStdin>,
}

impl Processes {
    /// Starts a process, as a user if one is given.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self, user: Option<u32>) -> Result<u32, Failure> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(CLIENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().map_err(|error| failure("start a process", &error))?;
        let id = child.id();
        let (Some(port), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failure("start a process", &std::io::ErrorKind::BrokenPipe.into()));
        };
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        thread::spawn({
            let waiting = Arc::clone(&waiting);
            move || listen(BufReader::new(output), &waiting)
        });
        let calls = Calls { waiting, port: Mutex::new(port) };
        let process = Process { child: Mutex::new(child), calls, next: AtomicU64::new(0) };
        lock(&self.0).insert(id, Arc::new(process));
        Ok(id)
    }

    /// Has a process do something, and waits for its answer.
    ///
    /// # Errors
    /// There is no such process, or it ended.
    pub fn within(&self, id: u32, request: &Request) -> Result<Outcome, Failure> {
        let process = lock(&self.0).get(&id).cloned().ok_or_else(|| none(id))?;
        process.calls.call(process.next.fetch_add(1, Ordering::Relaxed), request)
    }

    /// Kills a process and waits for its end.
    ///
    /// # Errors
    /// There is no such process.
    pub fn kill(&self, id: u32) -> Result<(), Failure> {
        let process = lock(&self.0).remove(&id).ok_or_else(|| none(id))?;
        let mut child = lock(&process.child);
        child.kill().and_then(|()| child.wait()).map_err(|error| failure("kill a process", &error))?;
        Ok(())
    }
}

impl Calls {
    fn call(&self, id: u64, request: &Request) -> Result<Outcome, Failure> {
        let (sender, answer) = mpsc::channel();
        match lock(&self.waiting).as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(ended()),
        };
        let mut line = serde_json::to_vec(&Call { id, request: request.clone() })
            .map_err(|error| failure("write a request", &error.into()))?;
        line.push(b'\n');
        lock(&self.port).write_all(&line).map_err(|error| failure("speak to a process", &error))?;
        answer.recv().map_err(|_| ended())
    }
}

fn listen(output: impl BufRead, waiting: &Waiting) {
    for line in output.lines().map_while(Result::ok) {
        if let Ok(FromGuest::Answer(answer)) = serde_json::from_str(&line) {
            let sender = lock(waiting).as_mut().and_then(|waiting| waiting.remove(&answer.id));
            if let Some(sender) = sender {
                // The receiver is there: the caller waits without a limit.
                let _ = sender.send(answer.outcome);
            }
        }
    }
    // Drops the senders: all callers see the end.
    *lock(waiting) = None;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn none(id: u32) -> Failure {
    Failure { errno: None, message: format!("no process {id} was spawned") }
}

fn ended() -> Failure {
    Failure { errno: None, message: "the process has ended".to_owned() }
}

fn failure(what: &str, error: &std::io::Error) -> Failure {
    Failure { errno: error.raw_os_error(), message: format!("{what}: {error}") }
}
