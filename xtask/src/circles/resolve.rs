//! From a path to the file that has what it names: through modules, re-exports and globs.

use super::tree::{FileId, Module, ModuleId, Tree};

/// Re-exports that are followed one after another. Names that are re-exported in a circle end here; the code has three at
/// most in a row.
const HOPS: u32 = 16;

/// What a path names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Module(ModuleId),
    /// An item, in this file.
    Item(FileId),
}

impl Tree {
    /// The file that has what `names`, written in module `from`, names. `None` for what another crate has.
    pub(super) fn file_of(&self, from: ModuleId, names: &[String]) -> Option<FileId> {
        self.find(from, names, HOPS).map(|target| match target {
            Target::Module(module) => self.module(module).file,
            Target::Item(file) => file,
        })
    }

    /// Whether `name` is brought into `module` by a `use`, and names a module of this crate.
    pub(super) fn is_imported_module(&self, module: ModuleId, name: &str) -> bool {
        let import = self.module(module).imports.get(name);
        import.is_some_and(|path| matches!(self.find(module, &path.names, HOPS), Some(Target::Module(_))))
    }

    /// Whether a path of `module` that begins with `super::` climbs to the root, where it is `crate::` by another name.
    pub(super) fn leads_to_root(&self, module: ModuleId, names: &[String]) -> bool {
        let climbs = names.iter().take_while(|name| *name == "super").count();
        let reached = (0..climbs).try_fold(module, |here, _| self.module(here).parent);
        reached.is_some_and(|reached| self.module(reached).parent.is_none())
    }

    fn find(&self, from: ModuleId, names: &[String], hops: u32) -> Option<Target> {
        let mut here = from;
        for (place, name) in names.iter().enumerate() {
            match name.as_str() {
                "crate" => here = self.module(from).root,
                "self" => {}
                "super" => here = self.module(here).parent?,
                name => match self.named(here, name, hops) {
                    Some(Target::Module(module)) => here = module,
                    Some(item) => return Some(item),
                    // A macro's expansion defines it, or another crate does.
                    None if place > 0 => return Some(Target::Item(self.module(here).file)),
                    None => return None,
                },
            }
        }
        Some(Target::Module(here))
    }

    fn named(&self, module: ModuleId, name: &str, hops: u32) -> Option<Target> {
        let hops = hops.checked_sub(1)?;
        let Module { children, items, imports, globs, .. } = self.module(module);
        if let Some(child) = children.get(name) {
            return Some(Target::Module(*child));
        }
        if let Some(file) = items.get(name) {
            return Some(Target::Item(*file));
        }
        if let Some(path) = imports.get(name) {
            return self.find(module, &path.names, hops);
        }
        globs.iter().find_map(|path| match self.find(module, &path.names, hops)? {
            // `use super::*` in a nested module and `use nested::*` above it would go round without `hops`.
            Target::Module(other) if other != module => self.named(other, name, hops),
            _ => None,
        })
    }
}
