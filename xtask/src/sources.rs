//! The modules of a crate, as its sources declare them, without those of tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta, Token, punctuated::Punctuated};

/// A module.
pub(crate) struct Module {
    /// Its path within the crate; empty for the crate's root.
    pub(crate) path: Vec<String>,
    /// Where it is written.
    pub(crate) file: PathBuf,
    /// What it holds, but for other modules and tests.
    pub(crate) items: Vec<Item>,
    /// Attributes of the crate; of others none.
    pub(crate) attributes: Vec<Attribute>,
}

/// The modules of the crate with this root, parents before children.
pub(crate) fn modules(root: &Path) -> Result<Vec<Module>> {
    read_modules(root, &|file| {
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    })
}

type Read<'a> = &'a dyn Fn(&Path) -> Result<String>;

/// As [`modules`], of files that `read` has.
pub(crate) fn read_modules(root: &Path, read: Read<'_>) -> Result<Vec<Module>> {
    let parsed = parse(root, read)?;
    let directory = root.parent().context("the crate's root is nowhere")?;
    let mut found = Vec::new();
    collect(
        &mut found,
        Module {
            path: Vec::new(),
            file: root.to_path_buf(),
            items: parsed.items,
            attributes: parsed.attrs,
        },
        directory,
        read,
    )?;
    Ok(found)
}

fn parse(file: &Path, read: Read<'_>) -> Result<syn::File> {
    syn::parse_file(&read(file)?).with_context(|| format!("cannot parse {}", file.display()))
}

/// Adds a module and those in it. Files of the latter lie in `directory`.
fn collect(
    found: &mut Vec<Module>,
    mut module: Module,
    directory: &Path,
    read: Read<'_>,
) -> Result<()> {
    let (mut children, mut items) = (Vec::new(), Vec::new());
    for item in std::mem::take(&mut module.items) {
        match item {
            item if is_test(attributes(&item)) => {}
            Item::Mod(child) => children.push(child),
            item => items.push(item),
        }
    }
    module.items = items;
    let (path, file) = (module.path.clone(), module.file.clone());
    found.push(module);
    for child in children {
        let name = child.ident.to_string();
        let within = directory.join(&name);
        let (file, items, directory) = match child.content {
            Some((_, items)) => (file.clone(), items, within),
            None => match explicit_path(&child.attrs) {
                Some(path) => {
                    let other = directory.join(path);
                    let items = parse(&other, read)?.items;
                    let within = other.parent().unwrap_or(directory).to_path_buf();
                    (other, items, within)
                }
                None => file_of(&within, read)?,
            },
        };
        let path = path.iter().cloned().chain([name]).collect();
        let child = Module {
            path,
            file,
            items,
            attributes: Vec::new(),
        };
        collect(found, child, &directory, read)?;
    }
    Ok(())
}

/// `mod name;` is in `name.rs` or in `name/mod.rs`.
fn file_of(within: &Path, read: Read<'_>) -> Result<(PathBuf, Vec<Item>, PathBuf)> {
    for file in [within.with_extension("rs"), within.join("mod.rs")] {
        if read(&file).is_ok() {
            let items = parse(&file, read)?.items;
            return Ok((file, items, within.to_path_buf()));
        }
    }
    bail!("there is no {}.rs", within.display());
}

/// `#[path = "other.rs"]`
fn explicit_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(path),
            ..
        }) = &pair.value
        else {
            return None;
        };
        pair.path.is_ident("path").then(|| path.value())
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether what has these attributes is compiled for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let condition = || attribute.parse_args::<Meta>().ok();
        path.is_ident("test") || path.is_ident("cfg") && condition().as_ref().is_some_and(asks_test)
    })
}

/// Whether the condition can hold in tests alone: `test`, or an `all` with it.
fn asks_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(asks_test)),
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The modules of a crate that consists of these files; the first one is its root.
    pub(crate) fn made_up(files: &[(&str, &str)]) -> Result<Vec<Module>> {
        let root = Path::new(files[0].0);
        read_modules(root, &|file| {
            let mut all = files.iter();
            let known = all.find(|(name, _)| Path::new(name) == file);
            let (_, text) = known.context("no such file")?;
            Ok((*text).to_owned())
        })
    }

    fn names(modules: &[Module]) -> Vec<String> {
        modules
            .iter()
            .map(|module| module.path.join("::"))
            .collect()
    }

    #[test]
    fn modules_are_found_where_the_compiler_finds_them() {
        let modules = made_up(&[
            (
                "src/lib.rs",
                "mod a; mod b; mod c { pub mod d; } #[path = \"odd/e.rs\"] mod e;",
            ),
            ("src/a.rs", "mod inner;"),
            ("src/a/inner.rs", "fn f() {}"),
            ("src/b/mod.rs", "mod inner;"),
            ("src/b/inner.rs", ""),
            ("src/c/d.rs", ""),
            ("src/odd/e.rs", "mod beside;"),
            ("src/odd/beside.rs", ""),
        ]);
        let modules = modules.unwrap();
        let expected = [
            "",
            "a",
            "a::inner",
            "b",
            "b::inner",
            "c",
            "c::d",
            "e",
            "e::beside",
        ];
        assert_eq!(names(&modules), expected);
        assert_eq!(modules[2].file, Path::new("src/a/inner.rs"));
        assert_eq!(modules[2].items.len(), 1);
    }

    #[test]
    fn tests_are_left_out() {
        let modules = made_up(&[(
            "src/lib.rs",
            "#[cfg(test)] mod tests; #[cfg(all(test, unix))] mod more; #[test] fn t() {} #[cfg(test)] extern crate std; \
             #[cfg(not(test))] mod a {} #[cfg(any(test, feature = \"samples\"))] mod b {}",
        )]);
        let modules = modules.unwrap();
        assert_eq!(names(&modules), ["", "a", "b"]);
        assert!(modules[0].items.is_empty());
    }

    #[test]
    fn a_module_without_a_file_is_an_error() {
        assert!(made_up(&[("src/lib.rs", "mod a;")]).is_err());
    }
}
