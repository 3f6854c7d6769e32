//! A program of the guest's that runs to its end, such as a user starts.

use std::time::Duration;

use lifeboat_guest::wire::{Condition, Request};

use crate::guest::agent::{Agent, AgentError, Pending};
use crate::guest::tools::Tool;
use crate::pace;
use crate::program::milliseconds;

/// A program that runs.
#[derive(Debug)]
pub struct Command<'a> {
    agent: &'a Agent,
    said: String,
    ended: Pending,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Exit code, or the negative number of the signal that ended it.
    pub code: i64,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl<'a> Command<'a> {
    /// Starts a program, which is killed if it takes longer than `limit`. Of one tool no more than one runs at a time.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start(agent: &'a Agent, tool: Tool, arguments: &[&str], limit: Duration) -> Result<Self, AgentError> {
        let program = tool.path().to_owned();
        let said = format!("/tmp{program}").replace("/bin/", "/");
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let request = Request::Run { program, arguments, said: said.clone(), limit_ms: milliseconds(limit) };
        // The guest gives up by itself; only one that hangs needs the second limit.
        Ok(Self { agent, said, ended: agent.start(request, limit + pace::COMMAND)? })
    }

    /// Waits until it has complained of something, or told its progress.
    ///
    /// # Errors
    /// The words do not come.
    pub fn wait_for(&self, words: &str) -> Result<(), AgentError> {
        let until = Condition::Contains(words.to_owned());
        self.agent.wait_until(&format!("{}.err", self.said), until, pace::WORK).map(drop)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The program does not end, or was not started.
    pub fn ended(self) -> Result<Ended, AgentError> {
        let code = self.ended.wait()?.number()?;
        let read = |end: &str| self.agent.read(&format!("{}.{end}", self.said));
        Ok(Ended { code, output: read("out")?, errors: read("err")? })
    }
}
