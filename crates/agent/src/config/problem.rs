//! Problems of policy files: each with its place, so that an editor or a person can go there.

use std::fmt;
use std::path::{Path, PathBuf};

/// Place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Path of the file.
    pub file: PathBuf,
    /// Line, from 1 on. `None`: the problem is the whole file.
    pub line: Option<usize>,
    /// Column in characters, from 1 on; 0 if there is no line.
    pub column: usize,
}

impl Place {
    /// Returns the place that means the whole file.
    pub fn whole(file: &Path) -> Self {
        Self { file: file.to_owned(), line: None, column: 0 }
    }

    /// Returns the place of the byte at `offset` of the file's text.
    pub(super) fn at(file: &Path, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: Some(before.matches('\n').count() + 1),
            column: before[line_begin..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.line {
            Some(line) => write!(f, ":{line}:{}", self.column),
            None => Ok(()),
        }
    }
}

/// Error or warning about a policy file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// Place of the problem.
    pub place: Place,
    /// Description, with the right form where there is one.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// All errors of all policy files. No rule of any file holds: the daemon goes on with the rules it had, or holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
