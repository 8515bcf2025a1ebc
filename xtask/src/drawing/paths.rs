//! What a module names of its crate.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ImplItemFn, Macro, Path, UseTree, Visibility};

use crate::sources::{Module, is_test};

/// The first names behind `crate::`, or behind what leads there.
pub(super) fn named_in(own_name: &str, module: &Module) -> BTreeSet<String> {
    let mut visitor = Visitor {
        own_name,
        within: &module.path,
        found: BTreeSet::new(),
    };
    for item in &module.items {
        visitor.visit_item(item);
    }
    visitor.found
}

struct Visitor<'a> {
    own_name: &'a str,
    /// Path of the module.
    within: &'a [String],
    found: BTreeSet<String>,
}

impl Visitor<'_> {
    /// Adds what a path leads to. Paths that begin elsewhere are ignored: at an item of the module, or at another crate.
    fn add(&mut self, path: &[String]) {
        let Some((first, mut rest)) = path.split_first() else {
            return;
        };
        let mut depth = match first.as_str() {
            "crate" => 0,
            "super" => self.within.len().saturating_sub(1),
            name if name == self.own_name => 0,
            _ => return,
        };
        while let Some((first, behind)) = rest.split_first()
            && first == "super"
        {
            depth = depth.saturating_sub(1);
            rest = behind;
        }
        if depth == 0
            && let Some(name) = rest.first()
        {
            self.found.insert(name.clone());
        }
    }

    fn add_use(&mut self, before: &[String], tree: &UseTree) {
        let extended = |name: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            UseTree::Path(path) => self.add_use(&extended(&path.ident), &path.tree),
            UseTree::Name(name) => self.add(&extended(&name.ident)),
            UseTree::Rename(rename) => self.add(&extended(&rename.ident)),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(before, tree);
                }
            }
        }
    }

    /// Arguments of macros are tokens: whatever looks there like a path of this crate is taken for one.
    fn add_tokens(&mut self, stream: TokenStream) {
        let tokens: Vec<_> = stream.into_iter().collect();
        for window in tokens.windows(4) {
            if let [
                TokenTree::Ident(start),
                TokenTree::Punct(one),
                TokenTree::Punct(two),
                TokenTree::Ident(name),
            ] = window
                && start == "crate"
                && one.as_char() == ':'
                && two.as_char() == ':'
            {
                self.found.insert(name.to_string());
            }
        }
        for token in tokens {
            if let TokenTree::Group(group) = token {
                self.add_tokens(group.stream());
            }
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        self.add_use(&[], tree);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.add(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'ast Macro) {
        self.add_tokens(of.tokens.clone());
        visit::visit_macro(self, of);
    }

    /// `pub(in crate::a)` names nothing that is used.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::made_up;

    /// What the module `a::b` of `my_crate` names.
    fn named(source: &str) -> Vec<String> {
        let modules = made_up(&[("lib.rs", "mod a;"), ("a.rs", "mod b;"), ("a/b.rs", source)]);
        let found = named_in("my_crate", &modules.unwrap()[2]);
        found.into_iter().collect()
    }

    #[test]
    fn every_way_to_name_something_is_seen() {
        assert_eq!(named("use crate::c::{self, D};"), ["c"]);
        assert_eq!(named("use crate::{c::D, e as f, g::*};"), ["c", "e", "g"]);
        assert_eq!(named("use my_crate::c;"), ["c"]);
        assert_eq!(named("use super::super::{c, d::E};"), ["c", "d"]);
        assert_eq!(named("fn f(x: crate::c::C) { crate::d::e(); }"), ["c", "d"]);
        assert_eq!(
            named("impl crate::c::T for Vec<crate::d::D> {}"),
            ["c", "d"]
        );
        assert_eq!(named("fn f() { print!(\"{}\", g(crate::c::X)); }"), ["c"]);
        assert_eq!(named("fn f() { use crate::c; }"), ["c"]);
    }

    #[test]
    fn what_lies_elsewhere_is_not() {
        assert!(named("use super::c; use self::d; use std::fmt; use e::F;").is_empty());
        assert!(named("pub(in crate::a) struct S;").is_empty());
        assert!(named("impl S { #[cfg(test)] fn f() { crate::c::d(); } }").is_empty());
    }
}
