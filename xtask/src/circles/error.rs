//! Why circles could not be counted.

use std::path::PathBuf;

use thiserror::Error;

/// Nothing was counted.
#[derive(Debug, Error)]
pub(crate) enum CirclesError {
    /// `cargo metadata` fails, so the crates are not known.
    #[error("cargo does not say which crates there are: {0}")]
    Workspace(#[from] cargo_metadata::Error),
    /// A file of a crate cannot be read.
    #[error("{path}: {error}", path = path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    /// A file is not Rust, or newer Rust than the parser knows.
    #[error("{path}:{line}: {error}", path = path.display(), line = error.span().start().line)]
    Syntax { path: PathBuf, error: syn::Error },
    /// A `mod name;` has no file at the usual places. `#[path]` is not followed.
    #[error("{path}: `mod {name};` has no file {name}.rs or {name}/mod.rs where one is looked for", path = path.display())]
    NoFile { path: PathBuf, name: String },
    /// The user asked for a crate that is not there.
    #[error("there is no crate {name}; there are {known}")]
    NoSuchCrate { name: String, known: String },
}
