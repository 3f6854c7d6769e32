//! `/init` of the test guest.
//!
//! Process 1 mounts what the kernel offers, starts one child and reaps whatever ends. The child is this program again, as the
//! agent that serves the test runner, or a shell if the kernel's command line says [`SHELL`]. When the child ends, the guest
//! is powered off: nothing else runs in it.
//!
//! The agent is a child so that its crash is a line in the log, not a kernel panic, and so that waiting for orphans and waiting
//! for one's own children do not meet.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::process::{Command, ExitCode};

use lifeboat_guest::fuzz::{self, FUZZ};
use lifeboat_guest::operation::mark;
use lifeboat_guest::process::CLIENT;
use lifeboat_guest::serve::{ServeError, serve};
use lifeboat_guest::torture::{self, TORTURE};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, WaitOptions, wait};
use rustix::system::{RebootCommand, reboot, uname};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// The second serial port. A serial port rather than virtio-serial: it is no PCI device, so nothing a test does to the bus, and
/// no lock that a driver under test holds there, can cut the runner off from the guest. The first port carries the log.
const PORT: &str = "/dev/ttyS1";

/// Word on the kernel's command line that asks for a prompt on the console instead of the agent.
const SHELL: &str = "lifeboat.shell";

/// Makes this program the agent.
const AGENT: &str = "agent";

const SYSTEMS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("debugfs", "/sys/kernel/debug"),
    ("tracefs", "/sys/kernel/tracing"),
    ("tmpfs", "/tmp"),
];

fn main() -> ExitCode {
    let result = match std::env::args().nth(1) {
        Some(argument) if argument == AGENT => agent(),
        Some(argument) if argument == CLIENT => client(),
        Some(argument) if argument == FUZZ => fuzz::main(&std::env::args().nth(2).unwrap_or_default()),
        Some(argument) if argument == TORTURE => torture::main(&std::env::args().nth(2).unwrap_or_default()),
        _ if std::process::id() == 1 => init(),
        _ => Err(io::Error::other("this is the first process of a test guest; it does nothing anywhere else")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Before /dev is there the log cannot be reached; the console can.
            if mark(&format!("lifeboat-guest: {error}")).is_err() {
                eprintln!("lifeboat-guest: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn init() -> io::Result<()> {
    for (system, target) in SYSTEMS {
        fs::create_dir_all(target)?;
        match mount(system, target, system, MountFlags::empty(), None) {
            // The kernel may have mounted /dev itself.
            Err(rustix::io::Errno::BUSY) | Ok(()) => {}
            Err(errno) => return Err(io::Error::other(format!("{system} on {target}: {errno}"))),
        }
    }
    let shell = fs::read_to_string("/proc/cmdline")?.split_whitespace().any(|word| word == SHELL);
    let child = if shell { shell_on_console() } else { agent_command() }.spawn()?;
    reap_until(Pid::from_child(&child))?;
    reboot(RebootCommand::PowerOff)?;
    Ok(())
}

fn agent_command() -> Command {
    let mut command = Command::new("/init");
    command.arg(AGENT);
    command
}

fn shell_on_console() -> Command {
    let mut command = Command::new("/bin/busybox");
    // A session with the console as its terminal, so that Ctrl-C reaches what runs and not the shell.
    command
        .args(["setsid", "/bin/busybox", "cttyhack", "/bin/busybox", "sh", "-l"])
        .env("PATH", "/bin")
        .env("HOME", "/");
    command
}

fn reap_until(child: Pid) -> io::Result<()> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, _))) if ended == child => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn agent() -> io::Result<()> {
    let port = OpenOptions::new().read(true).write(true).open(PORT)?;
    make_raw(&port)?;
    let kernel = uname().release().to_string_lossy().into_owned();
    serve(BufReader::new(port.try_clone()?), port, &kernel).map_err(io::Error::other)
}

/// A process of the agent's, so that its end is the end of a program that uses the device. Ends when the agent does.
fn client() -> io::Result<()> {
    match serve(io::stdin().lock(), io::stdout(), "") {
        Err(ServeError::RunnerGone) | Ok(()) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// No echo, no translation of line ends, no signals: bytes.
fn make_raw(port: &File) -> io::Result<()> {
    let mut attributes = tcgetattr(port)?;
    attributes.make_raw();
    Ok(tcsetattr(port, OptionalActions::Now, &attributes)?)
}
