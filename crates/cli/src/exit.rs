//! What the command tells the shell.

use std::process::ExitCode;

/// The exit codes of `lifeboat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done; nothing was lost, leaked or violated.
    Success = 0,
    /// The run did not keep a promise, or could not be carried through.
    Failed = 1,
    /// The request makes no sense: an argument, a file or a picture is not usable.
    BadInput = 2,
    /// Nothing was lost, leaked or violated, but not all that was asked for has happened.
    NotAsAsked = 3,
    /// The user ended the run (128 + SIGINT, as shells have it).
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
