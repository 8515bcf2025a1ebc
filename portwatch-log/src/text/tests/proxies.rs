//! Sockets that are held for others, and namespaces that are not the host's own.

use insta::assert_snapshot;
use rstest::rstest;

use super::*;
use portwatch_core::model::{
    proxy::{Proxy, Role},
    record::Body,
};
use portwatch_core::samples::{attempt, container, listener};

fn held_for(behalf: Proxy) -> String {
    let listener = Blocker {
        on_behalf_of: Some(Box::new(behalf)),
        ..listener()
    };
    let text = facts(&blocked_by(vec![listener]));
    text.lines()
        .filter(|line| line.starts_with("  for"))
        .collect()
}

#[test]
fn whom_a_socket_is_held_for_has_a_line() {
    let none = Proxy {
        role: Role::PortProxy,
        target: None,
        container: None,
        unit: None,
    };
    assert_eq!(held_for(none.clone()), "");
    let unit = Proxy {
        unit: Some("web.socket".to_owned()),
        role: Role::ServiceManager,
        ..none.clone()
    };
    assert_snapshot!(held_for(unit), @"  for      web.socket");
    let proxy = Proxy {
        container: Some(container("docker")),
        target: Some("172.17.0.2:80".to_owned()),
        ..none.clone()
    };
    assert_snapshot!(held_for(proxy), @"  for      docker:4f2a6d1b9c3e -> 172.17.0.2:80");
    let hostile = Proxy {
        target: Some("a\u{1b}[2J:80".to_owned()),
        ..none
    };
    assert_snapshot!(held_for(hostile), @r#"  for      -> "a\x1b[2J:80""#);
}

#[rstest]
#[case::own(Some(1), 1, None, "ok")]
#[case::own_by_name(Some(1), 1, Some("host"), "ok")]
#[case::another(Some(1), 2, None, "ok  (netns 2)")]
#[case::by_name(Some(1), 2, Some("blue"), "ok  (netns blue)")]
#[case::hostile(Some(1), 2, Some("a\nb"), r#"ok  (netns "a\nb")"#)]
#[case::of_an_older_log(None, 2, None, "ok")]
fn another_namespace_is_shown(
    #[case] host: Option<u32>,
    #[case] netns: u32,
    #[case] name: Option<&str>,
    #[case] end: &str,
) {
    let mut start = samples::start();
    if let Body::Start(start) = &mut start.body {
        start.netns = host;
    }
    let attempt = Attempt {
        netns: Some(netns),
        netns_name: name.map(str::to_owned),
        ..attempt()
    };
    let shown = whole(Theme::plain(), &[start, samples::of(attempt)]);
    let line = shown.lines().last().unwrap();
    assert!(line.ends_with(&format!("  {end}")), "{line}");
}
