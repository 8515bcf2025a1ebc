use super::*;
use portwatch_core::{
    model::{
        keeper::{Keeper, KeeperHow},
        process::Holder,
        socket::Proto,
        unix::{FileKind, UnixName, UnixSocket},
    },
    verdict::{
        judge,
        testing::{bind, listener, process},
    },
};

fn holder(pid: u32) -> Holder {
    Holder {
        process: process("nginx", pid),
        fd: 5,
    }
}

#[test]
fn who_has_a_socket_file_is_shown_once_for_each_socket() {
    let mut attempt = Attempt {
        proto: Proto::Unix,
        addr: Some("/run/a b".to_owned()),
        port: None,
        ..bind("", 0, &[])
    };
    attempt.failure.as_mut().unwrap().unix = Some(UnixName {
        is_abstract: false,
        file: Some(FileKind::Socket),
        served: Some(true),
        sockets: vec![UnixSocket {
            listening: true,
            inode: 7,
            holders: vec![holder(12), holder(13)],
        }],
    });
    judge(&mut attempt);
    let text = shown(attempt);
    assert!(
        facts(&text).starts_with(
            "  held by  nginx[12]  LISTEN \"/run/a b\"  fd 5\n  open in  nginx[13] fd 5\n  cause    unix-path: "
        ),
        "{text}"
    );
}

#[test]
fn what_keeps_a_socket_is_shown_under_whose_it_was() {
    let line = |kept: Keeper| {
        let mut attempt = bind("0.0.0.0", 8080, &[]).blocked_by([Blocker {
            holders: Vec::new(),
            kept_by: Some(Box::new(kept)),
            ..listener("0.0.0.0", 8080, &[])
        }]);
        judge(&mut attempt);
        let text = shown(attempt);
        let line = text.lines().find(|line| line.starts_with("  kept by"));
        line.map(str::to_owned).unwrap_or(text)
    };
    let kept = |how| Keeper {
        how,
        process: process("wor\nker", 55),
        tid: None,
        fd: Some(6),
        call: None,
        sender: None,
        shared: false,
    };
    let message = Keeper {
        sender: Some(process("sender", 9)),
        shared: true,
        ..kept(KeeperHow::Message)
    };
    assert_eq!(
        line(message),
        "  kept by  \"wor\\nker\"[55]  a message not received on fd 6, sent by sender[9], and not it alone"
    );
    let call = Keeper {
        tid: Some(57),
        call: Some("accept4".to_owned()),
        ..kept(KeeperHow::Call)
    };
    assert_eq!(
        line(call),
        "  kept by  \"wor\\nker\"[55]  accept4() of thread 57, on what was fd 6"
    );
    assert_eq!(
        line(kept(KeeperHow::IoUring)),
        "  kept by  \"wor\\nker\"[55]  io_uring, fd 6"
    );
}
