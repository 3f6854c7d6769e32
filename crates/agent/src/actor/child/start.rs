//! Starts processes that carry plans out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::ChildMark;
use super::order::Order;
use crate::actor::process;
use crate::system::System;

/// Way to start a process: the daemon's own executable, its hidden subcommand, and the directory for reports.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// Executable.
    pub executable: PathBuf,
    /// Arguments that lead to [`act::main`](super::act::main).
    pub arguments: Vec<String>,
    /// Run directory of the daemon, on a file system that lasts as long as the boot. Only the daemon may write to it.
    pub folder: PathBuf,
}

/// Process that was started and is watched.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) mark: ChildMark,
    pub(super) child: Child,
    pub(super) process: OwnedFd,
}

impl Launcher {
    /// Returns the path of a report.
    pub(super) fn reports(&self, mark: &ChildMark) -> PathBuf {
        self.folder.join(&mark.reports)
    }

    /// Starts a process for the order. Nothing of it waits for the new process but `exec`.
    pub(super) fn start(&self, system: &System, order: &Order) -> io::Result<Started> {
        let device = order.plan.device;
        let reports = format!("{device}.jsonl");
        let path = self.folder.join(&reports);
        // A process that was given up may still hold the file of its own: it keeps it, without a name.
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let output = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        let mut input = File::from(memfd_create("order", MemfdFlags::CLOEXEC)?);
        input.write_all(&serde_json::to_vec(order)?)?;
        input.rewind()?;
        let boot = process::boot(system)?;
        let child = Command::new(&self.executable)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(input)
            .stdout(output)
            .spawn()?;
        let pid = child.id();
        // The number cannot be another's: nobody has waited for the process yet.
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let handle = pidfd_open(number, PidfdFlags::NONBLOCK)?;
        let start = process::stat(system, pid)?.ok_or(io::ErrorKind::NotFound)?.start;
        let functions = order.plan.functions.clone();
        Ok(Started { mark: ChildMark { pid, start, boot, device, functions, reports }, child, process: handle })
    }
}
