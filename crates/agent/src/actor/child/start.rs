//! Starts processes that carry plans out.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::ChildMark;
use crate::actor::plan::Plan;
use crate::process::{self, Stat};
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

/// Process that was started and waits for its order.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) mark: ChildMark,
    pub(super) child: Child,
    pub(super) process: OwnedFd,
    pub(super) order: ChildStdin,
}

impl Launcher {
    /// Returns the path of a report.
    pub(super) fn reports(&self, mark: &ChildMark) -> PathBuf {
        self.folder.join(&mark.reports)
    }

    /// Starts a process for a plan. It waits for its order, and ends without having done anything if it gets none.
    /// Nothing here waits for the new process but `exec`.
    pub(super) fn start(&self, system: &System, plan: &Plan) -> io::Result<Started> {
        let Plan { device, ref functions, .. } = *plan;
        let reports = format!("{device}.jsonl");
        let path = self.folder.join(&reports);
        // A process that was given up may still hold the file of its own: it keeps it, without a name.
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let output = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        let boot = process::boot(system)?;
        let mut child = Command::new(&self.executable)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            // A panic is a line that is no report, and the outcome ambiguous. The daemon's own standard error would be
            // held open for as long as the process is stuck.
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()?;
        let order = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let pid = child.id();
        // The number cannot be another's: nobody has waited for the process yet.
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let process = pidfd_open(number, PidfdFlags::NONBLOCK)?;
        let start = Stat::read(system, pid)?.ok_or(io::ErrorKind::NotFound)?.start;
        let mark = ChildMark { pid, start, boot, device, functions: functions.clone(), reports };
        Ok(Started { mark, child, process, order })
    }
}
