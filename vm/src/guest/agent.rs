//! The runner's side of the guest's agent: calls that may overlap, each with a limit.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_guest::wire::{Answer, Call, Condition, Failure, FromGuest, Outcome, Request};
use parking_lot::Mutex;

use crate::host::trace::Trace;
use crate::pace::{self, Flavour};

/// A connection to the agent of a guest that is up.
#[derive(Debug)]
pub struct Agent {
    stream: Mutex<UnixStream>,
    waiting: Arc<Waiting>,
    next: Mutex<u64>,
    trace: Trace,
    flavour: Flavour,
    kernel: String,
}

/// Who waits for which answer; `None` once there will be none.
type Waiting = Mutex<Option<HashMap<u64, Sender<Answer>>>>;

/// A call under way.
#[derive(Debug)]
pub struct Pending {
    what: String,
    answer: Receiver<Answer>,
    began: Instant,
    limit: Duration,
}

/// What came of a call, and how long it took in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What came of it; not [`Outcome::Failed`].
    pub outcome: Outcome,
    /// How long.
    pub took: Duration,
}

/// Why a call has no good end.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The connection.
    #[error("the connection to the guest: {0}")]
    Io(#[from] io::Error),
    /// The guest did not come up.
    #[error("the guest did not come up within {0:?}")]
    NoHello(Duration),
    /// The guest refuses or cannot.
    #[error("in the guest: {0}")]
    Failed(#[from] Failure),
    /// The guest has ended.
    #[error("the guest ended while it should {0}")]
    Ended(String),
    /// The guest does not answer: it hangs, or is far too slow.
    #[error("the guest did not {0} within {1:?}")]
    Late(String, Duration),
    /// Another kind of answer than the request has.
    #[error("the guest answered {0:?}, which does not fit")]
    Unfitting(Outcome),
}

impl Agent {
    /// Waits until the guest is up.
    ///
    /// # Errors
    /// It ends, or is not up within the limit for a boot.
    pub fn open(stream: UnixStream, trace: Trace, flavour: Flavour) -> Result<Self, AgentError> {
        stream.set_write_timeout(Some(flavour.limit(pace::COMMAND)))?;
        let (hello_sender, hello) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let reader = BufReader::new(stream.try_clone()?);
        thread::spawn({
            let (waiting, trace) = (Arc::clone(&waiting), trace.clone());
            move || listen(reader, hello_sender, &waiting, &trace)
        });
        let limit = flavour.limit(pace::BOOT);
        let kernel = match hello.recv_timeout(limit) {
            Ok(kernel) => kernel,
            Err(RecvTimeoutError::Timeout) => return Err(AgentError::NoHello(limit)),
            Err(RecvTimeoutError::Disconnected) => return Err(AgentError::Ended("boot".to_owned())),
        };
        Ok(Self { stream: Mutex::new(stream), waiting, next: Mutex::new(0), trace, flavour, kernel })
    }

    /// Release of the guest's kernel.
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// The limit for the guest's kernel.
    pub fn limit(&self, limit: Duration) -> Duration {
        self.flavour.limit(limit)
    }

    /// Begins a call, and lets it run.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn start(&self, request: Request, limit: Duration) -> Result<Pending, AgentError> {
        let what = describe(&request);
        let id = {
            let mut next = self.next.lock();
            *next += 1;
            *next
        };
        let (sender, answer) = mpsc::channel();
        match self.waiting.lock().as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(AgentError::Ended(what)),
        };
        let mut line = serde_json::to_string(&Call { id, request }).map_err(io::Error::from)?;
        self.trace.line("->", &line);
        line.push('\n');
        self.stream.lock().write_all(line.as_bytes())?;
        Ok(Pending { what, answer, began: Instant::now(), limit: self.flavour.limit(limit) })
    }

    /// A call from its beginning to its end.
    ///
    /// # Errors
    /// The guest refuses, ends or does not answer in time.
    pub fn call(&self, request: Request, limit: Duration) -> Result<Reply, AgentError> {
        self.start(request, limit)?.wait()
    }

    /// Whether the guest answers.
    ///
    /// # Errors
    /// It does not.
    pub fn ping(&self) -> Result<(), AgentError> {
        self.call(Request::Ping, pace::COMMAND).map(drop)
    }

    /// The contents of a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, path: &str) -> Result<String, AgentError> {
        self.call(Request::Read { path: path.to_owned() }, pace::COMMAND)?.text()
    }

    /// Bytes of a file; fewer if it ends.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_bytes(&self, path: &str, offset: u64, length: usize) -> Result<Vec<u8>, AgentError> {
        match self.call(Request::ReadBytes { path: path.to_owned(), offset, length }, pace::COMMAND)?.outcome {
            Outcome::Bytes(bytes) => Ok(bytes),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// All bytes of a file, whatever the kernel gives at a time.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_to_end(&self, path: &str) -> Result<Vec<u8>, AgentError> {
        /// Bytes in one message.
        const PART: usize = 64 << 10;
        let mut contents = Vec::new();
        loop {
            let part = self.read_bytes(path, contents.len() as u64, PART)?;
            if part.is_empty() {
                return Ok(contents);
            }
            contents.extend(part);
        }
    }

    /// Writes a file, and says how long that took.
    ///
    /// # Errors
    /// It cannot be written, or what that sets off takes longer than `limit`.
    pub fn write(&self, path: &str, contents: &str, limit: Duration) -> Result<Duration, AgentError> {
        Ok(self.call(write(path, contents), limit)?.took)
    }

    /// The names in a directory.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn list(&self, path: &str) -> Result<Vec<String>, AgentError> {
        match self.call(Request::List { path: path.to_owned() }, pace::COMMAND)?.outcome {
            Outcome::Names(names) => Ok(names),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// Waits until a condition holds; gives the contents then, empty if the path is absent.
    ///
    /// # Errors
    /// It does not hold within the limit.
    pub fn wait_until(&self, path: &str, until: Condition, limit: Duration) -> Result<Reply, AgentError> {
        let limit = self.flavour.limit(limit);
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let pending = self.start(Request::Await { path: path.to_owned(), until, limit_ms }, pace::COMMAND)?;
        // The guest gives up by itself and says why; only one that hangs needs the second limit.
        Pending { limit: pending.limit + limit, ..pending }.wait()
    }

    /// The number that a request is answered with.
    ///
    /// # Errors
    /// The guest refuses, or answers something else.
    pub fn number(&self, request: Request, limit: Duration) -> Result<i64, AgentError> {
        self.call(request, limit)?.number()
    }

    /// Begins to listen to the kernel's events of devices.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn listen(&self) -> Result<(), AgentError> {
        self.call(Request::Listen, pace::COMMAND).map(drop)
    }

    /// The next event that contains a text, one line for each of its variables.
    ///
    /// # Errors
    /// None comes within the limit.
    pub fn hear(&self, text: &str) -> Result<String, AgentError> {
        let limit_ms = u64::try_from(self.limit(pace::DRIVER).as_millis()).unwrap_or(u64::MAX);
        let pending = self.start(Request::Hear { containing: text.to_owned(), limit_ms }, pace::COMMAND)?;
        // As in `wait_until`.
        Pending { limit: pending.limit + self.limit(pace::DRIVER), ..pending }.wait()?.text()
    }

    /// A line in the guest's log.
    ///
    /// # Errors
    /// The guest does not answer.
    pub fn mark(&self, text: &str) -> Result<(), AgentError> {
        self.call(Request::Mark { text: text.to_owned() }, pace::COMMAND).map(drop)
    }
}

/// A request to write a file.
pub fn write(path: &str, contents: &str) -> Request {
    Request::Write { path: path.to_owned(), contents: contents.to_owned() }
}

impl Pending {
    /// The end of the call.
    ///
    /// # Errors
    /// The guest refuses, ends, or does not answer in time.
    pub fn wait(self) -> Result<Reply, AgentError> {
        match self.answer.recv_timeout(self.limit) {
            Ok(answer) => reply(answer),
            Err(RecvTimeoutError::Timeout) => Err(AgentError::Late(self.what, self.limit)),
            Err(RecvTimeoutError::Disconnected) => Err(AgentError::Ended(self.what)),
        }
    }

    /// The end of the call, or the call if it is still under way within its limit.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), inside of the result.
    pub fn ended(self) -> Result<Result<Reply, AgentError>, Self> {
        match self.answer.try_recv() {
            Ok(answer) => Ok(reply(answer)),
            Err(TryRecvError::Empty) if self.began.elapsed() < self.limit => Err(self),
            Err(TryRecvError::Empty) => Ok(Err(AgentError::Late(self.what, self.limit))),
            Err(TryRecvError::Disconnected) => Ok(Err(AgentError::Ended(self.what))),
        }
    }
}

fn reply(answer: Answer) -> Result<Reply, AgentError> {
    match answer.outcome {
        Outcome::Failed(failure) => Err(failure.into()),
        outcome => Ok(Reply { outcome, took: Duration::from_micros(answer.micros) }),
    }
}

impl Reply {
    /// The number.
    ///
    /// # Errors
    /// The answer is of another kind.
    pub fn number(self) -> Result<i64, AgentError> {
        match self.outcome {
            Outcome::Number(number) => Ok(number),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// The text of a file; empty for what has no text.
    ///
    /// # Errors
    /// The answer is of another kind.
    pub fn text(self) -> Result<String, AgentError> {
        match self.outcome {
            Outcome::Text(text) => Ok(text),
            Outcome::Done => Ok(String::new()),
            other => Err(AgentError::Unfitting(other)),
        }
    }
}

fn describe(request: &Request) -> String {
    match request {
        Request::Ping => "answer".to_owned(),
        Request::LoadModule { path, .. } => format!("load {path}"),
        Request::UnloadModule { name } => format!("unload {name}"),
        Request::Read { path } | Request::ReadBytes { path, .. } => format!("read {path}"),
        Request::Write { path, contents } => format!("write {contents:?} to {path}"),
        Request::List { path } => format!("list {path}"),
        Request::Await { path, until, .. } => format!("see {until:?} of {path}"),
        Request::Listen => "listen to the kernel's events".to_owned(),
        Request::Hear { containing, .. } => format!("hear an event with {containing:?}"),
        Request::Mark { .. } => "write into its log".to_owned(),
        Request::Node { request } => {
            let mut text = format!("{request:?}");
            text.truncate(120);
            text
        }
        Request::Spawn { .. } => "start a process".to_owned(),
        Request::Within { process, request } => format!("in process {process}: {}", describe(request)),
        Request::Kill { process } => format!("kill process {process}"),
        Request::CopyNode { node, path } => format!("call {node} {path}, too"),
        Request::Run { program, arguments, .. } => format!("run {program} {}", arguments.join(" ")),
        Request::Each { requests } => {
            let mut text = requests.iter().map(describe).collect::<Vec<_>>().join(", ");
            text.truncate(text.floor_char_boundary(400));
            text
        }
        Request::Keep { number, .. } => format!("carry out and keep requests {number}"),
        Request::Kept { number } => format!("carry out requests {number}"),
        Request::Permit { path } => format!("permit {path}"),
        Request::PowerOff => "power off".to_owned(),
    }
}

fn listen(mut reader: impl BufRead, hello: Sender<String>, waiting: &Waiting, trace: &Trace) {
    let mut hello = Some(hello);
    let mut line = String::new();
    while matches!(reader.read_line(&mut line), Ok(1..)) {
        trace.line("<-", &line);
        match serde_json::from_str(&line) {
            Ok(FromGuest::Hello { kernel }) => {
                if let Some(hello) = hello.take() {
                    // The runner may have given up waiting.
                    let _ = hello.send(kernel);
                }
            }
            Ok(FromGuest::Answer(answer)) => {
                let sender = waiting.lock().as_mut().and_then(|waiting| waiting.remove(&answer.id));
                if let Some(sender) = sender {
                    // Likewise.
                    let _ = sender.send(answer);
                }
            }
            // In the trace. Whoever waits for it fails.
            Err(_) => {}
        }
        line.clear();
    }
    // Drops the senders: whoever waits sees the end.
    *waiting.lock() = None;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use std::time::Instant;

    use lifeboat_guest::serve::serve;

    use super::*;

    /// The agent's own code, in this process.
    fn agent() -> (Agent, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let trace = Trace::create(&folder.path().join("trace"), Instant::now()).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let _ = serve(BufReader::new(theirs.try_clone().unwrap()), theirs, "7.3.4");
        });
        (Agent::open(ours, trace, Flavour::Stock).unwrap(), folder)
    }

    #[test]
    fn calls_overlap() {
        let (agent, folder) = agent();
        assert_eq!(agent.kernel(), "7.3.4");
        let path = folder.path().join("state").to_str().unwrap().to_owned();
        let until = Condition::Is("ready".to_owned());
        let waiting = Request::Await { path: path.clone(), until, limit_ms: 20_000 };
        let pending = agent.start(waiting, pace::COMMAND).unwrap();
        std::fs::write(&path, "").unwrap();
        agent.write(&path, "ready", pace::COMMAND).unwrap();
        assert_eq!(pending.wait().unwrap().text().unwrap(), "ready");
        assert_eq!(agent.read(&path).unwrap(), "ready");
        assert_eq!(agent.read_bytes(&path, 1, 2).unwrap(), b"ea");
        assert_eq!(agent.read_to_end(&path).unwrap(), b"ready");
        assert!(agent.list(folder.path().to_str().unwrap()).unwrap().contains(&"state".to_owned()));
    }

    #[test]
    fn a_refusal_says_what_and_why() {
        let (agent, _folder) = agent();
        let AgentError::Failed(failure) = agent.read("/no/such/file").unwrap_err() else { panic!("another error") };
        assert_eq!(failure.errno, Some(2));
        assert!(failure.message.contains("/no/such/file"));
        let path = "/no/such/file";
        let error = agent.wait_until(path, Condition::Exists, Duration::from_millis(1)).unwrap_err();
        assert!(matches!(error, AgentError::Failed(_)), "the guest itself says what it found instead: {error}");
    }

    #[test]
    fn the_end_of_the_guest_ends_all_waiting() {
        let (agent, _folder) = agent();
        let waiting = Request::Await { path: "/no/such/file".to_owned(), until: Condition::Exists, limit_ms: 60_000 };
        let pending = agent.start(waiting, pace::COMMAND).unwrap();
        agent.stream.lock().shutdown(std::net::Shutdown::Both).unwrap();
        assert!(matches!(pending.wait(), Err(AgentError::Ended(_))));
    }

    #[test]
    fn silence_has_a_limit() {
        let (agent, _folder) = agent();
        let waiting = Request::Await { path: "/no/such/file".to_owned(), until: Condition::Exists, limit_ms: 60_000 };
        let error = agent.call(waiting, Duration::from_millis(10)).unwrap_err();
        assert!(matches!(error, AgentError::Late(..)), "{error}");
    }
}
