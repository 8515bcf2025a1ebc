//! Words that texts do without: `words.toml` lists them, and what to write instead.

mod passages;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::Outcome;
use crate::shell::{output, root, say};
use passages::{Passage, Source, of_source, of_text};

const LIST: &str = "xtask/words.toml";

/// The list as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    files: String,
    text: Vec<Entry>,
    name: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    pattern: String,
    instead: String,
    allow: Option<String>,
    files: Option<String>,
}

/// The list, ready to be compared with.
struct Rules {
    texts: Vec<Rule>,
    names: Vec<Rule>,
}

struct Rule {
    written: String,
    pattern: Regex,
    instead: String,
    allow: Option<Regex>,
    files: Regex,
}

/// A word that should not be there.
#[derive(Debug, PartialEq, Eq)]
struct Hit {
    /// `README.md:78`
    place: String,
    found: String,
    /// Index of its rule; those of names come last.
    rule: usize,
}

pub(super) fn words() -> Result<Outcome> {
    let root = root();
    let list =
        fs::read_to_string(root.join(LIST)).with_context(|| format!("cannot read {LIST}"))?;
    let rules = Rules::parse(&list).context(LIST)?;
    let mut git = Command::new("git");
    git.current_dir(&root)
        .args(["ls-files", "-z", "--cached", "--others"]);
    let files = output(git.arg("--exclude-standard"))?;
    let mut hits = Vec::new();
    for file in files.split('\0').filter(|file| root.join(file).is_file()) {
        rules.check_name(file, &mut hits);
        if rules.read(file) {
            let text = fs::read_to_string(root.join(file));
            let text = text.with_context(|| format!("cannot read {file}"))?;
            rules.check_file(file, &text, &mut hits)?;
        }
    }
    if hits.is_empty() {
        return Ok(Outcome::Passed);
    }
    for hit in &hits {
        let instead = &rules.rule(hit.rule).instead;
        say(format!(
            "{}: \"{}\"; better: {instead}",
            hit.place, hit.found
        ));
    }
    bail!("words of {LIST} are in use:\n{}", rules.counts(&hits));
}

impl Rules {
    fn parse(list: &str) -> Result<Self> {
        let list: List = toml::from_str(list)?;
        let read = |entries: Vec<Entry>| {
            let rules = entries
                .into_iter()
                .map(|entry| Rule::new(entry, &list.files));
            rules.collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            texts: read(list.text)?,
            names: read(list.name)?,
        })
    }

    fn rule(&self, index: usize) -> &Rule {
        let beyond = index.checked_sub(self.texts.len());
        beyond.map_or_else(|| &self.texts[index], |index| &self.names[index])
    }

    /// Whether some rule is for the text of this file.
    fn read(&self, file: &str) -> bool {
        self.texts.iter().any(|rule| rule.files.is_match(file))
    }

    fn check_name(&self, path: &str, hits: &mut Vec<Hit>) {
        for part in path.split('/') {
            self.check_identifier(path, part, hits);
        }
    }

    fn check_identifier(&self, place: &str, name: &str, hits: &mut Vec<Hit>) {
        for (index, rule) in self.names.iter().enumerate() {
            if rule.pattern.is_match(name) {
                hits.push(Hit {
                    place: place.to_owned(),
                    found: name.to_owned(),
                    rule: self.texts.len() + index,
                });
            }
        }
    }

    fn check_file(&self, file: &str, text: &str, hits: &mut Vec<Hit>) -> Result<()> {
        let is_source = Path::new(file).extension().is_some_and(|it| it == "rs");
        let source = if is_source {
            of_source(text).with_context(|| file.to_owned())?
        } else {
            Source {
                passages: vec![of_text(text)],
                ..Source::default()
            }
        };
        for (line, name) in &source.inline_modules {
            self.check_identifier(&format!("{file}:{line}"), name, hits);
        }
        for passage in &source.passages {
            for (index, rule) in self.texts.iter().enumerate() {
                if rule.files.is_match(file) {
                    hits.extend(rule.hits(index, file, passage));
                }
            }
        }
        Ok(())
    }

    /// How often each rule was broken.
    fn counts(&self, hits: &[Hit]) -> String {
        let mut lines = Vec::new();
        for index in 0..self.texts.len() + self.names.len() {
            let count = hits.iter().filter(|hit| hit.rule == index).count();
            if count > 0 {
                lines.push(format!("{count:>6}  {}", self.rule(index).written));
            }
        }
        lines.join("\n")
    }
}

impl Rule {
    fn new(entry: Entry, all_files: &str) -> Result<Self> {
        let files = entry.files.as_deref().unwrap_or(all_files);
        Ok(Self {
            pattern: compiled(&entry.pattern)?,
            allow: entry.allow.as_deref().map(compiled).transpose()?,
            files: Regex::new(files)?,
            instead: entry.instead,
            written: entry.pattern,
        })
    }

    fn hits(&self, index: usize, file: &str, passage: &Passage) -> Vec<Hit> {
        let allowed: Vec<_> = self
            .allow
            .iter()
            .flat_map(|allow| allow.find_iter(&passage.text))
            .collect();
        let found = self.pattern.find_iter(&passage.text);
        let found = found.filter(|found| {
            let mut allowed = allowed.iter();
            !allowed.any(|other| other.start() < found.end() && found.start() < other.end())
        });
        found
            .map(|found| {
                let before = &passage.text[..found.start()];
                let line = passage.line + before.matches('\n').count();
                let words: Vec<_> = found.as_str().split_whitespace().collect();
                Hit {
                    place: format!("{file}:{line}"),
                    found: words.join(" "),
                    rule: index,
                }
            })
            .collect()
    }
}

/// Words of a phrase may be on two lines.
fn compiled(pattern: &str) -> Result<Regex> {
    let mut builder = RegexBuilder::new(&pattern.replace(' ', r"\s+"));
    Ok(builder.case_insensitive(true).build()?)
}
