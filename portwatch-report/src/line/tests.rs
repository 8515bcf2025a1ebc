use rstest::rstest;

use super::{
    super::samples::{lines, log, ns},
    *,
};
use portwatch_log::json;

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

#[rstest]
#[case("")]
#[case("{}")]
#[case(r#"{"schema":2,"type":"stop","seq":1,"time":"2026-11-21T12:00:00Z"}"#)]
#[case(r#"{"schema":1,"type":"flight","seq":1,"time":"2026-11-21T12:00:00Z","boot_ns":"1"}"#)]
#[case(r#"{"schema":1,"type":"attempt","seq":1,"ti"#)]
#[case(r#"{"schema":1,"type":"attem"#)]
#[case(r#"{"schema":1,"type":"lost","seq":1,"time":"2026-11-21T12:00:00Z","boot_ns":"1","kind":"port","count":3,"from":"soon","to":"late"}"#)]
fn what_is_no_record_is_not_read(#[case] line: &str) {
    assert_eq!(Line::parse(line), None);
}

/// As other tools write what they read: fields in another order, and spaces between them.
#[test]
fn what_other_tools_have_written_is_read() {
    for line in lines(&log()).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let sorted: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_value(value).unwrap();
        let pretty = serde_json::to_string_pretty(&sorted).unwrap();
        assert!(!pretty.starts_with(r#"{"schema":1"#));
        let read = Line::parse(&pretty).unwrap();
        let own = Line::parse(line).unwrap();
        assert_eq!((read.seq, read.time), (own.seq, own.time));
        assert_eq!(
            std::mem::discriminant(&read.body),
            std::mem::discriminant(&own.body)
        );
    }
}
