//! Steps that are done once, show how far they are, and can be interrupted at any moment.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::error::at;
use super::{Error, Folder};

/// Lines of a failed command that are shown.
const TAIL: usize = 20;

/// A step under way.
pub(super) struct Step<'a> {
    folder: &'a Folder,
    name: &'a str,
    bar: ProgressBar,
}

/// Does a step unless it was done with the same `key` (its recipe, in any words); returns whether there was anything to
/// do. A step that is interrupted or fails leaves no stamp and begins anew.
///
/// # Errors
/// Those of `work`, and if the stamp cannot be written.
pub(super) fn once(
    folder: &Folder,
    name: &str,
    about: &str,
    key: &str,
    work: impl FnOnce(&Step<'_>) -> Result<(), Error>,
) -> Result<bool, Error> {
    let stamp = folder.join("stamps").join(name);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == key) {
        return Ok(false);
    }
    folder.discard(&format!("stamps/{name}"))?;
    folder.discard(&format!("log/{name}.log"))?;
    always(folder, name, about, work)?;
    at(&stamp, fs::write(&stamp, key))?;
    Ok(true)
}

/// Does a step, and shows it.
///
/// # Errors
/// Those of `work`.
pub(super) fn always(
    folder: &Folder,
    name: &str,
    about: &str,
    work: impl FnOnce(&Step<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let began = Instant::now();
    let bar = if io::stderr().is_terminal() {
        let bar = ProgressBar::new_spinner();
        // The template is a literal, tested by every run.
        bar.set_style(
            ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_prefix(about.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    } else {
        eprintln!("{about} ...");
        ProgressBar::hidden()
    };
    let result = work(&Step { folder, name, bar: bar.clone() });
    bar.finish_and_clear();
    let how = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!("{about}: {how} in {:.0} s", began.elapsed().as_secs_f64());
    result
}

impl Step<'_> {
    /// Where what its commands say is kept.
    fn log(&self) -> PathBuf {
        self.folder.join("log").join(format!("{}.log", self.name))
    }

    /// Runs a command, shows its last line, and keeps all of them.
    ///
    /// # Errors
    /// If it cannot be started or fails.
    pub(super) fn run(&self, command: &mut Command) -> Result<(), Error> {
        self.output(command).map(drop)
    }

    /// Runs a command and returns what it said, on either channel.
    ///
    /// # Errors
    /// If it cannot be started or fails.
    pub(super) fn output(&self, command: &mut Command) -> Result<Vec<String>, Error> {
        let path = self.log();
        let mut log = at(&path, File::options().create(true).append(true).open(&path))?;
        at(&path, writeln!(log, "$ {command:?}"))?;
        let (reader, writer) = at(&path, io::pipe())?;
        let errors = at(&path, writer.try_clone())?;
        command.stdin(Stdio::null()).stdout(writer).stderr(errors);
        let program = PathBuf::from(command.get_program());
        let mut child = at(&program, command.spawn())?;
        // The command keeps copies of the pipe's ends; without this the pipe would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut lines = Vec::new();
        for line in BufReader::new(reader).split(b'\n') {
            let line = String::from_utf8_lossy(&at(&path, line)?).into_owned();
            at(&path, writeln!(log, "{line}"))?;
            self.bar.set_message(line.clone());
            lines.push(line);
        }
        let status = at(&program, child.wait())?;
        if status.success() {
            return Ok(lines);
        }
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        Err(Error::Step { step: self.name.to_owned(), status: status.to_string(), log: path, tail })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on must fail
mod tests {
    use super::*;

    #[test]
    fn a_step_is_done_once_per_key_and_again_after_a_failure() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let run = |key: &str, program: &str| {
            once(&folder, "step", "A step", key, |step| step.run(&mut Command::new(program)))
        };
        assert!(run("a", "true").unwrap());
        assert!(!run("a", "true").unwrap());
        assert!(run("b", "true").unwrap());
        assert!(run("c", "false").is_err());
        assert!(run("b", "true").unwrap(), "a failed step leaves no stamp");
    }

    #[test]
    fn a_failure_shows_what_the_command_said() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let script = "echo out; echo error >&2; exit 3";
        let result = always(&folder, "step", "A step", |step| step.run(Command::new("sh").args(["-c", script])));
        let Err(Error::Step { status, log, tail, .. }) = result else { panic!("it failed") };
        assert!(status.contains('3'));
        assert!(tail.contains("out") && tail.contains("error"));
        assert!(fs::read_to_string(log).unwrap().contains("error"));
    }
}
