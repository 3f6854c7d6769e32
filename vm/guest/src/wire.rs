//! The messages between the test runner and the guest: one JSON object per line each way, over a serial port.
//!
//! The guest speaks first ([`FromGuest::Hello`]), because what is written to a port nobody has opened is lost. Calls may
//! overlap: each is carried out by a thread of its own, and its answer names it.

use lifeboat_uapi::{BufferCreate, Sync};
use serde::{Deserialize, Serialize};

pub use crate::node::request::{Call as NodeCall, Job, NodeRequest, TimedCall};

/// Longest line, in bytes, either side accepts. The largest file a test reads (the kernel's list of modules) is a tenth.
pub const MAX_LINE: usize = 1 << 20;

/// Runner to guest: carry this out and answer under this number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Chosen by the runner; never reused within one guest.
    pub id: u64,
    /// What to do.
    pub request: Request,
}

/// What the guest can be asked to do. Paths are the guest's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Nothing: are you there?
    Ping,
    /// `finit_module` with parameters as `modprobe` takes them.
    LoadModule {
        /// An uncompressed module.
        path: String,
        /// `name=value`, separated by spaces.
        parameters: String,
    },
    /// `delete_module`; refused while the module is in use.
    UnloadModule {
        /// As in `/proc/modules`.
        name: String,
    },
    /// The contents of a file.
    Read {
        /// The file.
        path: String,
    },
    /// Bytes of a file that are not text: configuration space, mostly.
    ReadBytes {
        /// The file.
        path: String,
        /// First byte.
        offset: u64,
        /// How many; fewer are no error.
        length: usize,
    },
    /// Writes a file that exists, in one `write` as sysfs wants it.
    Write {
        /// The file.
        path: String,
        /// What to write.
        contents: String,
    },
    /// The names in a directory, sorted.
    List {
        /// The directory.
        path: String,
    },
    /// Waits until a condition holds, and answers with what the file contains then (nothing if it is absent).
    Await {
        /// The file or directory.
        path: String,
        /// When to stop waiting.
        until: Condition,
        /// When to give up, in milliseconds.
        limit_ms: u64,
    },
    /// Begins to listen to the kernel's events of devices.
    Listen,
    /// The next event that contains a text, one line for each variable. Events before it are dropped.
    Hear {
        /// The text.
        containing: String,
        /// When to give up, in milliseconds.
        limit_ms: u64,
    },
    /// A line in the kernel's log, to tell the phases of a test apart.
    Mark {
        /// The line.
        text: String,
    },
    /// A use of the device's node, in this process.
    Node {
        /// Which.
        request: NodeRequest,
    },
    /// Starts another process of this program, which can do the same. Answered with its process id.
    Spawn {
        /// The user it runs as; the agent's if there is none.
        user: Option<u32>,
    },
    /// Has a process that was spawned do something; what it answers is the answer.
    Within {
        /// Its process id.
        process: u32,
        /// What to do.
        request: Box<Request>,
    },
    /// Kills a process that was spawned, as SIGKILL does, and waits for its end.
    Kill {
        /// Its process id.
        process: u32,
    },
    /// Makes another name for a device's node, which stays when the node goes.
    CopyNode {
        /// The node.
        node: String,
        /// The new name.
        path: String,
    },
    /// Runs another program to its end. Answered with its exit code, or the negative number of the signal that ended it.
    Run {
        /// The program's file.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// Its output goes into this file with `.out` and with `.err` at its end.
        said: String,
        /// When to kill it, in milliseconds.
        limit_ms: u64,
    },
    /// Requests one after the other, whatever comes of each. Answered with what came of each, in short: a number, the errno of a
    /// failure, or that it was done.
    Each {
        /// The requests.
        requests: Vec<Request>,
    },
    /// As [`Request::Each`], and keeps the requests for [`Request::Kept`]: the line is slow, and what is asked often need not be
    /// said often.
    Keep {
        /// A new number for them.
        number: u32,
        /// The requests.
        requests: Vec<Request>,
    },
    /// The requests that were kept, once more.
    Kept {
        /// Their number.
        number: u32,
    },
    /// Lets every user read and write a file.
    Permit {
        /// The file.
        path: String,
    },
    /// Ends the guest in order. Answered before it happens.
    PowerOff,
}

/// What [`Request::Await`] waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The path exists.
    Exists,
    /// The path does not exist.
    Absent,
    /// The file's contents, without surrounding white space, are these.
    Is(String),
    /// The contents, without surrounding white space, are one of these.
    IsOneOf(Vec<String>),
    /// The file's contents contain this.
    Contains(String),
    /// The file has at least so many lines.
    LinesAtLeast(usize),
    /// The file has lines `name value`, and the one of this name has at least this value.
    CounterAtLeast {
        /// First word of the line.
        name: String,
        /// Least value.
        value: u64,
    },
}

/// Guest to runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromGuest {
    /// The guest is up and listens.
    Hello {
        /// Release of the running kernel.
        kernel: String,
    },
    /// The end of a call.
    Answer(Answer),
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Of the [`Call`].
    pub id: u64,
    /// How long the operation itself took, measured in the guest.
    pub micros: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and there is nothing to say.
    Done,
    /// What a file contains.
    Text(String),
    /// What a file contains.
    Bytes(Vec<u8>),
    /// The names in a directory.
    Names(Vec<String>),
    /// A number; the request says of what.
    Number(i64),
    /// Numbers; the request says of what.
    Numbers(Vec<u64>),
    /// A request of the node, with what the kernel has filled in.
    Called(NodeCall),
    /// A buffer that was created.
    Buffer(BufferCreate),
    /// Jobs that were submitted, in order, and what they signal.
    Submitted {
        /// Numbers of the jobs.
        jobs: Vec<u64>,
        /// As given, with descriptors filled in; of the last of them.
        signals: Vec<Sync>,
    },
    /// Jobs were done one after the other until this ended it.
    Worked {
        /// Jobs that completed and were right.
        completed: u64,
        /// The error that ended it; 0 if it was told to stop.
        errno: i32,
    },
    /// What came of each of several requests, in their order.
    Each(Vec<Step>),
    /// It did not work.
    Failed(Failure),
}

/// The end of one of several requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// How long the operation itself took, measured in the guest.
    pub micros: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kernel's number, where it was the kernel that refused.
    pub errno: Option<i32>,
    /// For people.
    pub message: String,
}
