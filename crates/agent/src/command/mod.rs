//! Commands of `lifeboatd` and `lifeboatctl`: what they print, and their exit codes.
//!
//! | module | command |
//! |---|---|
//! | [`check`] | `lifeboatd check` |
//! | [`once`] | `lifeboatd --once` |
//! | [`explain`] | `lifeboatctl explain` |
//! | [`history`] | `lifeboatctl history` |
//! | [`simulate`] | `lifeboatctl simulate` |
//! | [`text`] | words for people |

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

pub mod check;
pub mod explain;
pub mod history;
pub mod once;
mod scene;
pub mod simulate;
pub mod text;

/// Folder of policies.
pub const POLICIES: &str = "/etc/lifeboatd/policy.d";

/// Options of all commands.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Folder of policies
    #[arg(long, value_name = "FOLDER", default_value = POLICIES)]
    pub policies: PathBuf,
    /// Root of the system to look at: `sys`, `proc` and `dev` are below
    #[arg(long, value_name = "FOLDER", default_value = "/", hide = true)]
    pub root: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Error of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine cannot be looked at, or the answer cannot be written.
    #[error("{0}")]
    System(#[from] io::Error),
    /// The policy has errors, a line each.
    #[error("{0}")]
    Policy(#[from] crate::config::Problems),
    /// The journal cannot be read.
    #[error("{0}")]
    Journal(#[from] crate::journal::Error),
    /// The daemon cannot start or go on.
    #[error("{0}")]
    Daemon(#[from] crate::daemon::Fatal),
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
}

impl Error {
    /// Returns the exit code: 1 for the machine, 2 for the request and the policy.
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::System(_) | Self::Daemon(_) | Self::Journal(_) => ExitCode::from(1),
            Self::Policy(_) | Self::Request(_) => ExitCode::from(2),
        }
    }
}

/// Ends a command: prints its error, if there is one.
pub fn end(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::System(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done about a standard error that is closed.
            let _ = writeln!(io::stderr(), "{error}");
            error.exit()
        }
    }
}

/// Prints an answer, as text or as JSON.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(answer: &(impl Serialize + Display), json: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut output, answer)?;
        writeln!(output)
    } else {
        write!(output, "{answer}")
    }
}

/// Returns the path of this program: hidden commands of it take surveys in processes of their own.
///
/// # Errors
/// Errors of the system.
pub fn daemon() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    // The command and the daemon are installed side by side, and the daemon has the hidden commands.
    let daemon = own.with_file_name("lifeboatd");
    if daemon.exists() { Ok(daemon) } else { Ok("/usr/sbin/lifeboatd".into()) }
}
