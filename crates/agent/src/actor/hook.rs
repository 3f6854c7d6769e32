//! Programs of the vendor or of the operator that carry a step out. The contract, version 1:
//!
//! **Start.** The program is an absolute path. Its file belongs to root or to the user of the daemon, and no group and no other
//! user may write to it. It runs without arguments, in a process group of its own, in the directory `/`, and inherits
//! three descriptors: standard input, standard output, and `/dev/null` as standard error.
//!
//! **Environment.** These variables and no others:
//!
//! | variable | value |
//! |---|---|
//! | `PATH` | `/usr/sbin:/usr/bin:/sbin:/bin` |
//! | `LIFEBOAT_CONTRACT` | `1` |
//! | `LIFEBOAT_DEVICE` | address of the device, such as `0000:03:00.0` |
//! | `LIFEBOAT_CASE` | `case` of the policy's step, such as `xe/firmware-flash` |
//! | `LIFEBOAT_LIMIT_MS` | time that the program has, in milliseconds |
//!
//! **Input.** One JSON object: `{"contract": 1, "device": "0000:03:00.0", "case": "...", "limit_ms": 60000}`.
//!
//! **Answer.** One JSON object on standard output, 64 KiB at most: `{"outcome": "...", "message": "..."}`. `message` may be left
//! out; other members are ignored. `outcome` is one of:
//!
//! | outcome | meaning |
//! |---|---|
//! | `succeeded` | all was done; the daemon looks at the device by itself. The exit status is 0. |
//! | `failed` | something was done, and it did not help |
//! | `refused` | nothing was done, and nothing was changed |
//! | `ambiguous` | the program does not know what it did |
//!
//! **Limits.** After its time the group gets SIGTERM, and SIGKILL ten seconds later. A program that does not end even then is
//! abandoned. Whatever remains of the group when the program ends is killed: background work belongs to a service
//! manager. No answer, another answer, a signal, a time or an output beyond its limit: the outcome is ambiguous, because
//! nobody knows what was done, and the daemon does not try again before it has looked.

use std::fmt;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::{Deserialize, Serialize};

use super::holders::wait_one;
use super::outcome::Outcome;
use crate::address::Address;

/// Version of the contract.
const CONTRACT: u32 = 1;
/// Largest answer, in bytes.
const OUTPUT: usize = 64 << 10;
/// Longest message that is kept, in characters.
const MESSAGE: usize = 1024;
/// Time for a killed process to end. A process in an uninterruptible wait does not.
const KILLED: Duration = Duration::from_secs(2);

/// Program to run for a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Absolute path.
    pub path: String,
    /// Name of the case, for the program.
    pub case: String,
    /// Device to recover.
    pub device: Address,
    /// Time that the program has.
    pub limit: Duration,
    /// Time that the program has after SIGTERM.
    pub grace: Duration,
}

impl Program {
    /// Returns the longest time that running the program takes.
    pub fn patience(&self) -> Duration {
        self.limit + self.grace + KILLED
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, case, device, limit, .. } = self;
        write!(f, "run {path} for {device}, case {case:?}, {} s at most", limit.as_secs_f32())
    }
}

#[derive(Serialize)]
struct Question<'a> {
    contract: u32,
    device: Address,
    case: &'a str,
    limit_ms: u128,
}

#[derive(Deserialize)]
struct Answer {
    outcome: Word,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Succeeded,
    Failed,
    Refused,
    Ambiguous,
}

/// Runs the program and returns its answer. Returns after [`Program::patience`] at the latest.
pub fn run(program: &Program) -> Outcome {
    if let Err(reason) = inspect(Path::new(&program.path)) {
        return Outcome::Refused(format!("{}: {reason}", program.path));
    }
    match start(program) {
        Ok(child) => match watch(child, program) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Ambiguous(format!("{}: cannot be watched: {error}", program.path)),
        },
        Err(error) => Outcome::Refused(format!("{}: cannot be started: {error}", program.path)),
    }
}

/// Checks that nobody but root and this user could have put the program there.
fn inspect(path: &Path) -> Result<(), String> {
    if !path.is_absolute() {
        return Err("is no absolute path".to_owned());
    }
    let file = fs::metadata(path).map_err(|error| error.to_string())?;
    if !file.is_file() {
        return Err("is no file".to_owned());
    }
    if file.uid() != 0 && file.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("belongs to user {}", file.uid()));
    }
    if file.mode() & 0o022 != 0 {
        return Err("others may write to it".to_owned());
    }
    Ok(())
}

fn start(program: &Program) -> io::Result<Child> {
    let question = Question {
        contract: CONTRACT,
        device: program.device,
        case: &program.case,
        limit_ms: program.limit.as_millis(),
    };
    let mut input = fs::File::from(rustix::fs::memfd_create("question", rustix::fs::MemfdFlags::CLOEXEC)?);
    input.write_all(&serde_json::to_vec(&question)?)?;
    input.rewind()?;
    Command::new(&program.path)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LIFEBOAT_CONTRACT", CONTRACT.to_string())
        .env("LIFEBOAT_DEVICE", program.device.to_string())
        .env("LIFEBOAT_CASE", &program.case)
        .env("LIFEBOAT_LIMIT_MS", program.limit.as_millis().to_string())
        .current_dir("/")
        .process_group(0)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// End of the time in which an answer is collected.
enum Collected {
    /// The program has ended by itself.
    Ended,
    /// The time is over.
    Late,
    /// The answer is longer than it may be.
    TooLong,
}

fn watch(mut child: Child, program: &Program) -> io::Result<Outcome> {
    let path = &program.path;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let end = |signal| {
        // The group exists as long as its leader was not waited for, so the number is not another's.
        let _ = kill_process_group(group, signal);
    };
    let process = pidfd_open(group, PidfdFlags::NONBLOCK).inspect_err(|_| end(Signal::KILL))?;
    let Some(mut output) = child.stdout.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
    rustix::io::ioctl_fionbio(&output, true).inspect_err(|_| end(Signal::KILL))?;
    let mut answer = Vec::new();
    let collected = collect(&mut output, &process, program.limit, &mut answer);
    if !matches!(collected, Ok(Collected::Ended)) {
        end(Signal::TERM);
        wait_one(process.as_fd(), program.grace);
    }
    end(Signal::KILL);
    if !wait_one(process.as_fd(), KILLED) {
        return Ok(Outcome::Ambiguous(format!("{path}: does not end, not even by SIGKILL; abandoned")));
    }
    let status = child.wait()?;
    Ok(match collected? {
        Collected::Late => Outcome::Ambiguous(format!("{path}: no end within {} s", program.limit.as_secs_f32())),
        Collected::TooLong => Outcome::Ambiguous(format!("{path}: the answer is longer than {OUTPUT} bytes")),
        Collected::Ended => judge(path, status, &answer),
    })
}

/// Collects output until the program ends. What it wrote before its end is in the pipe by then.
fn collect(
    output: &mut ChildStdout,
    process: &impl AsFd,
    limit: Duration,
    answer: &mut Vec<u8>,
) -> io::Result<Collected> {
    let begin = Instant::now();
    let mut open = true;
    loop {
        let ended = wait_one(process.as_fd(), Duration::ZERO);
        if open && !drain(output, answer)? {
            open = false;
        }
        if answer.len() > OUTPUT {
            return Ok(Collected::TooLong);
        }
        if ended {
            return Ok(Collected::Ended);
        }
        let left = limit.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok(Collected::Late);
        }
        let mut ends = vec![PollFd::new(process, PollFlags::IN)];
        if open {
            ends.push(PollFd::new(output, PollFlags::IN));
        }
        match poll(&mut ends, Timespec::try_from(left).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads what is in the pipe, up to one byte more than is allowed. Tells whether the pipe is still open.
fn drain(output: &mut ChildStdout, answer: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; 4096];
    while answer.len() <= OUTPUT {
        match output.read(&mut piece) {
            Ok(0) => return Ok(false),
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn judge(path: &str, status: ExitStatus, answer: &[u8]) -> Outcome {
    let unclear = |reason: String| Outcome::Ambiguous(format!("{path}: {reason} ({status})"));
    if status.code().is_none() {
        return unclear("ended by a signal".to_owned());
    }
    let Answer { outcome, message } = match serde_json::from_slice(answer) {
        Ok(answer) => answer,
        Err(error) => return unclear(format!("the answer is none: {error}")),
    };
    let message: String = message.chars().take(MESSAGE).collect();
    match outcome {
        Word::Succeeded if status.success() => Outcome::Succeeded,
        Word::Succeeded => unclear("says that it succeeded, and its exit status that it did not".to_owned()),
        Word::Failed => Outcome::Failed(message),
        Word::Refused => Outcome::Refused(message),
        Word::Ambiguous => Outcome::Ambiguous(message),
    }
}

#[cfg(test)]
mod tests;
