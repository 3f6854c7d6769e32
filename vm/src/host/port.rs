//! A socket on which a program of ours calls back: created before the program is started, so there is nothing to poll for.

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::host::process::{Process, describe};

/// How often the program is checked to be alive while it is awaited.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A socket awaiting its one caller.
#[derive(Debug)]
pub struct Port {
    listener: UnixListener,
    path: PathBuf,
}

impl Port {
    /// Creates the socket.
    ///
    /// # Errors
    /// The path cannot be written, or is longer than a socket's name may be.
    pub fn create(path: &Path) -> io::Result<Self> {
        // One that an earlier attempt to boot left behind.
        if path.exists() {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// The caller.
    ///
    /// # Errors
    /// It has ended, or does not call within the limit.
    pub fn accept(&self, caller: &Process, limit: Duration) -> io::Result<UnixStream> {
        let started = Instant::now();
        loop {
            let mut ready = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut ready, Some(&LOOK_EVERY)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => {
                    let (stream, _) = self.listener.accept()?;
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(errno) => return Err(errno.into()),
            }
            if let Some(status) = caller.ended()? {
                let message = format!("the program that should open {} {}", self.path.display(), describe(status));
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, message));
            }
            if started.elapsed() >= limit {
                let message = format!("nobody opened {} within {limit:?}", self.path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
        }
    }
}
