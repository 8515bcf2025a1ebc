use rstest::rstest;

use super::{
    super::samples::{lines, log, ns},
    *,
};
use crate::output::json;

#[test]
fn every_record_is_read() {
    for line in lines(&log()).lines() {
        let record = json::from_line(line).unwrap();
        let read = Line::parse(line).unwrap();
        assert_eq!(
            (read.seq, read.time),
            (record.seq, time::parse(&record.time).unwrap())
        );
    }
}

#[test]
fn what_a_failure_was_blocked_by() {
    let text = lines(&log()[4..5]);
    let line = Line::parse(&text).unwrap();
    let Body::Attempt(attempt) = line.body else {
        panic!("{:?}", line.body)
    };
    assert_eq!(line.time, ns(20));
    assert_eq!(attempt.process.read().unwrap().comm.as_str(), "node");
    let blocker = &attempt.blockers[0];
    assert_eq!(
        (blocker.state, blocker.primary, blocker.cookie),
        (State::Listen, true, Some(Number(4099)))
    );
    assert_eq!(blocker.owner.unwrap().read().unwrap().pid, 3977);
    assert_eq!(attempt.verdict.unwrap().cause, Cause::LiveListener);
}

/// In the words of the reader of whole records.
#[rstest]
#[case("", "not a record of portwatch")]
#[case("{}", "missing field `schema`")]
#[case(r#"{"schema":2,"type":"attempt"}"#, "schema 2")]
#[case(
    r#"{"schema":1,"type":"flight","seq":1,"time":"2026-11-21T12:00:00Z","boot_ns":"1"}"#,
    "unknown type"
)]
#[case(r#"{"schema":1,"type":"attempt","seq":1,"ti"#, "EOF while parsing")]
#[case(r#"{"schema":1,"type":"lost","seq":1,"time":"2026-11-21T12:00:00Z","boot_ns":"1","kind":"port","count":3,"from":"soon","to":"late"}"#, "impossible value")]
fn what_is_wrong_is_said(#[case] line: &str, #[case] expected: &str) {
    let error = Line::parse(line).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}
