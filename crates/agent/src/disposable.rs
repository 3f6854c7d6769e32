//! Disposable process: asks a question whose answer may never come.
//!
//! A read of a sick device can wait in the kernel without an end, and such a process cannot be killed. So the question is asked in a
//! process of its own, this program with a hidden command. A process that is late is killed and no longer waited for.

use std::ffi::OsString;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest answer that is read, in bytes.
const LONGEST: u64 = 4 << 20;

/// Reason for which there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The process could not be started, or its answer could not be read.
    #[error("the process that looks failed: {0}")]
    Failed(#[from] io::Error),
    /// The process did not answer in time. It may wait in the kernel for ever.
    #[error("no answer in {} s: the process may be stuck in the kernel", .0.as_secs_f32())]
    Late(Duration),
}

/// Runs a command and returns its standard output.
///
/// # Errors
/// [`NoAnswer`]. A process that ends with a failure gives the output that it has written.
pub fn ask(program: &OsString, arguments: &[OsString], limit: Duration) -> Result<Vec<u8>, NoAnswer> {
    let mut process = Command::new(program)
        .args(arguments)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let Some(output) = process.stdout.take() else { return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()) };
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("answer".into()).spawn(move || {
        let mut answer = Vec::new();
        let read = output.take(LONGEST).read_to_end(&mut answer).map(|_| answer);
        // Nobody listens any more if the answer was late.
        let _ = sender.send(read);
    })?;
    let Ok(answer) = receiver.recv_timeout(limit) else {
        // A process that waits in the kernel stays; its thread here ends with it.
        let _ = process.kill();
        return Err(NoAnswer::Late(limit));
    };
    reap(process);
    Ok(answer?)
}

/// Collects a process that has closed its output, without waiting for a process that does not end.
fn reap(mut process: Child) {
    if matches!(process.try_wait(), Ok(None)) {
        let _ = process.kill();
        let _ = process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Vec<u8>, NoAnswer> {
        ask(&"/bin/sh".into(), &["-c".into(), script.into()], Duration::from_secs(20))
    }

    #[test]
    fn an_answer_is_the_output() {
        assert_eq!(shell("echo sick").ok().as_deref(), Some(b"sick\n".as_slice()));
    }

    #[test]
    fn agent_11_a_process_that_never_answers_is_given_up() {
        let late = ask(
            &"/bin/sh".into(),
            &["-c".into(), "read never < /dev/zero; exec sleep 1000".into()],
            Duration::from_millis(50),
        );
        assert!(matches!(late, Err(NoAnswer::Late(_))));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let failed = ask(&"/nowhere/lifeboatd".into(), &[], Duration::from_secs(20));
        assert!(matches!(failed, Err(NoAnswer::Failed(_))));
    }
}
