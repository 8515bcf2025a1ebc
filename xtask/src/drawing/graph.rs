//! A graph, for Mermaid.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// Nodes and edges, in an order that does not depend on how they were added.
#[derive(Default)]
pub(super) struct Graph {
    nodes: BTreeSet<String>,
    edges: BTreeSet<(String, String)>,
}

impl Graph {
    pub(super) fn add_node(&mut self, name: &str) {
        self.nodes.insert(name.to_owned());
    }

    /// Adds an edge between two different nodes; anything else is ignored.
    pub(super) fn add_edge(&mut self, from: &str, to: &str) {
        if from != to && self.nodes.contains(from) && self.nodes.contains(to) {
            self.edges.insert((from.to_owned(), to.to_owned()));
        }
    }
}

/// Without what Mermaid takes for an arrow. A lone `end` would be one of its words.
fn id(name: &str) -> String {
    let id = name.replace('-', "_");
    if id == "end" { "end_".to_owned() } else { id }
}

impl Display for Graph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "```mermaid\ngraph TD")?;
        for name in &self.nodes {
            let id = id(name);
            if id == *name {
                writeln!(f, "  {id}")?;
            } else {
                writeln!(f, "  {id}[\"{name}\"]")?;
            }
        }
        for (from, to) in &self.edges {
            writeln!(f, "  {} --> {}", id(from), id(to))?;
        }
        writeln!(f, "```")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_always_the_same_and_edges_have_two_ends() {
        let mut graph = Graph::default();
        for name in ["b", "end", "a-1"] {
            graph.add_node(name);
        }
        for (from, to) in [
            ("b", "end"),
            ("b", "a-1"),
            ("b", "b"),
            ("b", "elsewhere"),
            ("b", "end"),
        ] {
            graph.add_edge(from, to);
        }
        assert_eq!(
            graph.to_string(),
            "```mermaid\ngraph TD\n  a_1[\"a-1\"]\n  b\n  end_[\"end\"]\n  b --> a_1\n  b --> end_\n```\n"
        );
    }
}
