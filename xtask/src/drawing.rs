//! `cargo xtask drawing`: the crates and their modules with what each uses, drawn for docs/architecture.md from the
//! manifests and the sources.

mod graph;
mod paths;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use crate::page::{Section, read};
use crate::shell::say;
use crate::sources::{Module, modules};
use crate::workspace::{Package, packages};
use graph::Graph;

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask drawing           draw it again
  cargo xtask drawing --check   is the committed drawing up to date?";

const PAGE: &str = "docs/architecture.md";
const SECTION: Section = Section { command: "drawing" };

/// What users install; the modules of these are drawn, and of all that they are linked with.
const INSTALLED: &[&str] = &["portwatch", "portwatch-report"];

/// Writes the drawing into the page.
pub(crate) fn draw() -> Result<()> {
    SECTION.write(PAGE, &drawing()?)?;
    say(format!("{PAGE} shows how it is."));
    Ok(())
}

/// Fails if the page has another drawing.
pub(crate) fn check() -> Result<()> {
    let page = read(PAGE)?;
    let committed = SECTION.of(&page).context(PAGE)?;
    let drawing = drawing()?;
    if committed.trim() != drawing.trim() {
        bail!("the drawing in {PAGE} is not up to date: run `cargo xtask drawing`");
    }
    Ok(())
}

fn drawing() -> Result<String> {
    let packages = packages()?;
    let mut parts = vec![format!("### Crates\n\n{}", of_crates(&packages))];
    for package in installed(&packages) {
        let source = package.source();
        let source = source.with_context(|| format!("{} has no source", package.name))?;
        let graph = of_modules(&package.name, &modules(source)?);
        parts.push(format!("### Modules of {}\n\n{graph}", package.name));
    }
    Ok(parts.join("\n"))
}

/// Which package is linked with which.
fn of_crates(packages: &[Package]) -> Graph {
    let mut graph = Graph::default();
    for package in packages {
        graph.add_node(&package.name);
    }
    for package in packages {
        for dependency in package.dependencies() {
            graph.add_edge(&package.name, dependency);
        }
    }
    graph
}

/// [`INSTALLED`], and the packages of this workspace that they are linked with.
fn installed(packages: &[Package]) -> Vec<&Package> {
    let mut names: BTreeSet<&str> = INSTALLED.iter().copied().collect();
    loop {
        let users = packages
            .iter()
            .filter(|package| names.contains(package.name.as_str()));
        let more: Vec<_> = users.flat_map(Package::dependencies).collect();
        let before = names.len();
        names.extend(more);
        if names.len() == before {
            break;
        }
    }
    let all = packages.iter();
    all.filter(|package| names.contains(package.name.as_str()))
        .collect()
}

/// An edge for each module in the root of a crate that names an item of another such module.
fn of_modules(package: &str, modules: &[Module]) -> Graph {
    let mut graph = Graph::default();
    for module in modules {
        if let [name] = module.path.as_slice() {
            graph.add_node(name);
        }
    }
    let own_name = package.replace('-', "_");
    for module in modules {
        let Some(from) = module.path.first() else {
            continue;
        };
        for to in paths::named_in(&own_name, module) {
            graph.add_edge(from, &to);
        }
    }
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::made_up;
    use crate::workspace::parse;

    const PACKAGES: &str = r#"{"packages": [
        {"name": "portwatch", "rust_version": null, "dependencies": [
            {"name": "portwatch-core", "kind": null}, {"name": "libc", "kind": null}, {"name": "lab", "kind": "dev"}]},
        {"name": "portwatch-core", "rust_version": null, "dependencies": [{"name": "abi", "kind": null}]},
        {"name": "abi", "rust_version": null},
        {"name": "lab", "rust_version": null, "dependencies": [{"name": "abi", "kind": null}]}
    ]}"#;

    #[test]
    fn crates_of_this_workspace_are_drawn_and_no_others() {
        let graph = of_crates(&parse(PACKAGES).unwrap()).to_string();
        assert_eq!(
            graph,
            "```mermaid\ngraph TD\n  abi\n  lab\n  portwatch\n  portwatch_core[\"portwatch-core\"]\n  lab --> abi\n  \
             portwatch --> portwatch_core\n  portwatch_core --> abi\n```\n"
        );
    }

    #[test]
    fn modules_are_drawn_of_what_gets_installed() {
        let packages = parse(PACKAGES).unwrap();
        let names: Vec<_> = installed(&packages)
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        assert_eq!(names, ["abi", "portwatch", "portwatch-core"]);
    }

    #[test]
    fn modules_are_joined_by_what_they_and_theirs_name() {
        let modules = made_up(&[
            (
                "src/lib.rs",
                "mod a; mod b; mod c; use a::A; #[cfg(test)] mod tests { use crate::a; }",
            ),
            ("src/a.rs", "mod deep; use crate::Root;"),
            (
                "src/a/deep.rs",
                "use super::super::b::B; use crate::{c, other::X};",
            ),
            ("src/b.rs", "fn f() -> crate::c::C {}"),
            ("src/c.rs", ""),
        ]);
        let graph = of_modules("a-crate", &modules.unwrap()).to_string();
        assert_eq!(
            graph,
            "```mermaid\ngraph TD\n  a\n  b\n  c\n  a --> b\n  a --> c\n  b --> c\n```\n"
        );
    }
}
