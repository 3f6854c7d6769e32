//! QEMU's monitor: typed commands of the `qapi` crate, answers and events told apart by a thread of ours.
//!
//! `qapi`'s own client is not used: it fails on events newer than its schema, and can neither wait for an event nor wait with a
//! limit.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use qapi::{Command, Dictionary, Execute, Never, qmp};
use serde::Deserialize;
use serde_json::Value;

use crate::host::trace::Trace;

/// A connection to the monitor.
#[derive(Debug)]
pub struct Qmp {
    conversation: Mutex<Conversation>,
    events: Arc<Events>,
    trace: Trace,
    limit: Duration,
}

#[derive(Debug)]
struct Conversation {
    stream: UnixStream,
    answers: Receiver<Result<Value, qapi::Error>>,
}

/// Something that happened in QEMU.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct QemuEvent {
    /// Its name, such as `DEVICE_DELETED`.
    #[serde(rename = "event")]
    pub name: String,
    /// What it says.
    #[serde(default)]
    pub data: Dictionary,
}

#[derive(Debug, Default)]
struct Events {
    log: Mutex<EventLog>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct EventLog {
    happened: Vec<QemuEvent>,
    ended: bool,
}

/// A place in the sequence of events: what came before it does not count.
#[derive(Debug, Clone, Copy)]
pub struct Since(usize);

/// Why a command or a wait failed.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// The connection.
    #[error("QEMU's monitor: {0}")]
    Io(#[from] io::Error),
    /// QEMU refuses.
    #[error("QEMU refuses {command}: {error}")]
    Refused {
        /// The command.
        command: &'static str,
        /// Why.
        error: qapi::Error,
    },
    /// QEMU has ended, or closed the monitor.
    #[error("QEMU ended while {0}")]
    Ended(String),
    /// It took too long.
    #[error("{0} took longer than {1:?}")]
    Late(String, Duration),
    /// The answer is not what the schema says.
    #[error("the answer to {0} cannot be understood: {1}")]
    Form(&'static str, serde_json::Error),
}

impl Qmp {
    /// Takes over a fresh connection and greets.
    ///
    /// # Errors
    /// Those of a command.
    pub fn open(stream: UnixStream, trace: Trace, limit: Duration) -> Result<Self, QmpError> {
        stream.set_write_timeout(Some(limit))?;
        let events = Arc::<Events>::default();
        let (sender, answers) = mpsc::channel();
        let reader = BufReader::new(stream.try_clone()?);
        thread::spawn({
            let (events, trace) = (Arc::clone(&events), trace.clone());
            move || listen(reader, &events, &sender, &trace)
        });
        let monitor = Self { conversation: Mutex::new(Conversation { stream, answers }), events, trace, limit };
        monitor.execute(&qmp::qmp_capabilities { enable: None })?;
        Ok(monitor)
    }

    /// Carries a command out.
    ///
    /// # Errors
    /// A refusal, an end of QEMU, or no answer within the limit.
    pub fn execute<C: Command>(&self, command: &C) -> Result<C::Ok, QmpError> {
        let mut line = serde_json::to_vec(&Execute::<_, Never>::with_command(command))
            .map_err(|error| QmpError::Form(C::NAME, error))?;
        self.trace.line("->", &String::from_utf8_lossy(&line));
        line.push(b'\n');
        let mut conversation = self.conversation.lock();
        conversation.stream.write_all(&line)?;
        match conversation.answers.recv_timeout(self.limit) {
            Ok(Ok(value)) => serde_json::from_value(value).map_err(|error| QmpError::Form(C::NAME, error)),
            Ok(Err(error)) => Err(QmpError::Refused { command: C::NAME, error }),
            Err(RecvTimeoutError::Timeout) => Err(QmpError::Late(C::NAME.to_owned(), self.limit)),
            Err(RecvTimeoutError::Disconnected) => Err(QmpError::Ended(format!("it carried out {}", C::NAME))),
        }
    }

    /// A command of the monitor for people: for what the other has no command.
    ///
    /// # Errors
    /// As [`execute`](Self::execute). A complaint is text like any other answer.
    pub fn human(&self, line: &str) -> Result<String, QmpError> {
        self.execute(&qmp::human_monitor_command { command_line: line.to_owned(), cpu_index: None })
    }

    /// Now, for [`wait_for`](Self::wait_for): take it before what causes the event.
    pub fn now(&self) -> Since {
        Since(self.events.log.lock().happened.len())
    }

    /// Waits for an event that happened, or happens, after `since`.
    ///
    /// # Errors
    /// QEMU ends, or the event does not come within the limit.
    pub fn wait_for(
        &self,
        since: Since,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&QemuEvent) -> bool,
    ) -> Result<QemuEvent, QmpError> {
        let deadline = Instant::now() + limit;
        let mut log = self.events.log.lock();
        loop {
            if let Some(event) = log.happened[since.0..].iter().find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            if log.ended {
                return Err(QmpError::Ended(format!("waiting for {what}")));
            }
            if self.events.changed.wait_until(&mut log, deadline).timed_out() {
                return Err(QmpError::Late(what.to_owned(), limit));
            }
        }
    }
}

fn listen(
    mut reader: impl BufRead,
    events: &Events,
    answers: &mpsc::Sender<Result<Value, qapi::Error>>,
    trace: &Trace,
) {
    let mut line = String::new();
    while matches!(reader.read_line(&mut line), Ok(1..)) {
        trace.line("<-", &line);
        match serde_json::from_str(&line) {
            Ok(Message::Event(event)) => {
                events.log.lock().happened.push(event);
                events.changed.notify_all();
            }
            // Nobody waits any more: then nobody needs the answer.
            Ok(Message::Return { value }) => drop(answers.send(Ok(value))),
            Ok(Message::Error(error)) => drop(answers.send(Err(error))),
            // The greeting. Anything else is in the trace, and a command that gets no answer fails.
            Ok(Message::Other(_)) | Err(_) => {}
        }
        line.clear();
    }
    events.log.lock().ended = true;
    events.changed.notify_all();
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Event(QemuEvent),
    Return {
        #[serde(rename = "return")]
        value: Value,
    },
    Error(qapi::Error),
    Other(#[allow(dead_code)] Value),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    /// A monitor that says `lines` for each command it gets, in order, and then ends.
    fn monitor(limit: Duration, lines: &'static [&'static str]) -> (Qmp, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let trace = Trace::create(&folder.path().join("trace"), Instant::now()).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut stream = theirs.try_clone().unwrap();
            writeln!(stream, r#"{{"QMP": {{"version": {{}}, "capabilities": []}}}}"#).unwrap();
            let mut commands = BufReader::new(theirs).lines();
            commands.next().unwrap().unwrap();
            writeln!(stream, r#"{{"return": {{}}}}"#).unwrap();
            for said in lines {
                commands.next().unwrap().unwrap();
                writeln!(stream, "{said}").unwrap();
            }
            let _ = commands.next();
        });
        (Qmp::open(ours, trace, limit).unwrap(), folder)
    }

    #[test]
    fn events_do_not_disturb_answers() {
        let lines = &[
            "{\"event\": \"NEW_IN_QEMU_99\", \"data\": {\"a\": 1}, \"timestamp\": {}}\n{\"return\": \"text\"}",
            r#"{"error": {"class": "GenericError", "desc": "no such device"}}"#,
        ];
        let (monitor, _folder) = monitor(LONG, lines);
        let since = monitor.now();
        assert_eq!(monitor.human("info pci").unwrap(), "text");
        let event = monitor.wait_for(since, "the new one", LONG, |event| event.name == "NEW_IN_QEMU_99").unwrap();
        assert_eq!(event.data["a"], 1);
        let late = monitor.wait_for(monitor.now(), "it again", SHORT, |event| event.name == "NEW_IN_QEMU_99");
        assert!(matches!(late, Err(QmpError::Late(..))), "what has been must not count: {late:?}");
        let refused = monitor.execute(&qmp::device_del { id: "gpu".into() }).unwrap_err();
        assert_eq!(refused.to_string(), "QEMU refuses device_del: no such device");
    }

    #[test]
    fn the_end_of_qemu_ends_all_waiting() {
        let (monitor, _folder) = monitor(LONG, &[]);
        assert!(matches!(monitor.execute(&qmp::stop {}), Err(QmpError::Ended(_))));
        let since = monitor.now();
        assert!(matches!(monitor.wait_for(since, "anything", LONG, |_| true), Err(QmpError::Ended(_))));
    }

    #[test]
    fn silence_has_a_limit() {
        let (monitor, _folder) = monitor(SHORT, &["this is no JSON", "nor this"]);
        assert!(matches!(monitor.execute(&qmp::stop {}), Err(QmpError::Late(..))));
    }
}
