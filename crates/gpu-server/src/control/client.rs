//! Asking a server.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{REPLY_LIMIT, Reply, Request};

/// Why a request has no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens there.
    #[error("no server can be reached at {path}: {error}")]
    Unreachable {
        /// The control socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The answer did not come, or not in time.
    #[error("the server did not answer: {0}")]
    NoAnswer(#[source] io::Error),
    /// The answer is none.
    #[error("the server's answer cannot be read: {0}")]
    Malformed(#[source] serde_json::Error),
    /// The server refused the request.
    #[error("the server refused: {0}")]
    Refused(String),
}

/// A client of a control socket. Each call is a connection of its own, so that none is held in between.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
    timeout: Duration,
}

impl Client {
    /// A client of the server at `path`. `timeout`, which must not be zero, bounds each step of a call.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if nobody listens there.
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, CallError> {
        let client = Self { path: path.to_owned(), timeout };
        client.stream().map(|_| client)
    }

    /// Asks, and waits for the answer. [`Reply::Error`] comes as an error.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn call(&self, request: &Request) -> Result<Reply, CallError> {
        let mut stream = self.stream()?;
        let mut line = serde_json::to_vec(request).map_err(CallError::Malformed)?;
        line.push(b'\n');
        stream.write_all(&line).map_err(CallError::NoAnswer)?;
        let mut answer = Vec::new();
        BufReader::new(stream.take(REPLY_LIMIT)).read_until(b'\n', &mut answer).map_err(CallError::NoAnswer)?;
        if answer.pop() != Some(b'\n') {
            return Err(CallError::NoAnswer(io::ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_slice(&answer).map_err(CallError::Malformed)? {
            Reply::Error { message } => Err(CallError::Refused(message)),
            reply => Ok(reply),
        }
    }

    fn stream(&self) -> Result<UnixStream, CallError> {
        let unreachable = |error| CallError::Unreachable { path: self.path.clone(), error };
        let stream = UnixStream::connect(&self.path).map_err(unreachable)?;
        stream.set_read_timeout(Some(self.timeout)).map_err(unreachable)?;
        stream.set_write_timeout(Some(self.timeout)).map_err(unreachable)?;
        Ok(stream)
    }
}
