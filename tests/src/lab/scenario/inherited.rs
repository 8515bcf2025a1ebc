//! A process has a socket open that another one bound.

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, Process, Sock, loopback,
    protocol::{
        How,
        Kind::Tcp4,
        Opt::{ReuseAddr, ReusePort},
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("inherited-descriptor", after_the_end),
    Scenario::new("inherited-after-close", after_close),
    Scenario::new("inherited-by-grandchild", by_grandchild),
    Scenario::new("inherited-beside", beside),
    Scenario::new("inherited-upgrade", upgrade),
    Scenario::new("inherited-by-itself", by_itself),
    Scenario::new("bound-after-exec", exec_before_bind),
    Scenario::new("descriptor-passed", passed),
    Scenario::new("descriptor-passed-to-child", passed_to_child),
    Scenario::root("inherited-pid-reused", pid_reused),
    Scenario::new("same-service-reloader", reloader),
    Scenario::new("same-service-stopping", stopping),
];

/// What portwatch must report of a socket that `leak` has from `server`, which has none any more.
fn leaked(
    port: std::net::SocketAddr,
    (server, alive): (&Process<'_>, bool),
    (leak, socket): (&Process<'_>, Sock),
    steps: &[&str],
) -> Blame {
    Blame::cause("inherited-descriptor")
        .also("live-listener")
        .by("listen", leak, socket, port)
        .by_way_of(server.pid(), alive, leak, steps)
        .when_late("live-listener")
        .remedy("SOCK_CLOEXEC")
        .remedy("stop pw-leak")
        .no_remedy("SO_REUSEADDR")
        .no_remedy("SO_REUSEPORT")
        .would_succeed_if("close-on-exec")
}

/// A server starts a program without closing its socket, and ends.
fn after_the_end(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut server, binder) = (lab.process("pw-server")?, lab.process("pw-binder")?);
    let listener = server.listener(Tcp4, port, &[])?;
    let leak = server.fork()?;
    leak.exec("pw-leak", &[listener], &[])?;
    server.end()?;
    lab.checkpoint()?;
    let socket = binder.socket_with(Tcp4, &[ReuseAddr(true)])?;
    let blame = leaked(port, (&server, false), (&leak, listener), &["fork", "exec"]);
    binder.bind(socket, port)?.in_use(&blame)?;
    leak.close(listener)?;
    binder.bind(socket, port)?.ok()
}

/// The server lives, and has closed its own descriptor.
fn after_close(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (server, binder) = (lab.process("pw-server")?, lab.process("pw-binder")?);
    let listener = server.listener(Tcp4, port, &[])?;
    let leak = server.fork()?;
    leak.exec("pw-leak", &[listener], &[])?;
    server.close(listener)?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = leaked(port, (&server, true), (&leak, listener), &["fork", "exec"]);
    binder.bind(socket, port)?.in_use(&blame)?;
    leak.close(listener)?;
    binder.bind(socket, port)?.ok()
}

/// A thread of the server has bound; a child of its child is left with the socket.
fn by_grandchild(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut server, binder) = (lab.process("pw-server")?, lab.process("pw-binder")?);
    let listener = server.socket(Tcp4)?;
    server.bind_by(listener, port, How::Thread)?.ok()?;
    server.listen(listener)?.ok()?;
    let leak = server.fork_twice()?;
    leak.exec("pw-leak", &[listener], &[])?;
    server.end()?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let way = ["fork", "fork", "exec"];
    let blame = leaked(port, (&server, false), (&leak, listener), &way);
    binder.bind(socket, port)?.in_use(&blame)?;
    leak.close(listener)?;
    binder.bind(socket, port)?.ok()
}

/// The server serves; that a program of its has the socket too is said beside.
fn beside(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (server, binder) = (lab.process("pw-server")?, lab.process("pw-binder")?);
    let listener = server.listener(Tcp4, port, &[])?;
    let leak = server.fork()?;
    leak.exec("pw-leak", &[listener], &[])?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener")
        .also("inherited-descriptor")
        .when_late("live-listener")
        .by("listen", &server, listener, port)
        .open_too(&leak)
        .by_way_of(server.pid(), true, &leak, &["fork", "exec"])
        .remedy("SOCK_CLOEXEC");
    binder.bind(socket, port)?.in_use(&blame)
}

/// The server has handed its socket to a new process of the same program: that is meant to be so.
fn upgrade(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut server, binder) = (lab.process("pw-server")?, lab.process("pw-binder")?);
    let listener = server.listener(Tcp4, port, &[ReusePort(true)])?;
    let heir = server.fork()?;
    heir.exec("pw-server", &[listener], &[])?;
    server.end()?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("reuseport-missing")
        .also("live-listener")
        .by("listen", &heir, listener, port)
        .by_way_of(server.pid(), false, &heir, &["fork", "exec"])
        .no_remedy("SOCK_CLOEXEC");
    binder.bind(socket, port)?.in_use(&blame)
}

/// A process has executed another program with its socket open, and binds again.
fn by_itself(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let server = lab.process("pw-server")?;
    let listener = server.listener(Tcp4, port, &[])?;
    server.exec("pw-again", &[listener], &[])?;
    lab.checkpoint()?;
    let socket = server.socket(Tcp4)?;
    let blame = Blame::cause("self-conflict")
        .also("inherited-descriptor")
        .when_late("self-conflict")
        .by("listen", &server, listener, port)
        .by_way_of(server.pid(), true, &server, &["exec"])
        .remedy("SOCK_CLOEXEC");
    server.bind(socket, port)?.in_use(&blame)
}

/// What was executed before the bind has no part in it.
fn exec_before_bind(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (server, binder) = (lab.process("pw-start")?, lab.process("pw-binder")?);
    let listener = server.socket(Tcp4)?;
    server.exec("pw-server", &[listener], &[])?;
    server.bind(listener, port)?.ok()?;
    server.listen(listener)?.ok()?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener")
        .by("listen", &server, listener, port)
        .no_remedy("SOCK_CLOEXEC");
    binder.bind(socket, port)?.in_use(&blame)
}

/// The socket was handed over in a message: nobody has inherited it.
fn passed(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut server, binder) = (lab.process("pw-server")?, lab.process("pw-binder")?);
    let other = lab.process("pw-other")?;
    let listener = server.listener(Tcp4, port, &[])?;
    let theirs = server.hand_over(listener, &other)?;
    server.end()?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener")
        .by("listen", &other, theirs, port)
        .no_remedy("SOCK_CLOEXEC");
    binder.bind(socket, port)?.in_use(&blame)?;
    other.close(theirs)?;
    binder.bind(socket, port)?.ok()
}

/// A child has lost what it inherited, and has been handed the socket since: that came by no exec.
fn passed_to_child(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut server, binder) = (lab.process("pw-server")?, lab.process("pw-binder")?);
    let listener = server.listener(Tcp4, port, &[])?;
    let child = server.fork()?;
    child.exec("pw-worker", &[], &[])?;
    let theirs = server.hand_over(listener, &child)?;
    server.end()?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener")
        .by("listen", &child, theirs, port)
        .no_remedy("SOCK_CLOEXEC");
    binder.bind(socket, port)?.in_use(&blame)
}

/// Another process has the pid of the one that bound, and nothing to do with the socket.
fn pid_reused(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut server, binder) = (lab.process("pw-server")?, lab.process("pw-binder")?);
    let listener = server.listener(Tcp4, port, &[])?;
    let leak = server.fork()?;
    leak.exec("pw-leak", &[listener], &[])?;
    server.end()?;
    let _stranger = lab.process_with_pid("pw-stranger", server.pid())?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = leaked(port, (&server, false), (&leak, listener), &["fork", "exec"])
        .no_remedy("pw-stranger");
    binder.bind(socket, port)?.in_use(&blame)
}

/// A reloader has the port; the copy of itself that it runs wants it.
fn reloader(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let parent = lab.process("pw-service")?;
    let listener = parent.listener(Tcp4, port, &[])?;
    let child = parent.fork_twice()?;
    child.exec("pw-service", &[], &[])?;
    lab.checkpoint()?;
    let socket = child.socket(Tcp4)?;
    let blame = Blame::cause("same-service")
        .by("listen", &parent, listener, port)
        .no_remedy("SOCK_CLOEXEC");
    child.bind(socket, port)?.in_use(&blame)
}

/// The old instance was asked to end, and has not yet.
fn stopping(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (old, new) = (lab.process("pw-service")?, lab.process("pw-service")?);
    let listener = old.listener(Tcp4, port, &[])?;
    old.hold_term()?;
    lab.checkpoint()?;
    new.send_term(&old)?;
    let socket = new.socket(Tcp4)?;
    let blame = Blame::cause("same-service")
        .by("listen", &old, listener, port)
        .sent("SIGTERM", &new);
    new.bind(socket, port)?.in_use(&blame)
}
