//! `lifeboat dump show`: a device dump for people.
//!
//! The file comes from anywhere: whatever is in it, there is a text or an error, and nothing of it reaches the terminal as
//! anything but text.

mod command;
mod text;

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use lifeboat::Dump;
use lifeboat::dump::ReadError;

/// Largest file that is read.
const MOST: u64 = Dump::LARGEST as u64;

/// The subcommands of `lifeboat dump`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DumpCommand {
    /// Show what is in a dump
    Show(ShowArgs),
}

const SHOW_AFTER_HELP: &str = "\
A dump is the state of a device when something went wrong with it, from before anything was reset: its registers, what its rings hold, \
the jobs that had not ended, and whose job is blamed. `lifeboat run --dump-dir` writes such files.

--json prints the file's object, checked and indented. `lifeboat dump show` of a later version reads files of this one; a file of a \
later version is refused.

Exit codes: 0 shown; 1 standard output is closed; 2 the file is no dump, or not one of this version.";

/// Arguments of `lifeboat dump show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = SHOW_AFTER_HELP)]
pub struct ShowArgs {
    /// The file; at most 16 MiB
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Why a dump cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// There is no such file, or it cannot be read.
    #[error("{path:?} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is larger than any dump.
    #[error("{0:?} has more than 16 MiB; no dump is that large")]
    TooLarge(PathBuf),
    /// The file is something else.
    #[error("{path:?}: {source}")]
    NotADump {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: ReadError,
    },
}

/// The text to print.
///
/// # Errors
/// Each [`ShowError`].
pub fn show(args: &ShowArgs) -> Result<String, ShowError> {
    let path = &args.file;
    let bytes = read(path)?;
    let dump = Dump::read(&bytes).map_err(|source| ShowError::NotADump { path: path.clone(), source })?;
    if !args.json {
        return Ok(text::of(&dump));
    }
    let mut json = Vec::new();
    let written = dump.write_pretty(&mut json);
    written.map_err(|source| ShowError::Unreadable { path: path.clone(), source })?;
    Ok(as_ascii(&String::from_utf8_lossy(&json)))
}

/// The same JSON, without anything that a terminal could take for a command: outside of strings it is ASCII anyway.
fn as_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && character != '\x7f' {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

fn read(path: &Path) -> Result<Vec<u8>, ShowError> {
    let unreadable = |source| ShowError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MOST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST { Err(ShowError::TooLarge(path.to_owned())) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests;
