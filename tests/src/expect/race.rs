//! What a record may report of a failure whose holder let go at that moment.

use serde_json::{Value, json};

use super::truth::Failure;
use super::{attempt::Difference, means::abilities};

impl Difference {
    /// Checks the processes that the record names. True if it gives another allowed cause: no more is demanded then.
    pub(super) fn race(&mut self, failure: &Failure, record: &Value) -> bool {
        let Some(holder) = failure.released_by else {
            return false;
        };
        let named = named(record);
        for process in &named {
            self.same("who is named", &process["pid"], &json!(holder));
        }
        let cause = &record["verdict"]["cause"];
        if failure.cause_or.iter().any(|other| cause == other) {
            return true;
        }
        // A socket that is being closed has no inode, and without a cookie nothing leads from it to its owner.
        if named.is_empty() && abilities().gives_cookies {
            self.note("nobody is named");
        }
        false
    }
}

/// Every process that the record has beside the one that called.
fn named(record: &Value) -> Vec<&Value> {
    let blockers = record["blockers"].as_array().map_or(&[][..], Vec::as_slice);
    let owners = blockers.iter().map(|blocker| &blocker["owner"]);
    let holders = blockers
        .iter()
        .filter_map(|blocker| blocker["holders"].as_array())
        .flatten()
        .map(|holder| &holder["process"]);
    let releaser = &record["released"]["owner"];
    owners
        .chain(holders)
        .chain([releaser])
        .filter(|process| !process.is_null())
        .collect()
}
