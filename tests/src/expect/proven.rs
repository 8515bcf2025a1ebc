//! Which causes a scenario has proven: those that its truth names and portwatch told.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::truth::Expected;
use super::{strings, text};

/// For each cause that scenarios have made happen, how sure portwatch was of it at best (`exact`, `walked`, `inferred`);
/// or the id that portwatch reported in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proven(BTreeMap<String, String>);

/// The better the higher.
fn rank(word: &str) -> usize {
    let ranks = ["inferred", "walked", "exact"];
    let found = ranks.iter().position(|rank| *rank == word);
    found.map_or(0, |position| position + 1)
}

impl Proven {
    /// Adds what was proven elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (id, word) in &other.0 {
            self.add_one(id, word);
        }
    }

    fn add_one(&mut self, id: &str, word: &str) {
        let known = self.0.get(id);
        if known.is_none_or(|known| rank(known) < rank(word)) {
            self.0.insert(id.to_owned(), word.to_owned());
        }
    }

    /// Adds what the record of one attempt proves.
    pub(super) fn look(&mut self, expected: &Expected, record: &Value) {
        let Some(failure) = &expected.failure else {
            return;
        };
        let verdict = &record["verdict"];
        let told = text(&verdict["cause"]);
        // Chance decides how portwatch reports a race: only the lowest certainty can be relied on.
        let is_race = !failure.cause_or.is_empty();
        let sure = if is_race {
            "inferred".to_owned()
        } else {
            text(&verdict["confidence"])
        };
        let also = strings(&verdict["also"]);
        for cause in failure.cause.iter().chain(&failure.also) {
            let word = if *cause == told {
                &sure
            } else if also.contains(cause) {
                // It is of another socket, which the kernel need not have compared.
                if rank(&sure) > rank("walked") {
                    "walked"
                } else {
                    &sure
                }
            } else {
                &told
            };
            self.add_one(cause, word);
        }
    }

    /// Writes it to a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)?;
        fs::write(path, text).with_context(|| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Proven {
        let own = |(id, word): &(&str, &str)| ((*id).to_owned(), (*word).to_owned());
        Proven(pairs.iter().map(own).collect())
    }

    #[test]
    fn the_best_is_kept() {
        let mut proven = of(&[("time-wait", "unknown"), ("policy", "inferred")]);
        proven.add(&of(&[("time-wait", "walked"), ("listen-race", "unknown")]));
        proven.add(&of(&[("time-wait", "inferred"), ("policy", "exact")]));
        let best = [
            ("time-wait", "walked"),
            ("policy", "exact"),
            ("listen-race", "unknown"),
        ];
        assert_eq!(proven, of(&best));
    }
}
