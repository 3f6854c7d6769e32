//! A guest that is up: QEMU, its monitor, the guest's agent and its log.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use lifeboat_guest::wire::Request;

use crate::guest::agent::{Agent, AgentError};
use crate::guest::console::Console;
use crate::guest::initramfs::Initramfs;
use crate::guest::qemu::{self, Arguments};
use crate::guest::qmp::{Qmp, QmpError};
use crate::host::port::Port;
use crate::host::process::{Process, Processes, describe};
use crate::host::trace::Trace;
use crate::pace::{self, Flavour};
use crate::setup::Environment;

/// A guest and what surrounds it.
#[derive(Debug)]
pub struct Machine {
    /// The agent in it.
    pub agent: Agent,
    /// The monitor of its QEMU.
    pub monitor: Qmp,
    /// Its kernel's log.
    pub console: Console,
    process: Process,
    flavour: Flavour,
}

/// Why a guest does not come up, or not down.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// QEMU, or the sockets to it.
    #[error("QEMU: {0}; see qemu.log")]
    Qemu(#[from] io::Error),
    /// Its monitor.
    #[error(transparent)]
    Monitor(#[from] QmpError),
    /// The guest.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The guest was told to power off, and did not.
    #[error("the guest did not power off")]
    StillOn,
    /// QEMU crashed.
    #[error("QEMU {0}; see qemu.log")]
    Crashed(String),
}

/// The kernel's log, in the folder.
const CONSOLE_LOG: &str = "console.log";

/// What the kernel says when its own part of booting is done.
pub const INIT_BEGINS: &str = "Run /init as init process";

fn reached_init(folder: &Path) -> bool {
    fs::read_to_string(folder.join(CONSOLE_LOG)).is_ok_and(|log| log.contains(INIT_BEGINS))
}

impl Machine {
    /// Boots a guest. Everything it leaves behind is in `folder`.
    ///
    /// About one emulated boot in a hundred on a busy host stands still while the second processor comes up: long before
    /// anything of ours runs, and without a word. Such a guest is given up and booted once more; its log is kept.
    ///
    /// # Errors
    /// QEMU does not start, or the guest does not come up within the limit.
    pub fn boot(
        environment: &Environment,
        folder: &Path,
        initramfs: Initramfs,
        arguments: &Arguments,
        processes: &Processes,
    ) -> Result<Self, MachineError> {
        fs::write(folder.join(qemu::INITRAMFS), initramfs.finish().map_err(io::Error::other)?)?;
        match Self::boot_once(environment, folder, arguments, processes) {
            Err(MachineError::Agent(AgentError::NoHello(_))) if !reached_init(folder) => {
                eprintln!("a guest stood still while it booted, before anything of ours ran; it is booted once more");
                fs::rename(folder.join(CONSOLE_LOG), folder.join("console.stuck.log"))?;
                Self::boot_once(environment, folder, arguments, processes)
            }
            booted => booted,
        }
    }

    fn boot_once(
        environment: &Environment,
        folder: &Path,
        arguments: &Arguments,
        processes: &Processes,
    ) -> Result<Self, MachineError> {
        let flavour = environment.flavour;
        let started = Instant::now();
        let port = |name| Port::create(&folder.join(name));
        let (console, agent, monitor) = (port(qemu::CONSOLE)?, port(qemu::AGENT)?, port(qemu::MONITOR)?);
        let process = qemu::start(environment, folder, arguments, processes)?;
        let limit = flavour.limit(pace::COMMAND);
        let console = Console::collect(console.accept(&process, limit)?, &folder.join(CONSOLE_LOG))?;
        let agent = agent.accept(&process, limit)?;
        let monitor = monitor.accept(&process, limit)?;
        let monitor = Qmp::open(monitor, Trace::create(&folder.join("qmp.trace"), started)?, limit)?;
        let agent = Agent::open(agent, Trace::create(&folder.join("agent.trace"), started)?, flavour)?;
        Ok(Self { agent, monitor, console, process, flavour })
    }

    /// Ends the guest in order, and gives its log.
    ///
    /// # Errors
    /// It does not end, or QEMU crashes.
    pub fn power_off(self) -> (Vec<String>, Result<(), MachineError>) {
        let ended = self.power_off_and_wait();
        (self.into_log(), ended)
    }

    fn power_off_and_wait(&self) -> Result<(), MachineError> {
        self.agent.call(Request::PowerOff, pace::COMMAND)?;
        match self.process.wait(self.flavour.limit(pace::SHUTDOWN))? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(MachineError::Crashed(describe(status))),
            None => Err(MachineError::StillOn),
        }
    }

    /// Ends QEMU, in whatever state it is, and gives the guest's log.
    pub fn into_log(self) -> Vec<String> {
        self.process.kill();
        self.console.into_log()
    }
}
