use crate::prelude::*;
use rstest::rstest;

use super::*;
use crate::{
    model::{
        attempt::Attempt,
        process::{Container, Holder},
        proxy::Proxy,
        socket::Proto,
        verdict::{Cause, Verdict},
    },
    verdict::testing::{bind, listener, process},
};

/// A process with this executable and these arguments, separated by spaces.
fn running(pid: u32, exe: &str, cmdline: &str) -> Process {
    Process {
        exe: Some(exe.to_owned()),
        cmdline: Some(cmdline.split(' ').map(str::to_owned).collect()),
        ..process(&file_name(exe)[..file_name(exe).len().min(15)], pid)
    }
}

fn at(port: u16) -> Address {
    Address {
        addr: "0.0.0.0".parse().unwrap(),
        port,
    }
}

#[rstest]
#[case(1, "/usr/lib/systemd/systemd", "/sbin/init")]
#[case(900, "/usr/lib/systemd/systemd", "/lib/systemd/systemd --user")]
#[case(900, "/usr/lib/systemd/systemd (deleted)", "/sbin/init")]
#[case(
    900,
    "/usr/bin/systemd-socket-activate",
    "systemd-socket-activate -l 8080 cat"
)]
#[case(900, "/usr/sbin/xinetd", "xinetd -stayalive")]
fn service_managers_are_known(#[case] pid: u32, #[case] exe: &str, #[case] cmdline: &str) {
    let found = of(&running(pid, exe, cmdline), at(8080)).unwrap();
    assert_eq!((found.role, found.target), (Role::ServiceManager, None));
}

#[test]
fn the_first_process_is_known_by_its_name_alone() {
    assert!(of(&process("systemd", 1), at(80)).is_some());
    assert!(of(&process("systemd", 2), at(80)).is_none());
    assert!(of(&process("", 1), at(80)).is_none());
}

#[rstest]
#[case::docker(
    "docker-proxy",
    "/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80",
    Some("172.17.0.2:80")
)]
#[case::docker_with_descriptor(
    "docker-proxy",
    "/usr/bin/docker-proxy -proto tcp -host-ip :: -host-port 8080 -container-ip fd00::2 -container-port 80 \
     -use-listen-fd",
    Some("[fd00::2]:80")
)]
#[case::docker_joined(
    "docker-proxy",
    "docker-proxy --container-ip=172.17.0.2 --container-port=80",
    Some("172.17.0.2:80")
)]
#[case::docker_without_arguments("docker-proxy", "docker-proxy", None)]
#[case::rootless("rootlessport", "rootlessport", None)]
#[case::rootless_of_podman_3("podman", "containers-rootlessport", None)]
#[case::rootlesskit(
    "rootlesskit",
    "rootlesskit --net=slirp4netns dockerd-rootless.sh",
    None
)]
#[case::pasta("pasta.avx2", "pasta --config-net -t 8080-8080:80-80", None)]
#[case::kubectl("kubectl", "kubectl port-forward svc/web 8080:80", Some("svc/web:80"))]
#[case::kubectl_with_options(
    "kubectl",
    "kubectl -n prod --context=x port-forward --address 0.0.0.0 pod/a 9000:9 8080:http",
    Some("pod/a:http")
)]
#[case::kubectl_same_port("kubectl", "kubectl port-forward web 8080", Some("web:8080"))]
#[case::kubectl_any_port("kubectl", "kubectl port-forward web :80", None)]
#[case::ssh(
    "ssh",
    "ssh -N -L 8080:db.example:5432 bastion",
    Some("db.example:5432")
)]
#[case::ssh_group(
    "ssh",
    "ssh -fNL 127.0.0.1:8080:db:5432 -o X=y user@bastion",
    Some("db:5432")
)]
#[case::ssh_attached("ssh", "ssh -L8080:[fd00::1]:80 bastion", Some("[fd00::1]:80"))]
#[case::ssh_brackets("ssh", "ssh -L [::1]:8080:db:80 bastion", Some("db:80"))]
#[case::ssh_socket("ssh", "ssh -L 8080:/run/db.sock bastion", Some("/run/db.sock"))]
#[case::ssh_behind("ssh", "ssh bastion -L 8080:db:80", Some("db:80"))]
#[case::ssh_of_the_command("ssh", "ssh bastion nc -L 8080:db:80", None)]
#[case::ssh_other_port("ssh", "ssh -L 8081:db:80 bastion", None)]
#[case::ssh_socks("ssh", "ssh -D 8080 bastion", None)]
#[case::ssh_value_of_an_option("ssh", "ssh -o -L8080:db:80 bastion", None)]
#[case::ssh_connection("sshd", "/usr/sbin/sshd -D -R", None)]
#[case::socat(
    "socat",
    "socat TCP-LISTEN:8080,fork,reuseaddr TCP:10.0.0.5:80",
    Some("10.0.0.5:80")
)]
#[case::socat_lower(
    "socat1",
    "socat -d -d tcp4-l:8080,fork tcp4-connect:db:5432,retry=3",
    Some("db:5432")
)]
#[case::socat_turned(
    "socat",
    "socat TCP6:[fd00::1]:80 TCP6-LISTEN:8080",
    Some("[fd00::1]:80")
)]
#[case::socat_unix(
    "socat",
    "socat TCP-LISTEN:8080 UNIX-CONNECT:/run/docker.sock",
    Some("/run/docker.sock")
)]
#[case::proxyd(
    "systemd-socket-proxyd",
    "systemd-socket-proxyd --exit-idle-time 5s 10.0.0.5:80",
    Some("10.0.0.5:80")
)]
fn relays_are_known(#[case] exe: &str, #[case] cmdline: &str, #[case] target: Option<&str>) {
    let cmdline = cmdline
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>();
    let found = of(
        &running(900, &format!("/usr/bin/{exe}"), &cmdline.join(" ")),
        at(8080),
    )
    .unwrap();
    assert_eq!(found.role, Role::PortProxy);
    let text = found.target.and_then(|target| target.text());
    assert_eq!(text.as_deref(), target);
}

#[rstest]
#[case("slirp4netns --mtu=65520 -c -e 3 -r 4 4711 tap0", Some(4711))]
#[case(
    "slirp4netns --disable-host-loopback --mtu 65520 --api-socket /tmp/a.sock 4711 tap0",
    Some(4711)
)]
#[case("slirp4netns -c --netns-type=path /run/user/1000/netns/x tap0", None)]
fn a_member_of_the_namespace_is_found(#[case] cmdline: &str, #[case] member: Option<u32>) {
    let found = of(&running(900, "/usr/bin/slirp4netns", cmdline), at(8080)).unwrap();
    let expected = member.map(|member| Target::Namespace {
        member: Some(member),
    });
    assert_eq!(found.target, expected);
}

#[rstest]
#[case("java", "java -jar docker-proxy")]
#[case("podman", "podman system service")]
#[case("kubectl", "kubectl get pods port-forward 8080")]
#[case("kubectl", "kubectl proxy --port=8080")]
#[case("sshd", "/usr/sbin/sshd -D")]
#[case("socat", "socat TCP-LISTEN:8080 EXEC:/bin/cat")]
#[case("socat", "socat TCP-LISTEN:8081 TCP:a:80")]
#[case("socat", "socat TCP-LISTEN:http TCP:a:80")]
#[case("socat", "socat -V")]
#[case("ncat", "ncat -l 8080")]
#[case("conmon", "conmon --api-version 1")]
fn others_are_not(#[case] exe: &str, #[case] cmdline: &str) {
    let process = running(900, &format!("/usr/bin/{exe}"), cmdline);
    assert_eq!(of(&process, at(8080)), None);
}

/// Their titles are one argument.
#[rstest]
#[case("sshd", "sshd: user@pts/0", true)]
#[case("sshd", "sshd: user@notty", true)]
#[case("sshd-session", "sshd-session: user@notty", true)]
#[case(
    "sshd",
    "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
    false
)]
#[case("sshd", "sshd: user@host [listener] 0 of 10-100 startups", false)]
#[case("sshd", "sshd: user [priv]", true)]
#[case("sshd", "sshd: root", true)]
fn sessions_of_an_ssh_server_relay(#[case] exe: &str, #[case] title: &str, #[case] is_relay: bool) {
    let process = Process {
        cmdline: Some(vec![title.to_owned()]),
        ..running(900, &format!("/usr/sbin/{exe}"), "")
    };
    let found = of(&process, at(8080));
    assert_eq!(found.is_some(), is_relay);
    assert!(found.is_none_or(|found| found.target.is_none()));
}

fn held(by: &[Process], behalf: Proxy) -> Blocker {
    let holder = |process: &Process| Holder {
        process: process.clone(),
        fd: 5,
    };
    Blocker {
        owner: None,
        holders: by.iter().map(holder).collect(),
        on_behalf_of: Some(Box::new(behalf)),
        ..listener("0.0.0.0", 8080, &[])
    }
}

fn judged(blocker: Blocker) -> Attempt {
    bind("0.0.0.0", 8080, &[]).blocked_by([blocker]).judged()
}

fn systemd() -> Process {
    running(1, "/usr/lib/systemd/systemd", "/sbin/init")
}

fn managed(unit: Option<&str>) -> Proxy {
    Proxy {
        role: Role::ServiceManager,
        target: None,
        container: None,
        unit: unit.map(str::to_owned),
    }
}

fn relayed(target: Option<&str>, container: Option<&str>) -> Proxy {
    Proxy {
        role: Role::PortProxy,
        target: target.map(str::to_owned),
        container: container.map(|id| Container {
            id: id.to_owned(),
            runtime: Some("docker".to_owned()),
            pod: None,
        }),
        unit: None,
    }
}

#[test]
fn a_socket_unit_is_named() {
    let attempt = judged(held(&[systemd()], managed(Some("web.socket"))));
    assert_eq!(attempt.causes(), (Cause::SocketActivation, &[][..]));
    let Verdict {
        summary, remedies, ..
    } = attempt.verdict();
    assert_eq!(
        summary,
        "systemd[1] listens on 0.0.0.0:8080, for web.socket (socket activation)"
    );
    assert_eq!(
        remedies[0],
        "stop and disable web.socket (systemctl disable --now web.socket)"
    );
    assert!(
        remedies.last().unwrap().contains("LISTEN_FDS"),
        "{remedies:?}"
    );
}

#[test]
fn a_service_that_has_the_socket_too_must_be_stopped_as_well() {
    let service = Process {
        unit: Some("web.service".to_owned()),
        ..running(20, "/usr/bin/web", "web")
    };
    let attempt = judged(held(&[service, systemd()], managed(Some("web.socket"))));
    assert_eq!(attempt.causes().0, Cause::SocketActivation);
    let Verdict {
        summary, remedies, ..
    } = attempt.verdict();
    assert_eq!(
        summary,
        "systemd[1] listens on 0.0.0.0:8080, for web.socket (socket activation); one more process has that socket \
         too"
    );
    assert_eq!(
        remedies[0],
        "stop and disable web.socket (systemctl disable --now web.socket), and stop web[20] (web.service)"
    );
}

#[rstest]
#[case(
    systemd(),
    "stop and disable the socket unit that systemd[1] listens for (systemctl list-sockets names it)"
)]
#[case(
    running(900, "/usr/lib/systemd/systemd", "systemd --user"),
    "stop and disable the socket unit that systemd[900] listens for (systemctl --user list-sockets names it)"
)]
#[case(
    running(900, "/usr/sbin/xinetd", "xinetd"),
    "stop xinetd[900], or take this port out of what it listens for"
)]
fn without_a_unit_the_manager_is_named(#[case] manager: Process, #[case] remedy: &str) {
    let attempt = judged(held(&[manager], managed(None)));
    assert_eq!(attempt.causes(), (Cause::SocketActivation, &[][..]));
    assert_eq!(attempt.verdict().remedies[0], remedy);
}

#[rstest]
#[case(
    running(20, "/usr/bin/docker-proxy", "docker-proxy"),
    relayed(Some("172.17.0.2:80"), Some("4f2a6d1b9c3e8f70")),
    "docker-proxy[20] listens on 0.0.0.0:8080, for the container docker:4f2a6d1b9c3e at 172.17.0.2:80",
    "stop the container docker:4f2a6d1b9c3e, or publish another port for it"
)]
#[case(
    running(20, "/usr/bin/docker-proxy", "docker-proxy"),
    relayed(Some("172.17.0.2:80"), None),
    "docker-proxy[20] listens on 0.0.0.0:8080, for 172.17.0.2:80",
    "stop the container at 172.17.0.2:80, or publish another port for it"
)]
#[case(
    running(20, "/usr/bin/rootlessport", "rootlessport"),
    relayed(None, None),
    "rootlessport[20] listens on 0.0.0.0:8080, for others: it passes connections on, and its arguments do not say where",
    "stop the container behind rootlessport[20], or publish another port for it"
)]
#[case(
    running(20, "/usr/bin/ssh", "ssh -L 8080:db:80 b"),
    relayed(Some("db:80"), None),
    "ssh[20] listens on 0.0.0.0:8080, for db:80",
    "end ssh[20], or have it forward another local port"
)]
#[case(
    running(20, "/usr/bin/kubectl", "kubectl port-forward svc/a 8080:80"),
    relayed(Some("svc/\u{1b}[2J:80"), None),
    "kubectl[20] listens on 0.0.0.0:8080, for \"svc/\\x1b[2J:80\"",
    "end kubectl[20], or have it forward from another local port"
)]
#[case(
    running(20, "/usr/bin/socat", "socat TCP-LISTEN:8080 TCP:a:1"),
    relayed(Some("a:1"), None),
    "socat[20] listens on 0.0.0.0:8080, for a:1",
    "end socat[20], or have it listen on another port"
)]
fn whom_a_relay_serves_is_said(
    #[case] relay: Process,
    #[case] behalf: Proxy,
    #[case] summary: &str,
    #[case] remedy: &str,
) {
    let attempt = judged(held(&[relay], behalf));
    assert_eq!(attempt.causes(), (Cause::PortProxy, &[][..]));
    assert_eq!(attempt.verdict().summary, summary);
    assert_eq!(attempt.verdict().remedies[0], remedy);
}

/// Docker's proxy has one socket for IPv4 and one for IPv6.
#[test]
fn both_proxies_of_a_container_are_one_order() {
    let proxy = |pid| running(pid, "/usr/bin/docker-proxy", "docker-proxy");
    let behalf = || relayed(Some("172.17.0.2:80"), Some("4f2a6d1b9c3e"));
    let six = Blocker {
        local: Address {
            addr: "::".parse().unwrap(),
            port: 8080,
        },
        ..held(&[proxy(21)], behalf())
    };
    let own = listener("127.0.0.1", 8080, &[]);
    let attempt = bind("::", 8080, &[])
        .blocked_by([held(&[proxy(20)], behalf()), six, own])
        .judged();
    assert_eq!(attempt.causes().0, Cause::PortProxy);
    assert!(!attempt.causes().1.contains(&Cause::LiveListener));
    assert_eq!(
        attempt.verdict().remedies[0],
        "stop the container docker:4f2a6d1b9c3e, or publish another port for it, and stop java[977]"
    );
}

#[test]
fn udp_is_said() {
    let proxy = running(20, "/usr/bin/docker-proxy", "docker-proxy");
    let udp = Blocker {
        state: crate::model::socket::State::Bound,
        ..held(&[proxy], relayed(Some("172.17.0.2:53"), None))
    };
    let attempt = Attempt {
        proto: Proto::Udp,
        ..bind("0.0.0.0", 8080, &[])
    };
    let attempt = attempt.blocked_by([udp]).judged();
    assert_eq!(
        attempt.verdict().summary,
        "docker-proxy[20] has UDP 0.0.0.0:8080, for 172.17.0.2:53"
    );
}
