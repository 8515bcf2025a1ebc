//! Judges a recorded failure again, and compares.

use crate::prelude::*;
use serde_json::Value;

use super::judge;
use crate::model::{
    attempt::Attempt,
    verdict::{Certainty, Clause},
};

/// A field that the record has otherwise than it would be judged now.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The field: `verdict.cause`, `blockers[0].clause`.
    pub path: String,
    /// What the record has; `None` if it has no such field.
    pub recorded: Option<Value>,
    /// What it would have.
    pub now: Option<Value>,
}

/// Judges the facts of an attempt as if it had not been judged, and lists what differs from the record.
#[must_use]
pub fn recheck(recorded: &Attempt) -> Vec<Difference> {
    let mut now = recorded.clone();
    unjudge(&mut now);
    judge(&mut now);
    let mut differences = Vec::new();
    if now != *recorded {
        let value = |attempt| serde_json::to_value(attempt).ok();
        compare(
            String::new(),
            value(recorded),
            value(&now),
            &mut differences,
        );
    }
    differences
}

/// Takes back what [`judge`] says, so that only facts are left. The order of the blockers stays: it decides nothing.
pub(super) fn unjudge(attempt: &mut Attempt) {
    let Some(failure) = &mut attempt.failure else {
        return;
    };
    attempt.stage = None;
    failure.verdict = None;
    for blocker in &mut failure.blockers {
        blocker.primary = false;
        blocker.conflicts = None;
        blocker.clause = Clause::Undecided;
        // The rule makes a walked one exact.
        if blocker.certainty == Certainty::Exact {
            blocker.certainty = Certainty::Walked;
        }
    }
}

fn compare(path: String, recorded: Option<Value>, now: Option<Value>, found: &mut Vec<Difference>) {
    match (recorded, now) {
        (recorded, now) if recorded == now => {}
        (Some(Value::Object(mut recorded)), Some(Value::Object(mut now))) => {
            let mut names: Vec<String> = recorded.keys().chain(now.keys()).cloned().collect();
            names.sort();
            names.dedup();
            for name in names {
                let dot = if path.is_empty() { "" } else { "." };
                let field = format!("{path}{dot}{name}");
                compare(field, recorded.remove(&name), now.remove(&name), found);
            }
        }
        (Some(Value::Array(recorded)), Some(Value::Array(now))) => {
            let length = recorded.len().max(now.len());
            let mut recorded = recorded.into_iter();
            let mut now = now.into_iter();
            for position in 0..length {
                let item = format!("{path}[{position}]");
                compare(item, recorded.next(), now.next(), found);
            }
        }
        (recorded, now) => found.push(Difference {
            path,
            recorded,
            now,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        model::verdict::Cause,
        verdict::testing::{bind, listener},
    };

    fn judged() -> Attempt {
        let blockers = [
            listener("0.0.0.0", 8080, &[]),
            listener("127.0.0.1", 8080, &[]),
        ];
        bind("0.0.0.0", 8080, &[]).blocked_by(blockers).judged()
    }

    #[test]
    fn what_was_judged_is_judged_again_alike() {
        assert_eq!(recheck(&judged()), []);
        let mut success = judged();
        success.failure = None;
        assert_eq!(recheck(&success), []);
    }

    #[test]
    fn every_field_that_differs_is_listed() {
        let mut attempt = judged();
        let failure = attempt.failure.as_mut().unwrap();
        failure.blockers[1].clause = Clause::UsersDiffer;
        failure.blockers[0].primary = false;
        let verdict = failure.verdict.as_mut().unwrap();
        verdict.cause = Cause::TimeWait;
        verdict.also.push(Cause::Policy);
        attempt.stage = None;
        let found = recheck(&attempt);
        let paths: Vec<&str> = found
            .iter()
            .map(|difference| difference.path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "blockers[0].primary",
                "blockers[1].clause",
                "stage",
                "verdict.also[1]",
                "verdict.cause"
            ]
        );
        assert_eq!(found[3].recorded, Some(json!("policy")));
        assert_eq!(found[3].now, None);
        assert_eq!(found[4].recorded, Some(json!("time-wait")));
        assert_eq!(found[4].now, Some(json!("live-listener")));
    }

    #[test]
    fn a_fact_that_was_changed_changes_the_verdict() {
        let mut attempt = judged();
        attempt.failure.as_mut().unwrap().blockers.clear();
        assert_ne!(recheck(&attempt), []);
    }
}
