//! Paths as they stand in the code.

use std::fmt;

use syn::{ItemUse, UseTree};

/// A path, with the line of its last name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct CratePath {
    pub(super) names: Vec<String>,
    pub(super) line: usize,
}

impl fmt::Display for CratePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join("::"))
    }
}

/// One name that a `use` brings.
pub(super) struct Leaf {
    /// The name here; `None`: all names of the module at `path`.
    pub(super) name: Option<String>,
    pub(super) path: CratePath,
}

/// Everything that a `use` brings, `{…}` taken apart. Nothing for `use ::other_crate…`.
pub(super) fn leaves(import: &ItemUse) -> Vec<Leaf> {
    let mut found = Vec::new();
    if import.leading_colon.is_none() {
        collect(&import.tree, &mut Vec::new(), &mut found);
    }
    found
}

fn collect(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            collect(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, before, found)),
        UseTree::Name(name) => found.push(leaf(before, &name.ident, &name.ident)),
        UseTree::Rename(rename) => found.push(leaf(before, &rename.ident, &rename.rename)),
        UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            found.push(Leaf { name: None, path: CratePath { names: before.clone(), line } });
        }
    }
}

fn leaf(before: &[String], last: &proc_macro2::Ident, name: &proc_macro2::Ident) -> Leaf {
    let mut names = before.to_vec();
    let line = last.span().start().line;
    // `a::{self}` is `a`, and is called so here.
    if last == "self" && !before.is_empty() {
        let name = if name == "self" { before.last().cloned() } else { Some(name.to_string()) };
        return Leaf { name, path: CratePath { names, line } };
    }
    names.push(last.to_string());
    Leaf { name: Some(name.to_string()), path: CratePath { names, line } }
}
