//! Processes that carry plans out. A write to sysfs may never return, and nothing ends a process that waits in the kernel
//! without interruption. So each plan gets a process of its own, and the daemon only watches.
//!
//! **Order.** The daemon starts its own executable with a hidden subcommand. The process waits for the
//! [`Order`](order::Order) on standard input, a line of JSON. The daemon gives it after it has stored the [`ChildMark`] of
//! the process: without a whole order nothing is done, so no plan is carried out by a process that a restarted daemon
//! would not recognise. Standard output is a file in the daemon's run directory, which gets
//! a line of JSON for each event ([`Line`](order::Line)). A file, and no pipe: the process never waits for a reader and gets no
//! SIGPIPE, and a restarted daemon reads what was done while there was none.
//!
//! **A plan that was begun is carried through.** The process leads a session of its own and is never killed: not at a
//! deadline, not when the daemon stops or dies. Between `unbind` and `bind` there is no safe point to stop at, and
//! SIGKILL in the middle of a driver's probe leaves a device in a state that nobody has tested. So a unit file needs
//! `KillMode=process`. The first report is different: if it cannot be written, nothing is done at all.
//!
//! **Stuck.** At its deadline a process is reported as stuck once and abandoned. It remains outstanding, so no other plan
//! that touches one of its functions can start ([`Outstanding`](outstanding::Outstanding)), until the kernel lets it end.
//!
//! **Restart.** A [`ChildMark`] is the number of the process, its start and the boot. [`find`] tells whether that very process still runs.

use std::io;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::process::{self, Stat};
use crate::system::System;

pub mod act;
pub mod confine;
pub mod order;
pub mod outstanding;
pub mod report;
pub mod start;

/// Identity of a process that carries a plan out. The same mark is the same process, also after a restart of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildMark {
    /// Number of the process.
    pub pid: u32,
    /// Start of the process in clock ticks since boot.
    pub start: u64,
    /// Identity of the boot.
    pub boot: String,
    /// Device that the plan is for.
    pub device: Address,
    /// Every function that the plan touches.
    pub functions: Vec<Address>,
    /// Name of the file with its reports, in the daemon's run directory.
    pub reports: String,
}

/// State of a process that an earlier daemon may have started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The process runs, or waits in the kernel.
    Running,
    /// The process has ended. Another one may have its number.
    Gone,
}

/// Tells whether the process with that mark still runs.
///
/// # Errors
/// The state of the process cannot be read: take it for running.
pub fn find(system: &System, mark: &ChildMark) -> io::Result<Found> {
    if process::boot(system)? != mark.boot {
        return Ok(Found::Gone);
    }
    let running = Stat::read(system, mark.pid)?.is_some_and(|stat| stat.start == mark.start && !stat.is_over());
    Ok(if running { Found::Running } else { Found::Gone })
}

#[cfg(test)]
mod tests;
