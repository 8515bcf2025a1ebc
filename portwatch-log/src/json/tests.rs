use proptest::{collection::vec, option, prelude::*};
use rstest::rstest;

use super::*;
use portwatch_core::model::{
    attempt::Attempt,
    port::Port,
    process::{Container, Process},
    time_wait::{Reason, TimeWait},
};
use portwatch_core::samples;

fn line(record: &Record) -> String {
    let mut out = Vec::new();
    to_line(record, &mut out);
    String::from_utf8(out).unwrap()
}

fn named(comm: &str) -> Record {
    let process = Process {
        comm: comm.to_owned(),
        ..samples::process("x", 7)
    };
    samples::of(Attempt {
        process,
        ..samples::attempt()
    })
}

#[test]
fn fields_come_in_the_documented_order() {
    insta::assert_snapshot!(line(&samples::of(samples::attempt())), @r#"{"schema":1,"type":"attempt","seq":2,"time":"2026-11-21T12:03:41.118000000Z","boot_ns":"300000000000000","op":"bind","result":"ok","errno":0,"stage":null,"proto":"tcp","addr":"0.0.0.0","port":8080,"bound_port":8080,"netns":4026531840,"netns_cookie":null,"netns_name":null,"device":null,"options":["SO_REUSEADDR"],"process":{"pid":4182,"ns_pid":null,"tid":4182,"ppid":1,"comm":"node","exe":"/usr/bin/node","cmdline":null,"uid":1000,"user":"app","start_boot_ns":"26400000000000","cgroup":"/system.slice/node.service","unit":"node.service","container":null,"netns":4026531840},"socket":{"fd":18,"inode":88213,"cookie":"4098"},"facts":{"began_boot_ns":"299999999979000","socket_uid":1000,"device_index":0,"already_bound":false,"port_range":[32768,60999],"port_reserved":false,"unprivileged_port_start":1024,"cap_net_bind_service":false,"io_uring":false,"entry_unseen":false,"address_read_late":false,"began_while_tracing":false,"kernel":false,"compat":false,"addrlen":null,"stages":null}}"#);
    insta::assert_snapshot!(line(&samples::lost("attempt")), @r#"{"schema":1,"type":"lost","seq":7,"time":"2026-11-21T12:03:41.118000000Z","boot_ns":"300000000000000","kind":"attempt","count":37,"from":"2026-11-21T12:03:39.000000000Z","to":"2026-11-21T12:03:41.000000000Z"}"#);
}

#[test]
fn fields_of_ports_and_time_waits_come_in_the_documented_order() {
    insta::assert_snapshot!(line(&samples::of_port(samples::released())), @r#"{"schema":1,"type":"port","seq":4,"time":"2026-11-21T12:03:41.118000000Z","boot_ns":"300000000000000","action":"released","proto":"tcp","local":{"addr":"127.0.0.1","port":8080},"remote":{"addr":"127.0.0.1","port":40000},"netns":4026531840,"how":null,"owner":{"pid":3977,"ns_pid":null,"tid":null,"ppid":1,"comm":"python3","exe":"/usr/bin/python3","cmdline":null,"uid":1000,"user":"app","start_boot_ns":"26400000000000","cgroup":"/system.slice/python3.service","unit":"python3.service","container":null,"netns":4026531840,"alive":true,"source":"observed","stopping":null},"since":null,"reason":"time_wait","cookie":"4100","inferred":false}"#);
    insta::assert_snapshot!(line(&samples::of_time_wait(samples::entered())), @r#"{"schema":1,"type":"time_wait","seq":5,"time":"2026-11-21T12:03:41.118000000Z","boot_ns":"300000000000000","action":"enter","local":{"addr":"127.0.0.1","port":8080},"remote":{"addr":"127.0.0.1","port":40000},"netns":4026531840,"substate":"time_wait","expires_in_ms":60000,"lasted_ms":null,"owner":{"pid":3977,"ns_pid":null,"tid":null,"ppid":1,"comm":"python3","exe":"/usr/bin/python3","cmdline":null,"uid":1000,"user":"app","start_boot_ns":"26400000000000","cgroup":"/system.slice/python3.service","unit":"python3.service","container":null,"netns":4026531840,"alive":false,"source":"observed","stopping":null},"reason":null,"reused_by":null,"cookie":"4100","inferred":false}"#);
    insta::assert_snapshot!(line(&samples::of_time_wait(samples::left(Some(Reason::Expired)))), @r#"{"schema":1,"type":"time_wait","seq":5,"time":"2026-11-21T12:03:41.118000000Z","boot_ns":"300000000000000","action":"leave","local":{"addr":"127.0.0.1","port":8080},"remote":{"addr":"127.0.0.1","port":40000},"netns":4026531840,"substate":"time_wait","expires_in_ms":null,"lasted_ms":60512,"owner":{"pid":3977,"ns_pid":null,"tid":null,"ppid":1,"comm":"python3","exe":"/usr/bin/python3","cmdline":null,"uid":1000,"user":"app","start_boot_ns":"26400000000000","cgroup":"/system.slice/python3.service","unit":"python3.service","container":null,"netns":4026531840,"alive":false,"source":"observed","stopping":null},"reason":"expired","reused_by":null,"cookie":"4100","inferred":false}"#);
}

#[rstest]
#[case(samples::start())]
#[case(samples::of(samples::attempt()))]
#[case(samples::of(samples::conflict(vec![samples::listener(), samples::time_wait()], Some(samples::verdict()))))]
#[case(samples::of(samples::refused("ENOTSOCK", 88, None)))]
#[case(samples::of_port(samples::taken()))]
#[case(samples::of_port(samples::released()))]
#[case(samples::of_time_wait(samples::entered()))]
#[case(samples::of_time_wait(samples::left(None)))]
#[case(samples::of_ended(samples::ended_episode()))]
#[case(samples::lost("output"))]
#[case(samples::stop())]
fn a_record_reads_back_as_it_was(#[case] record: Record) {
    let line = line(&record);
    assert_eq!(line.find('\n'), Some(line.len() - 1), "one line");
    assert_eq!(from_line(&line).unwrap(), record);
    assert_eq!(from_line(line.trim_end()).unwrap(), record);
}

#[test]
fn lines_are_appended() {
    let mut out = b"before\n".to_vec();
    to_line(&samples::stop(), &mut out);
    to_line(&samples::stop(), &mut out);
    assert_eq!(String::from_utf8_lossy(&out).lines().count(), 3);
    assert!(out.starts_with(b"before\n{"));
}

#[rstest]
#[case("\x1b]0;x\x07\n", r#""comm":"\u001b]0;x\u0007\n""#)]
#[case("\u{7f}\u{9b}", r#""comm":"\u007f\u009b""#)]
#[case("a\u{202e}b\u{2028}", r#""comm":"a\u202eb\u2028""#)]
#[case("\u{e0041}", r#""comm":"\udb40\udc41""#)]
#[case("Käse 東京", r#""comm":"Käse 東京""#)]
#[case("\"\\", r#""comm":"\"\\""#)]
fn characters_that_attack_a_terminal_are_escaped(#[case] comm: &str, #[case] expected: &str) {
    let record = named(comm);
    let line = line(&record);
    assert!(line.contains(expected), "{line}");
    assert_eq!(from_line(&line).unwrap(), record);
}

#[test]
fn another_schema_is_refused_before_anything_else_is_read() {
    let error = from_line(r#"{"schema":2,"type":"attempt","new":true}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the record has schema 2, this version of portwatch reads schema 1"
    );
}

#[test]
fn an_unknown_type_can_be_told_from_a_broken_line() {
    let line = line(&samples::stop()).replace(r#""type":"stop""#, r#""type":"tide""#);
    assert!(matches!(from_line(&line), Err(LineError::Type { found }) if found == "tide"));
}

#[test]
fn unknown_fields_are_skipped() {
    let line = line(&samples::stop()).replace(r#""seen":"#, r#""later":[1],"seen":"#);
    assert_eq!(from_line(&line).unwrap(), samples::stop());
}

#[test]
fn a_broken_failure_is_an_error_and_not_a_success() {
    let conflict = samples::conflict(vec![samples::listener()], None);
    let line = line(&samples::of(conflict)).replace(r#""state":"listen""#, r#""state":"lisp""#);
    let error = from_line(&line).unwrap_err().to_string();
    assert!(error.contains("unknown variant `lisp`"), "{error}");
}

#[test]
fn a_line_that_is_cut_anywhere_is_an_error() {
    let conflict = samples::conflict(vec![samples::listener()], Some(samples::verdict()));
    let whole = line(&samples::of(conflict));
    let whole = whole.trim_end();
    for end in 0..whole.len() {
        if let Some(part) = whole.get(..end) {
            assert!(
                matches!(from_line(part), Err(LineError::Malformed(_))),
                "{part}"
            );
        }
    }
}

#[test]
fn the_documentation_shows_lines_of_this_version() {
    let text = include_str!("../../../docs/records.md");
    let mut types = std::collections::HashSet::new();
    for example in text.lines().filter(|line| line.starts_with("{\"schema\"")) {
        let record = from_line(example).unwrap();
        types.insert(std::mem::discriminant(&record.body));
        assert_eq!(line(&record).trim_end(), example);
    }
    assert_eq!(types.len(), 7, "an example of every type");
}

prop_compose! {
    fn container()(id: String, runtime: Option<String>, pod: Option<String>) -> Container {
        Container { id, runtime, pod }
    }
}

prop_compose! {
    fn process()(
        pid: u32,
        comm: String,
        exe: Option<String>,
        cmdline in option::of(vec(any::<String>(), 0..4)),
        start: Option<u64>,
        container in option::of(container()),
    ) -> Process {
        let start_boot_ns = start.map(Big);
        Process { pid, comm, exe, cmdline, start_boot_ns, container, ..Process::default() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_and_number_reads_back(
        seq: u64,
        boot_ns: u64,
        addr: Option<String>,
        process in process(),
        cookie: Option<u64>,
        expires_in_ms: Option<u64>,
        summary: String,
    ) {
        let mut blocker = samples::time_wait();
        blocker.expires_in_ms = expires_in_ms;
        blocker.cookie = cookie.map(Big);
        if let Some(owner) = &mut blocker.owner {
            owner.process = process.clone();
        }
        let verdict = portwatch_core::model::verdict::Verdict { summary, ..samples::verdict() };
        let attempt = Attempt { addr, process, ..samples::conflict(vec![blocker], Some(verdict)) };
        let record = Record { seq, boot_ns: Big(boot_ns), ..samples::of(attempt) };
        let line = line(&record);
        prop_assert!(!line.trim_end_matches('\n').contains(is_unsafe));
        prop_assert_eq!(from_line(&line).unwrap(), record);
    }

    #[test]
    fn any_port_and_time_wait_reads_back(
        process in process(),
        cookie: Option<u64>,
        expires_in_ms: Option<u64>,
        lasted_ms: Option<u64>,
        inferred: bool,
    ) {
        let cookie = cookie.map(Big);
        let mut port = Port { cookie, inferred, ..samples::released() };
        let mut time_wait = TimeWait {
            expires_in_ms,
            lasted_ms,
            cookie,
            inferred,
            ..samples::left(Some(Reason::Killed))
        };
        for owner in [&mut port.owner, &mut time_wait.owner].into_iter().flatten() {
            owner.process = process.clone();
        }
        for record in [samples::of_port(port), samples::of_time_wait(time_wait)] {
            let line = line(&record);
            prop_assert!(!line.trim_end_matches('\n').contains(is_unsafe));
            prop_assert_eq!(from_line(&line).unwrap(), record);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text: String) {
        let _ = from_line(&text);
    }
}
