//! The process that carries a plan out: entry of the hidden subcommand.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, RawFd};
use std::process::ExitCode;

use super::confine::confine;
use super::order::{END, Line, Order};
use crate::actor::execute::execute;
use crate::actor::machine::Machine;
use crate::system::Root;

/// Largest order, in bytes. A plan for 256 virtual functions takes less than 1 MiB.
const LARGEST: u64 = 16 << 20;
/// Exit status of a process that refused its order.
const REFUSED: u8 = 2;

/// Carries out the order on standard input and reports on standard output. For a process with one thread that was started
/// for this, and ends afterwards: it gives up its privileges and closes every other descriptor.
pub fn main() -> ExitCode {
    // A descriptor that stays open for longer is no reason to leave a device without its step.
    let _ = close_inherited();
    // The process must outlive its daemon. It leads a session already if it was started as a leader.
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    let Ok(output) = io::stdout().as_fd().try_clone_to_owned() else { return ExitCode::from(REFUSED) };
    let mut report = Report(File::from(output));
    match act(&mut report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            let _ = report.line(&Line::Refused(refusal));
            ExitCode::from(REFUSED)
        }
    }
}

fn act(report: &mut Report) -> Result<(), String> {
    let mut text = Vec::new();
    io::stdin().take(LARGEST).read_to_end(&mut text).map_err(|error| format!("the order cannot be read: {error}"))?;
    if text.last() != Some(&END) {
        return Err("no order was given".to_owned());
    }
    let order: Order = serde_json::from_slice(&text).map_err(|error| format!("the order is none: {error}"))?;
    let sys = Root::open(&order.sys).map_err(|error| format!("{}: {error}", order.sys.display()))?;
    let confined = confine(&sys, &order.plan, order.wish).map_err(|error| error.to_string())?;
    report.line(&Line::Confined(confined)).map_err(|error| format!("the progress cannot be reported: {error}"))?;
    let mut hands = Machine::new(&sys);
    let mut tell = |progress: &_| report.line(&Line::Progress(Clone::clone(progress)));
    execute(&order.plan, &mut hands, &mut tell).map_err(|unheard| unheard.to_string())?;
    Ok(())
}

/// Report to standard output.
struct Report(File);

impl Report {
    /// Writes a line by one `write`, so that a reader sees it whole or, on a full disk, torn at its end.
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.0.write_all(&text)
    }
}

/// Closes every descriptor but the standard ones. A daemon's sockets would stay open for as long as a write hangs.
fn close_inherited() -> io::Result<()> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) {
            open.push(number);
        }
    }
    // The directory's own descriptor is in the list and closed by now.
    for number in open.into_iter().filter(|&number| number > 2) {
        let _ = nix::unistd::close(number);
    }
    Ok(())
}
