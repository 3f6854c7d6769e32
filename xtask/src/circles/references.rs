//! Where the code of a module names items of the crate from its root: `use crate::…`, and `crate::…` in types, expressions
//! and the arguments of macros.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Field, ImplItem, ItemUse, Local, Macro, TraitItem, Visibility};

use super::path::{CratePath, leaves};
use super::tests_left_out::only_in_tests;
use super::tree::{ModuleId, Tree, attributes};

/// A path that leads to an item, and whether a `use` has it.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) path: CratePath,
    pub(super) in_use: bool,
}

/// All that `module` names, in the order of the code.
pub(super) fn references(tree: &Tree, module: ModuleId) -> Vec<Reference> {
    let mut visitor = Visitor { tree, module, found: Vec::new() };
    for item in &tree.module(module).code {
        visitor.visit_item(item);
    }
    visitor.found
}

struct Visitor<'a> {
    tree: &'a Tree,
    module: ModuleId,
    found: Vec<Reference>,
}

impl Visitor<'_> {
    fn add(&mut self, path: CratePath, in_use: bool) {
        let Some(first) = path.names.first() else { return };
        let named_from_root = first == "crate" || first == "super" && self.tree.leads_to_root(self.module, &path.names);
        // `use crate::ring;` and then `ring::Stop`, which may be an item that `ring` re-exports.
        let through_import = path.names.len() > 1 && self.tree.is_imported_module(self.module, first);
        if named_from_root && path.names.len() > 1 || through_import {
            self.found.push(Reference { path, in_use });
        }
    }

    /// Paths in what a macro is given, which is not parsed: names between `::`.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add(CratePath { names: std::mem::take(&mut names), line }, false);
                    }
                    names.push(ident.to_string());
                    line = ident.span().start().line;
                }
                _ => self.add(CratePath { names: std::mem::take(&mut names), line }, false),
            }
            colons = 0;
            if let TokenTree::Group(group) = token {
                self.add_tokens(group.stream());
            }
        }
        self.add(CratePath { names, line }, false);
    }
}

impl<'code> Visit<'code> for Visitor<'_> {
    fn visit_item_use(&mut self, import: &'code ItemUse) {
        for leaf in leaves(import) {
            self.add(leaf.path, true);
        }
    }

    fn visit_path(&mut self, path: &'code syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let line = path.segments.last().map_or(0, |last| last.ident.span().start().line);
            self.add(CratePath { names, line }, false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'code Macro) {
        self.visit_path(&call.path);
        self.add_tokens(call.tokens.clone());
    }

    /// `pub(in crate::…)` says how far an item is seen; it needs nothing from there.
    fn visit_visibility(&mut self, _: &'code Visibility) {}

    fn visit_item(&mut self, item: &'code syn::Item) {
        if !only_in_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'code ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => item.attrs.as_slice(),
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !only_in_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'code TraitItem) {
        let attributes = match item {
            TraitItem::Const(item) => item.attrs.as_slice(),
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !only_in_tests(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'code Field) {
        if !only_in_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_local(&mut self, local: &'code Local) {
        if !only_in_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }
}
