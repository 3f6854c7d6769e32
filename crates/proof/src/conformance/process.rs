//! Programs that are given a limit: whatever they do, there is an answer.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use lifeboat_cli::interrupt::Interrupt;

/// Polls a program for its end this often: little against the time that any takes.
const LOOK: Duration = Duration::from_millis(2);

/// The end of a program.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Killed: nothing was said for the limit.
    TimedOut,
    /// Killed because the user wants to stop.
    Interrupted,
}

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    /// How.
    pub ended: Ended,
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// The same of standard error; empty if that was shown.
    pub stderr: String,
    /// The time it ran.
    pub took: Duration,
}

/// Why a program has not said what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The user wants to stop.
    Interrupted,
    /// Failed; the reason, in one line.
    Failed(String),
}

impl Finished {
    /// The output of a program that ended well.
    ///
    /// # Errors
    /// The program did not end well.
    pub(super) fn answer(self) -> Result<String, NoAnswer> {
        match self.ended {
            Ended::Exited(status) if status.success() => Ok(self.stdout),
            Ended::Exited(status) => {
                let says = self.stderr.lines().rfind(|line| !line.trim().is_empty());
                Err(NoAnswer::Failed(says.map_or_else(|| status.to_string(), |says| format!("{status}: {says}"))))
            }
            Ended::TimedOut => Err(NoAnswer::Failed(format!("it had not ended after {} s", self.took.as_secs()))),
            Ended::Interrupted => Err(NoAnswer::Interrupted),
        }
    }
}

/// Where standard error goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stderr {
    /// To the user, and so do the keys that the user presses to stop it.
    Shown,
    /// Into [`Finished`].
    Kept,
}

/// Runs a program without input until it ends, says nothing on standard output for `limit`, or the user wants to stop; then the
/// program and what it has started are gone.
///
/// # Errors
/// The program cannot be started, or there is no place for its output.
pub(super) fn run(
    command: &mut Command,
    stderr: Stderr,
    limit: Duration,
    interrupt: &Interrupt,
) -> io::Result<Finished> {
    // Files and not pipes: nobody has to read while it runs, and whoever it leaves behind keeps nobody waiting.
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(out.try_clone()?);
    match stderr {
        Stderr::Shown => command.stderr(Stdio::inherit()),
        Stderr::Kept => command.stderr(err.try_clone()?).process_group(0),
    };
    let began = Instant::now();
    let mut child = command.spawn()?;
    let ended = wait(&mut child, &out, stderr, limit, interrupt)?;
    let took = began.elapsed();
    Ok(Finished { ended, stdout: text(&mut out)?, stderr: text(&mut err)?, took })
}

fn wait(child: &mut Child, out: &File, stderr: Stderr, limit: Duration, interrupt: &Interrupt) -> io::Result<Ended> {
    let (mut said, mut since) = (0, Instant::now());
    loop {
        let length = out.metadata()?.len();
        if length != said {
            (said, since) = (length, Instant::now());
        }
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Exited(status));
        }
        let ended = if interrupt.is_requested() {
            Ended::Interrupted
        } else if since.elapsed() >= limit {
            Ended::TimedOut
        } else {
            thread::sleep(LOOK);
            continue;
        };
        if stderr == Stderr::Kept {
            // The program leads a group of its own, which exists until it is waited for.
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        child.kill()?;
        child.wait()?;
        return Ok(ended);
    }
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn shell(script: &str, limit: Duration, interrupt: &Interrupt) -> Finished {
        run(Command::new("sh").args(["-c", script]), Stderr::Kept, limit, interrupt).unwrap()
    }

    #[test]
    fn what_a_program_says_and_how_it_ends() {
        let finished = shell("echo out; echo err >&2; exit 3", LONG, &Interrupt::default());
        assert!(matches!(finished.ended, Ended::Exited(status) if status.code() == Some(3)), "{finished:?}");
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn more_output_than_a_pipe_holds_stops_nobody() {
        let finished = shell("head -c 1000000 /dev/zero", LONG, &Interrupt::default());
        assert!(matches!(finished.ended, Ended::Exited(status) if status.success()));
        assert_eq!(finished.stdout.len(), 1_000_000);
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let finished = shell("sleep 59 & echo $!; wait", Duration::from_millis(200), &Interrupt::default());
        assert!(matches!(finished.ended, Ended::TimedOut), "{finished:?}");
        assert!(finished.took < LONG / 2);
        let child = format!("/proc/{}/stat", finished.stdout.trim());
        let began = Instant::now();
        // The process that adopts the program may take a moment to notice.
        while std::fs::read_to_string(&child).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(began.elapsed() < LONG, "it is still there");
            thread::sleep(LOOK);
        }
    }

    #[test]
    fn a_program_that_goes_on_saying_something_is_not_killed() {
        let limit = Duration::from_secs(10);
        let finished =
            shell("for i in 1 2 3 4 5 6 7 8 9 10 11; do echo $i; sleep 1; done", limit, &Interrupt::default());
        assert!(matches!(finished.ended, Ended::Exited(status) if status.success()), "{finished:?}");
        assert!(finished.took > limit);
    }

    #[test]
    fn the_users_wish_ends_a_program() {
        let interrupt = Interrupt::default();
        interrupt.request();
        assert!(matches!(shell("sleep 59", LONG, &interrupt).ended, Ended::Interrupted));
    }

    #[test]
    fn an_answer_is_what_a_program_says_that_ends_well() {
        let calm = Interrupt::default();
        assert_eq!(shell("echo yes", LONG, &calm).answer(), Ok("yes\n".to_owned()));
        let failed = shell("echo no; echo why >&2; exit 4", LONG, &calm).answer();
        assert_eq!(failed, Err(NoAnswer::Failed("exit status: 4: why".to_owned())));
        let hung = shell("sleep 59", Duration::from_millis(50), &calm).answer();
        assert!(matches!(&hung, Err(NoAnswer::Failed(how)) if how.contains("not ended")), "{hung:?}");
    }

    #[test]
    fn what_cannot_be_started_is_an_error() {
        let mut nothing = Command::new("/nonexistent/program");
        assert!(run(&mut nothing, Stderr::Kept, LONG, &Interrupt::default()).is_err());
    }
}
