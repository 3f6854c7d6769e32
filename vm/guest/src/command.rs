//! Other programs: each runs to its end, and what it says goes into files.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::wire::{Failure, Outcome};

/// How often to look whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs a program to its end; the answer is its exit code, or the negative number of the signal that ended it. What it says goes
/// into `said.out` and `said.err`.
///
/// # Errors
/// The program cannot be started; or it does not end within `limit`, and is killed.
pub fn run(program: &str, arguments: &[String], said: &str, limit: Duration) -> Result<Outcome, Failure> {
    let failed =
        |error: &io::Error| Failure { errno: error.raw_os_error(), message: format!("run {program}: {error}") };
    let mut child = start(program, arguments, said).map_err(|error| failed(&error))?;
    let began = Instant::now();
    loop {
        let late = began.elapsed() >= limit;
        if let Some(status) = child.try_wait().map_err(|error| failed(&error))? {
            let code = status.code().or_else(|| status.signal().map(|signal| -signal));
            return Ok(Outcome::Number(code.unwrap_or(i32::MIN).into()));
        }
        if late {
            child.kill().and_then(|()| child.wait()).map_err(|error| failed(&error))?;
            let message = format!("{program} did not end within {} ms", limit.as_millis());
            return Err(Failure { errno: Some(Errno::TIMEDOUT.raw_os_error()), message });
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn start(program: &str, arguments: &[String], said: &str) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(File::create(format!("{said}.out"))?).stderr(File::create(format!("{said}.err"))?);
    command.spawn()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use super::*;

    fn shell(script: &str, limit: Duration) -> (Result<Outcome, Failure>, [String; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said").to_str().unwrap().to_owned();
        let outcome = run("/bin/sh", &["-c".to_owned(), script.to_owned()], &said, limit);
        (outcome, ["out", "err"].map(|end| std::fs::read_to_string(format!("{said}.{end}")).unwrap()))
    }

    #[test]
    fn a_program_ends_with_its_code_and_what_it_said() {
        let (outcome, said) = shell("echo good; echo bad >&2; exit 7", Duration::from_mins(1));
        assert_eq!((outcome, said), (Ok(Outcome::Number(7)), ["good\n".to_owned(), "bad\n".to_owned()]));
        let (outcome, _) = shell("kill -9 $$", Duration::from_mins(1));
        assert_eq!(outcome, Ok(Outcome::Number(-9)));
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let (outcome, said) = shell("echo begun; exec sleep 600", Duration::from_secs(1));
        assert_eq!(outcome.unwrap_err().errno, Some(Errno::TIMEDOUT.raw_os_error()));
        assert_eq!(said[0], "begun\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said").to_str().unwrap().to_owned();
        let failure = run("/no/such/program", &[], &said, Duration::from_secs(1)).unwrap_err();
        assert_eq!(failure.errno, Some(Errno::NOENT.raw_os_error()));
    }
}
