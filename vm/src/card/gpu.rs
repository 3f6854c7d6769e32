//! The GPU in the slot: a server of its own for each guest.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use lifeboat_gpu_server::control::{CallError, Client, Fault, Reply, Request, Status, Trigger, WitnessReport};
use serde_json::{Value, json};

use crate::guest::qemu::FOLDER;
use crate::host::process::{Process, Processes, describe, tied};
use crate::pace;

/// The socket that QEMU connects to, in the folder of the test.
pub const SOCKET: &str = "gpu.sock";
/// The same for the GPU in the second slot.
pub const SECOND_SOCKET: &str = "gpu2.sock";

/// Memory of the GPU in MiB. Little: a card that goes overwrites it all with ones, which the driver's access that met it waits
/// for, and is blamed for.
const VRAM: &str = "4";

/// A running server.
#[derive(Debug)]
pub struct GpuServer {
    process: Process,
    control: Client,
}

/// Why the server does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// It cannot be started or watched.
    #[error("the GPU's server: {0}")]
    Io(#[from] io::Error),
    /// It does not get ready.
    #[error("the GPU's server {0}; see gpu.log")]
    NotReady(String),
    /// It does not answer, or refuses.
    #[error("the GPU's server: {0}")]
    Call(#[from] CallError),
    /// It answers something else.
    #[error("the GPU's server answered {0:?}, which does not fit")]
    Unfitting(Box<Reply>),
    /// The GPU saw its driver do something that it must not.
    #[error("the GPU witnessed {} mistakes of its driver, the first: {}", .0.count, first(.0))]
    Violations(WitnessReport),
    /// It did not end as it should.
    #[error("the GPU's server {0}; see gpu.log")]
    BadEnd(String),
}

fn first(report: &WitnessReport) -> &str {
    report.violations.first().map_or("not kept", String::as_str)
}

impl GpuServer {
    /// Starts a server that listens on `socket` in `folder`, and waits until QEMU can connect. Its log goes there as well.
    ///
    /// # Errors
    /// It cannot be started, or does not say within the limit that it is ready.
    pub fn start(
        lifeboat: &Path,
        folder: &Path,
        socket: &str,
        processes: &Processes,
        limit: Duration,
    ) -> Result<Self, GpuError> {
        let log = folder.join(socket).with_extension("log");
        let socket = folder.join(socket);
        let mut command = tied(lifeboat);
        command.args(["gpu", "serve", "--json", "--vram", VRAM, "--socket"]).arg(&socket);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?);
        let process = processes.spawn(&mut command)?;
        let (sender, ready) = mpsc::channel();
        let stdout = process.take_stdout();
        thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok)) {
                // The rest is of no interest, but must be read.
                let _ = sender.send(line);
            }
        });
        match ready.recv_timeout(limit) {
            Ok(line) if is_ready(&line) => {}
            Ok(line) => return Err(GpuError::NotReady(format!("said {line:?} instead of being ready"))),
            Err(RecvTimeoutError::Timeout) => {
                return Err(GpuError::NotReady(format!("was not ready within {limit:?}")));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let end = process.wait(limit)?.map_or_else(|| "closed its output".to_owned(), describe);
                return Err(GpuError::NotReady(end));
            }
        }
        let mut control = socket.into_os_string();
        control.push(".ctl");
        Ok(Self { process, control: Client::connect(&PathBuf::from(control), limit)? })
    }

    /// How the card is, and what it has done.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn status(&self) -> Result<Status, GpuError> {
        match self.control.call(&Request::Status)? {
            Reply::Status(status) => Ok(status),
            other => Err(GpuError::Unfitting(Box::new(other))),
        }
    }

    /// Makes something go wrong; `at` counts from now.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn inject(&self, fault: Fault, at: Option<Trigger>) -> Result<(), GpuError> {
        self.expect_done(&Request::Inject { fault, at })
    }

    /// Puts a fresh card in the place of the one there is.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn replace(&self) -> Result<(), GpuError> {
        self.expect_done(&Request::Replace)
    }

    /// Ends the server as a crash would. The guest must stand still: QEMU 11.1 fails an assertion (`error_setv`) now and then if
    /// the connection breaks under an access.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Ends the server in order, after the driver has let go of the card: no card may have witnessed a mistake.
    ///
    /// # Errors
    /// One has, or the server does not end well.
    pub fn finish(self, limit: Duration) -> Result<(), GpuError> {
        match self.control.call(&Request::Witness)? {
            Reply::Witness(report) if report.count == 0 => {}
            Reply::Witness(report) => return Err(GpuError::Violations(report)),
            other => return Err(GpuError::Unfitting(Box::new(other))),
        }
        self.expect_done(&Request::Stop)?;
        match self.process.wait(limit)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(GpuError::BadEnd(describe(status))),
            None => Err(GpuError::BadEnd(format!("did not end within {:?}", pace::SHUTDOWN))),
        }
    }

    fn expect_done(&self, request: &Request) -> Result<(), GpuError> {
        match self.control.call(request)? {
            Reply::Done => Ok(()),
            other => Err(GpuError::Unfitting(Box::new(other))),
        }
    }
}

/// QEMU's driver for a card that a server has.
pub const DRIVER: &str = "vfio-user-pci";

/// The property that tells QEMU which socket the server listens on.
pub fn socket_property(socket: &str) -> (&'static str, Value) {
    ("socket", json!({ "type": "unix", "path": format!("{FOLDER}/{socket}") }))
}

fn is_ready(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|said| said["event"] == "ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ready_is_ready() {
        assert!(is_ready(r#"{"event":"ready","socket":"/x"}"#));
        assert!(!is_ready(r#"{"event":"stopped"}"#));
        assert!(!is_ready("ready"));
    }
}
