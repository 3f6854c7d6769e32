//! The modules of a crate as the compiler finds them: from the root along `mod`, without what is compiled for tests only.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use syn::{Item, ItemMod, ItemUse};

use super::error::CirclesError;
use super::path::{CratePath, leaves};
use super::tests_left_out::only_in_tests;

/// A module, by its place in [`Tree::modules`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ModuleId(usize);

/// A file, by its place in [`Tree::files`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct FileId(usize);

/// A module: what it names, and its code.
pub(super) struct Module {
    pub(super) file: FileId,
    pub(super) root: ModuleId,
    pub(super) parent: Option<ModuleId>,
    pub(super) children: BTreeMap<String, ModuleId>,
    /// Items, and the file that has each: another file's for an exported macro, whose name is the root's.
    pub(super) items: BTreeMap<String, FileId>,
    /// Names that a `use` brings, and where from. `pub use` is a re-export.
    pub(super) imports: BTreeMap<String, CratePath>,
    /// Modules all of whose names a `use` brings.
    pub(super) globs: Vec<CratePath>,
    /// The code, without nested modules: these are modules of their own.
    pub(super) code: Vec<Item>,
}

/// All modules of a package.
#[derive(Default)]
pub(super) struct Tree {
    modules: Vec<Module>,
    files: Vec<PathBuf>,
}

/// How a file is read: from the disk, or from a test's map.
pub(super) type Read<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// Where the files of a module's nested modules are.
struct Home<'a> {
    file: FileId,
    folder: &'a Path,
}

impl Tree {
    /// Adds the modules of a target, from its root file.
    ///
    /// # Errors
    /// A file is missing, cannot be read, or is not Rust.
    pub(super) fn add(&mut self, root: &Path, read: Read<'_>) -> Result<(), CirclesError> {
        let text = read(root).map_err(|error| CirclesError::Unreadable { path: root.to_owned(), error })?;
        let folder = root.parent().unwrap_or(Path::new(""));
        self.add_file(root, &text, folder, None, read).map(|_| ())
    }

    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    pub(super) fn path(&self, file: FileId) -> &Path {
        &self.files[file.0]
    }

    pub(super) fn module(&self, module: ModuleId) -> &Module {
        &self.modules[module.0]
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = ModuleId> + use<> {
        (0..self.modules.len()).map(ModuleId)
    }

    fn add_file(
        &mut self,
        path: &Path,
        text: &str,
        folder: &Path,
        parent: Option<ModuleId>,
        read: Read<'_>,
    ) -> Result<ModuleId, CirclesError> {
        let parsed = syn::parse_file(text);
        let parsed = parsed.map_err(|error| CirclesError::Syntax { path: path.to_owned(), error })?;
        let file = FileId(self.files.len());
        self.files.push(path.to_owned());
        self.add_module(&Home { file, folder }, parsed.items, parent, read)
    }

    fn add_module(
        &mut self,
        home: &Home<'_>,
        items: Vec<Item>,
        parent: Option<ModuleId>,
        read: Read<'_>,
    ) -> Result<ModuleId, CirclesError> {
        let id = ModuleId(self.modules.len());
        let root = parent.map_or(id, |parent| self.module(parent).root);
        self.modules.push(Module {
            file: home.file,
            root,
            parent,
            children: BTreeMap::new(),
            items: BTreeMap::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
            code: Vec::new(),
        });
        for item in items {
            if only_in_tests(attributes(&item)) {
                continue;
            }
            match item {
                Item::Mod(nested) => {
                    let name = nested.ident.to_string();
                    let child = self.add_nested(home, nested, id, read)?;
                    // The first of two modules that exclude each other by `cfg` has the name.
                    self.modules[id.0].children.entry(name).or_insert(child);
                }
                item => self.add_item(id, item),
            }
        }
        Ok(id)
    }

    fn add_nested(
        &mut self,
        home: &Home<'_>,
        nested: ItemMod,
        parent: ModuleId,
        read: Read<'_>,
    ) -> Result<ModuleId, CirclesError> {
        let name = nested.ident.to_string();
        let folder = home.folder.join(&name);
        if let Some((_, items)) = nested.content {
            return self.add_module(&Home { file: home.file, folder: &folder }, items, Some(parent), read);
        }
        for path in [home.folder.join(format!("{name}.rs")), folder.join("mod.rs")] {
            match read(&path) {
                Ok(text) => return self.add_file(&path, &text, &folder, Some(parent), read),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(CirclesError::Unreadable { path, error }),
            }
        }
        Err(CirclesError::NoFile { path: self.path(home.file).to_owned(), name })
    }

    fn add_item(&mut self, id: ModuleId, item: Item) {
        if let Item::Use(import) = &item {
            self.add_import(id, import);
        }
        if let Some(name) = name(&item) {
            let Module { file, root, .. } = *self.module(id);
            let owner = if exported(&item) { root } else { id };
            self.modules[owner.0].items.insert(name, file);
        }
        self.modules[id.0].code.push(item);
    }

    fn add_import(&mut self, id: ModuleId, import: &ItemUse) {
        let module = &mut self.modules[id.0];
        for leaf in leaves(import) {
            match leaf.name {
                Some(name) => {
                    module.imports.entry(name).or_insert(leaf.path);
                }
                None => module.globs.push(leaf.path),
            }
        }
    }
}

pub(super) fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn exported(item: &Item) -> bool {
    matches!(item, Item::Macro(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")))
}
