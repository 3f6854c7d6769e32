//! The table of promises, as docs/conformance.md states it: the one list there is.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::claim::{self, Claim};

/// The document, as it was when this command was built.
const DOCUMENT: &str = include_str!("../../../../docs/conformance.md");

/// All promises, in the document's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    promises: Vec<Promise>,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Promise {
    /// The identifier.
    pub id: Id,
    /// The text of the promise, without markup.
    pub text: String,
    /// A case that was reported of other software, and that ours must pass: no promise of its own.
    pub is_case: bool,
    /// Kinds of proof: one or two.
    pub claims: Vec<Claim>,
    /// Where it comes from.
    pub source: String,
}

/// Kinds of proof that a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    /// Proof in processes of this machine.
    InProcess,
    /// The same, and what is proven in guests.
    InProcessAndGuest,
}

/// The identifier of a promise: `GATE-4`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    group: String,
    // Compare the spelling, too: `GATE-04` names nothing.
    number: String,
}

/// Not the name of a promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an ID like GATE-4")]
pub struct NotAnId(String);

/// Errors of the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A first cell that is no ID.
    #[error("docs/conformance.md: {0}")]
    Id(#[from] NotAnId),
    /// Two rows for one promise.
    #[error("docs/conformance.md has two rows for {0}: give one another number")]
    Twice(Id),
    /// No kind of proof, or one that nobody knows.
    #[error(
        "docs/conformance.md: {id} is to be proven by {cell:?}: write H or agent, K or guest, or one of each; after a \
         kind that has none, (no test yet)"
    )]
    Proof {
        /// The row.
        id: Id,
        /// The text found.
        cell: String,
    },
    /// A row without a text.
    #[error("docs/conformance.md: {0} promises nothing")]
    Empty(Id),
    /// A document of other things.
    #[error("docs/conformance.md has no table with the columns ID and promise, or ID and case")]
    NoPromises,
}

impl Id {
    /// An ID from its two parts.
    pub fn new(group: &str, number: &str) -> Self {
        Self { group: group.to_ascii_uppercase(), number: number.to_owned() }
    }

    /// The part before the number.
    pub fn group(&self) -> &str {
        &self.group
    }
}

impl Promise {
    /// The proof in processes of this machine.
    pub(super) fn in_process(&self) -> Option<Claim> {
        self.claims.iter().copied().find(|claim| !claim.kind.is_in_guest())
    }

    /// The proof in guests, if the run is about it. No guest is needed to say that there is none yet, so a promise
    /// without any other is in every run.
    pub(super) fn in_guest(&self, columns: Columns) -> Option<Claim> {
        let claim = self.claims.iter().copied().find(|claim| claim.kind.is_in_guest())?;
        let always = claim.untested && self.in_process().is_none();
        (always || columns == Columns::InProcessAndGuest).then_some(claim)
    }

    /// Whether the run is about it.
    pub(super) fn is_in(&self, columns: Columns) -> bool {
        self.in_process().or(self.in_guest(columns)).is_some()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.group, self.number)
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('-') {
            Some((group, digits)) if word(group) && number(digits) => Ok(Self::new(group, digits)),
            _ => Err(NotAnId(text.to_owned())),
        }
    }
}

impl Table {
    /// The table this command was built with.
    ///
    /// # Errors
    /// [`TableError`] for a document with errors; a test holds that ours has none.
    pub(super) fn built_in() -> Result<Self, TableError> {
        DOCUMENT.parse()
    }

    /// All promises.
    pub(super) fn promises(&self) -> &[Promise] {
        &self.promises
    }

    /// The promise of this name.
    pub(super) fn get(&self, id: &Id) -> Option<&Promise> {
        self.promises.iter().find(|promise| promise.id == *id)
    }

    /// The groups, in the table's order.
    pub(super) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<_> = self.promises.iter().map(|promise| promise.id.group()).collect();
        // The rows of a group may be apart.
        let mut seen = BTreeSet::new();
        groups.retain(|group| seen.insert(*group));
        groups
    }
}

impl FromStr for Table {
    type Err = TableError;

    fn from_str(document: &str) -> Result<Self, TableError> {
        let mut promises: Vec<Promise> = Vec::new();
        for rows in tables(document) {
            let Some((head, rows)) = rows.split_first() else { continue };
            let column = |name: &str| head.iter().position(|title| title.eq_ignore_ascii_case(name));
            let case = column("case");
            let (Some(id), Some(text)) = (column("ID"), column("promise").or(case)) else { continue };
            let (proof, source) = (column("proof"), column("source"));
            for row in rows {
                let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).map_or("", String::as_str);
                let promise = promise(cell(Some(id)), cell(Some(text)), cell(proof), cell(source))?;
                let promise = Promise { is_case: case == Some(text), ..promise };
                if promises.iter().any(|other| other.id == promise.id) {
                    return Err(TableError::Twice(promise.id));
                }
                promises.push(promise);
            }
        }
        if promises.is_empty() { Err(TableError::NoPromises) } else { Ok(Self { promises }) }
    }
}

fn promise(id: &str, text: &str, proof: &str, source: &str) -> Result<Promise, TableError> {
    let id: Id = id.parse()?;
    if text.is_empty() {
        return Err(TableError::Empty(id));
    }
    let Some(claims) = claim::claims(proof) else { return Err(TableError::Proof { id, cell: proof.to_owned() }) };
    Ok(Promise { id, text: text.to_owned(), is_case: false, claims, source: source.to_owned() })
}

/// The tables of a markdown document: rows of cells of plain text, the head first.
fn tables(document: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables: Vec<Vec<Vec<String>>> = Vec::new();
    let mut in_cell = false;
    for event in Parser::new_ext(document, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Table(_)) => tables.push(Vec::new()),
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                if let Some(table) = tables.last_mut() {
                    table.push(Vec::new());
                }
            }
            Event::Start(Tag::TableCell) => {
                in_cell = true;
                if let Some(row) = tables.last_mut().and_then(|table| table.last_mut()) {
                    row.push(String::new());
                }
            }
            Event::End(TagEnd::TableCell) => in_cell = false,
            Event::Text(text) | Event::Code(text) | Event::InlineHtml(text) if in_cell => {
                let row = tables.last_mut().and_then(|table| table.last_mut());
                if let Some(cell) = row.and_then(|row| row.last_mut()) {
                    cell.push_str(&text);
                }
            }
            _ => {}
        }
    }
    tables
}

#[cfg(test)]
mod tests;
