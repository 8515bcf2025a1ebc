//! What of a log is wanted.

use std::collections::HashMap;

use jiff::Timestamp;

use portwatch_core::model::{
    attempt::Attempt,
    episode::Outcome,
    record::{Body, Record},
};
use portwatch_log::{
    cli::{FilterArgs, PortRange},
    reading::Found,
};

/// Lets records through that are wanted.
///
/// `start`, `lost` and `stop` say what the others are worth: neither ports nor `--failures` leave them out, and a `start`
/// always stays.
#[derive(Debug)]
pub(super) struct Filter {
    ports: Vec<PortRange>,
    failures: bool,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// By log: a success that is only wanted if it is the end of an episode, which the next record says.
    held: HashMap<usize, Found>,
}

impl Filter {
    pub(super) fn new(args: &FilterArgs, failures: bool) -> Self {
        Self {
            ports: args.ports.clone(),
            failures,
            since: args.since,
            until: args.until,
            held: HashMap::new(),
        }
    }

    /// What is wanted of `all`.
    pub(super) fn of(&mut self, all: impl Iterator<Item = Found>) -> impl Iterator<Item = Found> {
        all.flat_map(|found| self.take(found))
    }

    fn take(&mut self, found: Found) -> impl Iterator<Item = Found> + use<> {
        let log = found.place.log;
        let held = self.held.remove(&log);
        let wanted = self.wants(&found.record);
        let ends_story = matches!(&found.record.body, Body::Episode(episode) if episode.outcome == Outcome::Bound);
        let held = held.filter(|_| wanted && ends_story);
        let mut shown = None;
        if wanted {
            if self.failures && is_success(&found.record) {
                self.held.insert(log, found);
            } else {
                shown = Some(found);
            }
        }
        held.into_iter().chain(shown)
    }

    fn wants(&self, record: &Record) -> bool {
        let frame = matches!(record.body, Body::Start(_) | Body::Lost(_) | Body::Stop(_));
        let port = self.ports.is_empty() || frame || ports(&record.body).any(|port| self.has(port));
        port && (matches!(record.body, Body::Start(_)) || self.is_in_time(record))
    }

    fn has(&self, port: u16) -> bool {
        self.ports
            .iter()
            .any(|range| (range.first..=range.last).contains(&port))
    }

    fn is_in_time(&self, record: &Record) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        record.time.parse().is_ok_and(|time: Timestamp| {
            self.since.is_none_or(|since| since <= time)
                && self.until.is_none_or(|until| time <= until)
        })
    }
}

fn is_success(record: &Record) -> bool {
    matches!(&record.body, Body::Attempt(attempt) if attempt.errno == 0)
}

/// The ports that a record is about: requested or given.
fn ports(body: &Body) -> impl Iterator<Item = u16> {
    let ports = match body {
        Body::Attempt(attempt) => {
            let Attempt {
                port, bound_port, ..
            } = **attempt;
            [port, bound_port]
        }
        Body::Port(port) => [Some(port.local.port), None],
        Body::TimeWait(time_wait) => [Some(time_wait.local.port), None],
        Body::Episode(episode) => [episode.port, None],
        Body::Start(_) | Body::Lost(_) | Body::Stop(_) => [None, None],
    };
    ports.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portwatch_core::samples;
    use portwatch_log::Place;

    fn kept(args: &FilterArgs) -> Vec<u64> {
        chosen(args, false)
    }

    fn chosen(args: &FilterArgs, failures: bool) -> Vec<u64> {
        let records = samples::all().into_iter().map(|record| Found {
            place: Place {
                log: 0,
                file: "log".into(),
                line: record.seq,
            },
            text: String::new(),
            continues: false,
            record,
        });
        let mut filter = Filter::new(args, failures);
        filter.of(records).map(|found| found.record.seq).collect()
    }

    fn times(since: &str, until: &str) -> FilterArgs {
        FilterArgs {
            since: since.parse().ok(),
            until: until.parse().ok(),
            ..FilterArgs::default()
        }
    }

    #[test]
    fn without_filters_everything_is_wanted() {
        assert_eq!(kept(&FilterArgs::default()), (1..=11).collect::<Vec<_>>());
    }

    #[test]
    fn ports_leave_the_frame() {
        let ports = |first, last| FilterArgs {
            ports: vec![PortRange { first, last }],
            ..FilterArgs::default()
        };
        assert_eq!(kept(&ports(8000, 8080)), (1..=11).collect::<Vec<_>>());
        assert_eq!(kept(&ports(8081, 9000)), [1, 10, 11]);
    }

    #[test]
    fn failures_leave_a_success_that_ends_an_episode() {
        let args = FilterArgs::default();
        assert_eq!(
            chosen(&args, true),
            (1..=11).filter(|seq| *seq != 2).collect::<Vec<_>>()
        );
        let ended = [samples::of(samples::attempt()), samples::episode()];
        let found = |record: Record| Found {
            place: Place {
                log: 0,
                file: "log".into(),
                line: 1,
            },
            text: String::new(),
            continues: false,
            record,
        };
        let mut filter = Filter::new(&args, true);
        assert_eq!(filter.of(ended.into_iter().map(found)).count(), 2);
    }

    #[test]
    fn times_are_inclusive_and_leave_the_start() {
        let at = "2026-11-21T12:03:41.118Z";
        assert_eq!(kept(&times(at, at)).len(), 11);
        assert_eq!(kept(&times("2026-11-21T12:03:41.119Z", "")), [1]);
        assert_eq!(kept(&times("", "2026-11-21T12:03:41.117Z")), [1]);
    }
}
