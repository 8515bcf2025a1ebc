//! Programs that pass connections on.

use super::{
    Found, Target,
    arguments::{Argument, Syntax, fields, flag, parse},
    file_name,
};
use crate::model::{proxy::Role, socket::Address};
use crate::prelude::*;

/// A program that listens for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relay {
    /// Docker's userland proxy, one for each published port.
    DockerProxy,
    /// It always listens for others, and its arguments do not say whom.
    Silent,
    /// The network of a container without root.
    Slirp,
    /// Another one. It has the namespace open.
    Pasta,
    /// `kubectl port-forward`.
    Kubectl,
    /// A client: it listens for nobody but those whom it forwards.
    Ssh,
    /// Of a server, the process of one session.
    SshSession,
    Socat,
    /// systemd's relay, behind a socket unit.
    SocketProxyd,
    /// A relay in some other sense, or not always one.
    Other,
}

const RELAYS: &[(&str, Relay)] = &[
    ("conmon", Relay::Other),
    ("docker-proxy", Relay::DockerProxy),
    ("kubectl", Relay::Kubectl),
    ("nc", Relay::Other),
    ("ncat", Relay::Other),
    ("netcat", Relay::Other),
    ("oc", Relay::Kubectl),
    ("passt", Relay::Pasta),
    ("passt.avx2", Relay::Pasta),
    ("pasta", Relay::Pasta),
    ("pasta.avx2", Relay::Pasta),
    ("rootlesskit", Relay::Silent),
    ("rootlessport", Relay::Silent),
    ("slirp4netns", Relay::Slirp),
    ("socat", Relay::Socat),
    ("socat1", Relay::Socat),
    ("ssh", Relay::Ssh),
    ("sshd", Relay::SshSession),
    ("sshd-session", Relay::SshSession),
    ("systemd-socket-proxyd", Relay::SocketProxyd),
];

/// True for a program that serves somebody else, of whom its name says nothing.
pub(in crate::verdict) fn is_relay(name: &str) -> bool {
    RELAYS.iter().any(|(known, _)| *known == name) || name.starts_with("nc.")
}

/// `cmdline` begins with the name that the program was called by.
pub(super) fn of(name: &str, cmdline: &[String], local: Address) -> Option<Found> {
    let (called, args) = match cmdline.split_first() {
        Some((called, args)) => (called.as_str(), args),
        None => ("", &[][..]),
    };
    // Podman up to 3 executes itself by this name.
    let name = if file_name(called) == "containers-rootlessport" {
        "rootlessport"
    } else {
        name
    };
    let (_, relay) = RELAYS.iter().find(|(known, _)| *known == name)?;
    let target = match relay {
        Relay::DockerProxy => docker_proxy(args),
        Relay::Silent => None,
        Relay::Slirp => slirp(args),
        Relay::Pasta => Some(Target::Namespace { member: None }),
        Relay::Kubectl => kubectl_target(&kubectl(args)?, local.port),
        Relay::Ssh => ssh(args, local.port),
        Relay::SshSession => {
            if name == "sshd" && !is_session(called, args) {
                return None;
            }
            None
        }
        Relay::Socat => Some(socat(args, local.port)?),
        Relay::SocketProxyd => socket_proxyd(args),
        Relay::Other => return None,
    };
    Some(Found {
        role: Role::PortProxy,
        target,
    })
}

/// `cmd/docker-proxy` of moby. Newer ones get the listening socket as a descriptor, and these arguments all the same.
fn docker_proxy(args: &[String]) -> Option<Target> {
    let (host, port) = (flag(args, "container-ip")?, flag(args, "container-port")?);
    Some(Target::parse(host, port))
}

/// `slirp4netns [OPTION]... PID|PATH [TAPNAME]`. A path is one of its own mount namespace, which any user can make up.
fn slirp(args: &[String]) -> Option<Target> {
    const SYNTAX: Syntax = Syntax {
        letters: "mera",
        long: &[
            "mtu",
            "exit-fd",
            "ready-fd",
            "cidr",
            "api-socket",
            "netns-type",
            "target-type",
            "userns-path",
            "macaddress",
            "outbound-addr",
            "outbound-addr6",
        ],
    };
    let first = parse(args, &SYNTAX)
        .into_iter()
        .find_map(|argument| match argument {
            Argument::Operand(place) => Some(place),
            Argument::Option(..) => None,
        })?;
    Some(Target::Namespace {
        member: Some(first.parse().ok()?),
    })
}

/// What follows `port-forward` in `kubectl port-forward TYPE/NAME [LOCAL:]REMOTE...`; `None` for another command of it.
fn kubectl(args: &[String]) -> Option<Vec<&str>> {
    const SYNTAX: Syntax = Syntax {
        letters: "nsv",
        long: &[
            "address",
            "as",
            "as-group",
            "as-uid",
            "cache-dir",
            "certificate-authority",
            "client-certificate",
            "client-key",
            "cluster",
            "context",
            "kubeconfig",
            "kuberc",
            "log-flush-frequency",
            "namespace",
            "password",
            "pod-running-timeout",
            "profile",
            "profile-output",
            "request-timeout",
            "server",
            "tls-server-name",
            "token",
            "user",
            "username",
            "v",
            "vmodule",
        ],
    };
    let arguments = parse(args, &SYNTAX);
    let mut operands = arguments.into_iter().filter_map(|argument| match argument {
        Argument::Operand(operand) => Some(operand),
        Argument::Option(..) => None,
    });
    (operands.next() == Some("port-forward")).then(|| operands.collect())
}

fn kubectl_target(operands: &[&str], port: u16) -> Option<Target> {
    let (target, pairs) = operands.split_first()?;
    let remote = pairs.iter().find_map(|pair| {
        let (local, remote) = pair.split_once(':').unwrap_or((pair, pair));
        (local.parse() == Ok(port)).then_some(remote)
    })?;
    Some(Target::Named(format!("{target}:{remote}")))
}

/// `ssh -L [ADDRESS:]PORT:HOST:PORT`, `ssh -L [ADDRESS:]PORT:PATH`. What its configuration or `-D` forwards has no target
/// here.
fn ssh(args: &[String], port: u16) -> Option<Target> {
    const SYNTAX: Syntax = Syntax {
        letters: "BbcDEeFIiJLlmOoPpQRSWw",
        long: &[],
    };
    let mut operands = 0;
    parse(args, &SYNTAX)
        .into_iter()
        // The destination may stand between options; what follows the second operand is the command's.
        .take_while(|argument| {
            operands += usize::from(matches!(argument, Argument::Operand(_)));
            operands < 2
        })
        .find_map(|argument| match argument {
            Argument::Option("L", forward) => forwarded(forward, port),
            _ => None,
        })
}

fn forwarded(forward: &str, port: u16) -> Option<Target> {
    let is_ours = |text: &str| text.parse() == Ok(port);
    match fields(forward)[..] {
        [local, path] | [_, local, path] if path.starts_with('/') && is_ours(local) => {
            Some(Target::Named(path.to_owned()))
        }
        [local, host, remote] | [_, local, host, remote] if is_ours(local) => {
            // The far side connects, so an address is one of that side's.
            Some(Target::Named(format!("{host}:{remote}")))
        }
        _ => None,
    }
}

/// A server executes itself with `-R` for each connection, and that one gives itself a title: `sshd: USER@TTY`,
/// `sshd: USER`, `sshd: USER [priv]`. The server's own is `sshd: PATH [listener] ...`.
fn is_session(called: &str, args: &[String]) -> bool {
    match called.strip_prefix("sshd: ") {
        Some(title) => !title.contains("[listener]"),
        None => args.iter().any(|arg| arg == "-R"),
    }
}

/// `socat [OPTION]... TCP-LISTEN:PORT,... TCP:HOST:PORT,...`, in either order; `None` for anything else.
fn socat(args: &[String], port: u16) -> Option<Target> {
    let [.., first, second] = args else {
        return None;
    };
    let relays = |listener: &str, target: &str| {
        is_socat_listener(listener, port).then(|| socat_target(target))?
    };
    relays(first, second).or_else(|| relays(second, first))
}

/// An address of socat's, taken apart: its keyword in capitals, and its parameters.
fn socat_address(address: &str) -> Option<(String, Vec<&str>)> {
    let parameters = address.split(',').next()?;
    let fields = fields(parameters);
    let (keyword, rest) = fields.split_first()?;
    Some((keyword.to_ascii_uppercase(), rest.to_vec()))
}

fn is_socat_listener(address: &str, port: u16) -> bool {
    socat_address(address).is_some_and(|(keyword, parameters)| {
        let listens = ["-LISTEN", "-L", "-RECVFROM"].iter().any(|end| {
            keyword
                .strip_suffix(end)
                .is_some_and(|proto| is_socat_protocol(proto) || proto == "OPENSSL")
        });
        listens
            && parameters
                .first()
                .is_some_and(|own| own.parse() == Ok(port))
    })
}

fn socat_target(address: &str) -> Option<Target> {
    let (keyword, parameters) = socat_address(address)?;
    let proto = ["-CONNECT", "-SENDTO", "-DATAGRAM"]
        .iter()
        .find_map(|end| keyword.strip_suffix(end))
        .unwrap_or(&keyword);
    match parameters[..] {
        [host, port] if is_socat_protocol(proto) || matches!(proto, "OPENSSL" | "SSL") => {
            Some(Target::parse(host, port))
        }
        [path] if proto == "UNIX" => Some(Target::Named(path.to_owned())),
        _ => None,
    }
}

fn is_socat_protocol(text: &str) -> bool {
    matches!(
        text,
        "TCP" | "TCP4" | "TCP6" | "UDP" | "UDP4" | "UDP6" | "SCTP" | "SCTP4" | "SCTP6"
    )
}

/// `systemd-socket-proxyd [OPTION]... HOST:PORT|PATH`.
fn socket_proxyd(args: &[String]) -> Option<Target> {
    const SYNTAX: Syntax = Syntax {
        letters: "c",
        long: &["connections-max", "exit-idle-time"],
    };
    let place = parse(args, &SYNTAX)
        .into_iter()
        .find_map(|argument| match argument {
            Argument::Operand(place) => Some(place),
            Argument::Option(..) => None,
        })?;
    Some(match fields(place)[..] {
        [host, port] => Target::parse(host, port),
        _ => Target::Named(place.to_owned()),
    })
}
