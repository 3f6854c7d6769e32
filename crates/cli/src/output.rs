//! Output of a command: a result on standard output, a complaint in one line on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::exit::Exit;
use crate::usage::{self, Outcome};

/// Prints the help that was asked for, or says what is wrong with the command line.
pub fn tell(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Help(text) => match print(text) {
            Ok(()) => Exit::Success,
            Err(error) => complain(&format!("the help could not be written to standard output: {error}"), Exit::Failed),
        },
        Outcome::Wrong(line) => complain(line, Exit::BadInput),
    }
}

/// Prints a report to standard output, as one JSON object or for people.
///
/// # Errors
/// Standard output cannot be written.
pub fn print_report(report: &(impl Serialize + Display), json: bool) -> io::Result<()> {
    if json {
        let text = serde_json::to_string_pretty(report).map_err(io::Error::from)?;
        print(&(text + "\n"))
    } else {
        print(&report.to_string())
    }
}

/// Prints to standard output. A reader that has left, as in `lifeboat | head`, is not an error.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes the error to standard error, and gives the code to exit with.
pub fn complain(error: &impl ToString, exit: Exit) -> Exit {
    usage::error_line(&error.to_string());
    exit
}
