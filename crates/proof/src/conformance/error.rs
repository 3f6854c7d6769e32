//! Why there are no results, and the exit code that follows from it.

use std::io;
use std::path::PathBuf;

use super::select::Wanted;
use super::table::{Id, TableError};
use lifeboat_cli::exit::Exit;

/// Reasons why promises cannot be checked. The text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    /// The user asks for a promise that nobody made.
    #[error("there is no promise {wanted}; there are {there_are}, and each group as a whole")]
    Unknown {
        /// The value given.
        wanted: Wanted,
        /// The possible values.
        there_are: String,
    },
    /// The user asks for a promise that is proven elsewhere.
    #[error("{wanted} is proven in the guest alone: add --kernel; without it there are {there_are}")]
    InGuest {
        /// The value given.
        wanted: Wanted,
        /// The possible values.
        there_are: String,
    },
    /// There are no tests here.
    #[error(
        "the tests are built from a checkout of Lifeboat, and this folder is not in one: change into it and run \
         `cargo xtask conformance`; `--list` shows the promises anywhere ({0})"
    )]
    NoCheckout(String),
    /// The checkout is another version than this command.
    #[error(
        "docs/conformance.md in {} is not the table that this command was built with: run `cargo xtask conformance` there",
        .0.display()
    )]
    OtherTable(PathBuf),
    /// The table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The tests could not be built or listed.
    #[error("{what} failed ({how}): it says above why")]
    Cargo {
        /// The command.
        what: String,
        /// Its exit status or error.
        how: String,
    },
    /// A test executable does not say what it has.
    #[error("the tests of {target} cannot be listed: {why}")]
    List {
        /// The name of the executable.
        target: String,
        /// Its exit status or error.
        why: String,
    },
    /// A test names a promise that does not exist: a typing error would lose a proof.
    #[error("the test {test} of {target} names {id}, which docs/conformance.md does not have: correct one of them")]
    NoSuchPromise {
        /// Its name.
        test: String,
        /// Place of the problem.
        target: String,
        /// The promise that it names.
        id: Id,
    },
    /// A promise has got a test, and its row does not say so: without this it could lose the test again.
    #[error(
        "the test {test} of {target} proves {id}, of which docs/conformance.md says that it has no test yet: take these \
         words out of its row"
    )]
    TestedByNow {
        /// Its name.
        test: String,
        /// Place of the problem.
        target: String,
        /// The promise that it proves.
        id: Id,
    },
    /// The system refused a process or a file.
    #[error("a program cannot be run: {0}")]
    System(#[from] io::Error),
    /// The results cannot be written as JSON.
    #[error("the results could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The user wants to stop.
    #[error("interrupted")]
    Interrupted,
}

impl ConformanceError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } | Self::InGuest { .. } | Self::NoCheckout(_) | Self::OtherTable(_) => Exit::BadInput,
            Self::Interrupted => Exit::Interrupted,
            Self::Table(_)
            | Self::Cargo { .. }
            | Self::List { .. }
            | Self::NoSuchPromise { .. }
            | Self::TestedByNow { .. }
            | Self::System(_)
            | Self::Json(_) => Exit::Failed,
        }
    }
}
