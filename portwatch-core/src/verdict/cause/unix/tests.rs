use crate::prelude::*;
use crate::words::errno;
use rstest::rstest;

use crate::{
    model::{
        attempt::{Attempt, Stage},
        process::{Holder, Process},
        socket::Proto,
        unix::{FileKind, UnixName, UnixSocket},
        verdict::{Cause, Certainty},
    },
    verdict::testing::{bind, process},
};

const PATH: &str = "/run/app.sock";

fn refused(addr: &str, found: UnixName) -> Attempt {
    let mut attempt = Attempt {
        proto: Proto::Unix,
        addr: Some(addr.to_owned()),
        port: None,
        ..bind("", 0, &[])
    };
    attempt.failure.as_mut().unwrap().unix = Some(found);
    attempt.judged()
}

fn name(file: Option<FileKind>, served: Option<bool>, holders: &[Process]) -> UnixName {
    let holder = |process: &Process| Holder {
        process: process.clone(),
        fd: 5,
    };
    UnixName {
        is_abstract: false,
        file,
        served,
        sockets: (!holders.is_empty())
            .then(|| UnixSocket {
                listening: true,
                inode: 77,
                holders: holders.iter().map(holder).collect(),
            })
            .into_iter()
            .collect(),
    }
}

fn of_path(file: Option<FileKind>, served: Option<bool>) -> Attempt {
    refused(PATH, name(file, served, &[]))
}

fn of_abstract(served: Option<bool>, holders: &[Process]) -> Attempt {
    let found = UnixName {
        is_abstract: true,
        ..name(None, served, holders)
    };
    refused("@app", found)
}

#[test]
fn a_file_that_nobody_serves_is_to_be_removed() {
    let attempt = of_path(Some(FileKind::Socket), Some(false));
    let verdict = attempt.verdict();
    assert_eq!(verdict.cause, Cause::UnixPath);
    assert_eq!(verdict.confidence, Certainty::Walked);
    assert_eq!(attempt.stage, Some(Stage::Protocol));
    assert!(verdict.summary.contains("left behind"), "{verdict:?}");
    assert_eq!(
        verdict.would_succeed_if,
        ["/run/app.sock had been removed before this call"]
    );
}

#[test]
fn the_file_of_a_server_that_lives_is_not_just_removed() {
    let server = process("nginx", 12);
    let attempt = refused(
        PATH,
        name(
            Some(FileKind::Socket),
            Some(true),
            &[server.clone(), server],
        ),
    );
    let verdict = attempt.verdict();
    assert_eq!(
        verdict.summary,
        "a listening socket of nginx[12] is bound to /run/app.sock"
    );
    let [remedy] = &verdict.remedies[..] else {
        panic!("{verdict:?}")
    };
    assert!(remedy.starts_with("stop nginx[12], and remove"), "{remedy}");
    assert!(remedy.contains("would leave nginx[12] running"), "{remedy}");
    assert_eq!(
        verdict.would_succeed_if,
        ["nginx[12] had ended and /run/app.sock had been removed before this call"]
    );
}

/// What cannot be seen is not said.
#[rstest]
#[case::of_whom(Some(FileKind::Socket), None, Certainty::Walked, "is not known")]
#[case::what(None, None, Certainty::Inferred, "could not be seen")]
#[case::gone(Some(FileKind::Missing), None, Certainty::Walked, "none any more")]
#[case::other(Some(FileKind::Other), None, Certainty::Walked, "no socket file")]
fn nobody_is_named_that_was_not_found(
    #[case] file: Option<FileKind>,
    #[case] served: Option<bool>,
    #[case] confidence: Certainty,
    #[case] words: &str,
) {
    let attempt = of_path(file, served);
    let verdict = attempt.verdict();
    assert_eq!(
        (verdict.cause, verdict.confidence),
        (Cause::UnixPath, confidence)
    );
    assert!(verdict.summary.contains(words), "{}", verdict.summary);
    let stops = |text: &String| text.contains("stop");
    assert!(!verdict.remedies.iter().any(stops), "{verdict:?}");
    let gone = file == Some(FileKind::Missing);
    assert_eq!(verdict.would_succeed_if.is_empty(), gone, "{verdict:?}");
}

#[test]
fn an_abstract_name_has_no_file_to_remove() {
    let attempt = of_abstract(Some(true), &[process("dbus", 3)]);
    let verdict = attempt.verdict();
    assert_eq!(verdict.cause, Cause::UnixAbstract);
    assert_eq!(
        verdict.summary,
        "a listening socket of dbus[3] has the abstract name @app"
    );
    let texts = verdict.remedies.iter().chain(&verdict.would_succeed_if);
    assert!(
        !texts.clone().any(|text| text.contains("remove")),
        "{verdict:?}"
    );
    assert!(
        texts.clone().any(|text| text.contains("stop dbus[3]")),
        "{verdict:?}"
    );
}

#[rstest]
#[case(Some(false))]
#[case(None)]
#[case::without_a_descriptor(Some(true))]
fn an_abstract_name_of_nobody_in_sight_is_not_sure(#[case] served: Option<bool>) {
    let attempt = of_abstract(served, &[]);
    let verdict = attempt.verdict();
    assert_eq!(verdict.confidence, Certainty::Inferred);
    assert!(verdict.would_succeed_if.is_empty(), "{verdict:?}");
}

#[test]
fn the_caller_is_not_told_to_stop_itself() {
    let caller = process("node", 4182);
    for attempt in [
        of_abstract(Some(true), core::slice::from_ref(&caller)),
        refused(
            PATH,
            name(
                Some(FileKind::Socket),
                Some(true),
                core::slice::from_ref(&caller),
            ),
        ),
    ] {
        let verdict = attempt.verdict();
        assert_eq!(verdict.also, [Cause::SelfConflict]);
        assert!(
            verdict
                .summary
                .contains("itself (fd 5; this attempt was on fd 7)")
        );
        let texts = verdict.remedies.iter().chain(&verdict.would_succeed_if);
        assert!(
            !texts.clone().any(|text| text.contains("stop")),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_caller_that_shares_the_socket_is_not_stopped_either() {
    let both = [process("node", 12), process("node", 4182)];
    let attempt = refused(PATH, name(Some(FileKind::Socket), Some(true), &both));
    let verdict = attempt.verdict();
    assert!(verdict.also.contains(&Cause::SelfConflict), "{verdict:?}");
    assert!(!verdict.remedies[0].contains("stop"), "{verdict:?}");
    assert!(verdict.would_succeed_if[0].starts_with("node[12] and node[4182] had closed"));
}

#[test]
fn another_instance_of_the_service_is_named_as_such() {
    let of = |pid| Process {
        unit: Some("app.service".to_owned()),
        ..process("node", pid)
    };
    let found = name(Some(FileKind::Socket), Some(true), &[of(12)]);
    let mut attempt = refused(PATH, found);
    attempt.process = of(4182);
    let attempt = attempt.judged();
    assert_eq!(attempt.verdict().also, [Cause::SameService]);
    assert!(
        attempt
            .verdict()
            .summary
            .contains("instance of the same service")
    );
}

#[test]
fn names_of_others_are_made_harmless() {
    let attempt = refused(
        "/tmp/a\u{1b}[2J\nb",
        name(Some(FileKind::Socket), Some(true), &[process("x\ny", 3)]),
    );
    let verdict = attempt.verdict();
    let texts = verdict.remedies.iter().chain(&verdict.would_succeed_if);
    for text in texts.chain([&verdict.summary]) {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

#[test]
fn other_errors_and_records_without_the_facts_have_no_verdict() {
    let mut attempt = of_path(Some(FileKind::Socket), Some(false));
    attempt.errno = errno::ENOENT.cast_unsigned();
    assert_eq!(attempt.judged().failure.unwrap().verdict, None);
    let mut attempt = of_path(Some(FileKind::Socket), Some(false));
    attempt.failure.as_mut().unwrap().unix = None;
    assert_eq!(attempt.judged().failure.unwrap().verdict, None);
}
