//! How the socket to act on is held.

use serde_json::{Value, json};

use super::truth::Primary;
use super::{attempt::Difference, means::is_missing};

/// What portwatch sees of processes.
#[derive(Clone, Copy)]
pub(super) struct Sees {
    /// Who makes which.
    lineage: bool,
    /// Who is asked to end.
    signals: bool,
}

impl Sees {
    pub(super) fn of(log: &[Value]) -> Self {
        Self {
            lineage: !is_missing(log, "lineage"),
            signals: !is_missing(log, "signals"),
        }
    }
}

impl Difference {
    pub(super) fn holding(&mut self, expected: &Primary, blocker: &Value) {
        if self.sees.lineage {
            self.inherited(expected, &blocker["inherited"]);
        }
        // Of an owner that may be gone nothing is demanded.
        if self.sees.signals && expected.owner_alive.is_some() {
            let stopping = &blocker["owner"]["stopping"];
            let told = json!([stopping["signal"], stopping["by"]["pid"]]);
            match &expected.stopping {
                Some((signal, by)) => self.same("its signal", &told, &json!([signal, by])),
                None => self.same("its signal", stopping, &Value::Null),
            }
        }
    }

    fn inherited(&mut self, expected: &Primary, inherited: &Value) {
        // What was inherited before portwatch came has a gap.
        let expected = expected
            .inherited
            .as_ref()
            .filter(|_| !expected.before_tracing);
        let Some(expected) = expected else {
            return self.same("inherited", inherited, &Value::Null);
        };
        let steps = inherited["steps"].as_array().map_or(&[][..], Vec::as_slice);
        let how: Vec<&Value> = steps.iter().map(|step| &step["how"]).collect();
        self.same("its way", &json!(how), &json!(expected.steps));
        self.same("from", &inherited["from"]["pid"], &json!(expected.from));
        let alive = &inherited["from_alive"];
        self.same("from alive", alive, &json!(expected.from_alive));
        self.same("to", &inherited["to"]["pid"], &json!(expected.to));
        let last = steps.last().map_or(&Value::Null, |step| &step["pid"]);
        self.same("last step's pid", last, &json!(expected.to));
    }
}
