//! A program in the guest that uses the device through its node: a process of its own, which a test steers.

pub mod command;
pub mod commands;
pub mod file;
pub mod memory;
pub mod vgem;

use std::cell::Cell;
use std::time::Duration;

use lifeboat_guest::wire::{NodeRequest, Outcome, Request, Step};

use crate::guest::agent::{Agent, AgentError, Pending, Reply};
use crate::pace;

/// A process in the guest.
#[derive(Debug)]
pub struct Program<'a> {
    agent: &'a Agent,
    process: u32,
    /// Numbers for files, maps, descriptors and works: never used twice.
    next: Cell<u32>,
}

impl<'a> Program<'a> {
    /// Starts a program as root.
    ///
    /// # Errors
    /// The guest cannot.
    pub fn start(agent: &'a Agent) -> Result<Self, AgentError> {
        Self::start_as(agent, None)
    }

    /// Starts a program as a user.
    ///
    /// # Errors
    /// The guest cannot.
    pub fn start_as(agent: &'a Agent, user: Option<u32>) -> Result<Self, AgentError> {
        let reply = agent.call(Request::Spawn { user }, pace::COMMAND)?;
        let Outcome::Number(process) = reply.outcome else { return Err(AgentError::Unfitting(reply.outcome)) };
        let process = u32::try_from(process).map_err(|_| AgentError::Unfitting(Outcome::Number(process)))?;
        Ok(Self { agent, process, next: Cell::new(0) })
    }

    /// The contents of a file, as this program sees it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn read(&self, path: &str) -> Result<String, AgentError> {
        self.begin(Request::Read { path: path.to_owned() }, pace::COMMAND)?.wait()?.text()
    }

    /// Kills the program as SIGKILL does. What it has open is closed when this returns.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn kill(self) -> Result<(), AgentError> {
        self.agent.call(Request::Kill { process: self.process }, pace::COMMAND).map(drop)
    }

    /// A limit of the guest's, as requests take it.
    pub(super) fn milliseconds(&self, limit: Duration) -> u64 {
        milliseconds(self.agent.limit(limit))
    }

    /// Process id.
    pub fn process(&self) -> u32 {
        self.process
    }

    /// Begins a request to the node.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_call(&self, request: NodeRequest, limit: Duration) -> Result<Pending, AgentError> {
        self.begin(Request::Node { request }, limit)
    }

    /// Makes a request to the node.
    ///
    /// # Errors
    /// The kernel refuses, or takes longer than `limit`.
    pub fn call(&self, request: NodeRequest, limit: Duration) -> Result<Reply, AgentError> {
        self.start_call(request, limit)?.wait()
    }

    /// Carries requests out one after the other, whatever comes of each, within `limit` for all of them.
    ///
    /// # Errors
    /// The program is gone, or takes longer.
    pub fn each(&self, requests: Vec<Request>, limit: Duration) -> Result<Vec<Step>, AgentError> {
        match self.begin(Request::Each { requests }, limit)?.wait()?.outcome {
            Outcome::Each(steps) => Ok(steps),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// The nanoseconds that two threads of the program need to wake each other, each of so many round trips.
    ///
    /// # Errors
    /// The guest cannot.
    pub fn time_ping_pong(&self, times: u32) -> Result<Vec<u64>, AgentError> {
        match self.call(NodeRequest::TimePingPong { times }, pace::COMMAND)?.outcome {
            Outcome::Numbers(nanoseconds) => Ok(nanoseconds),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    fn begin(&self, request: Request, limit: Duration) -> Result<Pending, AgentError> {
        self.agent.start(Request::Within { process: self.process, request: Box::new(request) }, limit)
    }

    pub(crate) fn new_number(&self) -> u32 {
        self.next.replace(self.next.get() + 1)
    }
}

/// The errno by which the kernel refused.
///
/// # Errors
/// It did not refuse, or something else went wrong.
pub fn refused<T: std::fmt::Debug>(result: Result<T, AgentError>) -> Result<i32, crate::suite::failure::Failure> {
    use crate::suite::failure::Failure;
    match result {
        Err(AgentError::Failed(lifeboat_guest::wire::Failure { errno: Some(errno), .. })) => Ok(errno),
        Err(other) => Err(other.into()),
        Ok(reply) => Err(Failure::Unexpected(format!("it was not refused: {reply:?}"))),
    }
}

/// A limit as requests take it.
pub(super) fn milliseconds(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}
