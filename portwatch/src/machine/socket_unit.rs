//! Which socket unit systemd has a socket for: systemd is asked, through its own program.

use std::{
    collections::HashMap,
    io::Read,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::cgroup::is_unit_name;
use portwatch_core::{assemble::Managed, model::socket::Address};

/// Where the program lies.
const PROGRAMS: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
/// There if systemd runs the machine (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a socket is believed to have no unit, and how long systemd is left alone that has not answered.
const UNKNOWN: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const ANSWER_BYTES: u64 = 1024 * 1024;
/// More sockets than this are not kept: the cache starts empty again.
const CAPACITY: usize = 1024;

/// Looks up units, each once: a socket stays its unit's.
#[derive(Debug, Default)]
pub struct SocketUnits {
    /// By inode.
    known: HashMap<u64, String>,
    /// By inode: when systemd did not know it.
    unknown: HashMap<u64, Instant>,
    /// When systemd did not answer.
    silent: Option<Instant>,
}

impl SocketUnits {
    /// The unit of a socket of the first process; `None` if it has none, more than one may be meant, or nobody answers.
    pub fn unit(&mut self, socket: Managed) -> Option<String> {
        self.unit_with(socket, || Path::new(BOOTED).is_dir().then(ask).flatten())
    }

    fn unit_with(
        &mut self,
        socket: Managed,
        ask: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        if let Some(known) = self.known.get(&socket.inode) {
            return Some(known.clone());
        }
        let is_recent = |then: &Instant| then.elapsed() < UNKNOWN;
        if self.unknown.get(&socket.inode).is_some_and(is_recent)
            || self.silent.as_ref().is_some_and(is_recent)
        {
            return None;
        }
        let Some(answer) = ask() else {
            self.silent = Some(Instant::now());
            return None;
        };
        let Some(unit) = matching(&answer, socket) else {
            if self.unknown.len() >= CAPACITY {
                self.unknown.clear();
            }
            self.unknown.insert(socket.inode, Instant::now());
            return None;
        };
        if self.known.len() >= CAPACITY {
            self.known.clear();
        }
        self.known.insert(socket.inode, unit.clone());
        Some(unit)
    }
}

/// Every socket unit that is loaded, a paragraph each. As root, `systemctl` asks systemd itself and needs no message bus.
fn ask() -> Option<String> {
    let program = PROGRAMS.iter().find(|path| Path::new(path).is_file())?;
    let mut child = Command::new(program)
        .args(["show", "--no-pager", "--property=Id,ActiveState,Listen"])
        .arg("*.socket")
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    // A read has no time limit. The thread ends with the child.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(ANSWER_BYTES).read_to_end(&mut bytes);
        let _ = sender.send(read.is_ok().then_some(bytes));
    });
    let answer = receiver.recv_timeout(PATIENCE);
    // It has ended by itself if it has answered; else nobody waits for it any longer.
    let _ = child.kill();
    let status = child.wait();
    let bytes = answer.ok().flatten()?;
    status.ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The one active unit that listens there.
fn matching(answer: &str, socket: Managed) -> Option<String> {
    let mut units = answer
        .split("\n\n")
        .filter_map(|paragraph| listening(paragraph, socket));
    let unit = units.next()?;
    units.next().is_none().then(|| unit.to_owned())
}

/// The name of the unit of this paragraph, if it listens there.
fn listening(paragraph: &str, socket: Managed) -> Option<&str> {
    let values = |name: &'static str| {
        paragraph
            .lines()
            .filter_map(move |line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let unit = values("Id")
        .next()
        .filter(|unit| unit.ends_with(".socket") && is_unit_name(unit))?;
    let is_active = values("ActiveState").any(|state| state == "active");
    (is_active && values("Listen").any(|place| is_at(place, socket))).then_some(unit)
}

/// `[::]:22 (Stream)`.
fn is_at(place: &str, socket: Managed) -> bool {
    let Some((address, kind)) = place
        .strip_suffix(')')
        .and_then(|place| place.rsplit_once(" ("))
    else {
        return false;
    };
    let kind_is_right = match kind {
        "Datagram" => socket.udp,
        "Stream" | "SequentialPacket" => !socket.udp,
        _ => false,
    };
    let Address { addr, port } = socket.local;
    kind_is_right
        && address
            .parse::<SocketAddr>()
            .is_ok_and(|place| place.ip() == addr && place.port() == port)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ANSWER: &str = "\
Listen=/run/dbus/system_bus_socket (Stream)
Id=dbus.socket
ActiveState=active

Listen=[::]:22 (Stream)
Id=ssh.socket
ActiveState=active

Listen=0.0.0.0:80 (Stream)
Listen=127.0.0.1:81 (Datagram)
Id=web.socket
ActiveState=active

Listen=0.0.0.0:90 (Stream)
Id=stopped.socket
ActiveState=inactive

Listen=0.0.0.0:91 (Stream)
Id=one.socket
ActiveState=active

Listen=0.0.0.0:91 (Stream)
Id=two.socket
ActiveState=active

Listen=0.0.0.0:92 (Stream)
Id=ev\u{1b}il.socket
ActiveState=active
";

    fn at(local: &str, udp: bool) -> Managed {
        let local: SocketAddr = local.parse().unwrap();
        Managed {
            inode: 7,
            local: Address {
                addr: local.ip(),
                port: local.port(),
            },
            udp,
        }
    }

    #[rstest]
    #[case::ipv6("[::]:22", false, Some("ssh.socket"))]
    #[case::ipv4("0.0.0.0:80", false, Some("web.socket"))]
    #[case::udp("127.0.0.1:81", true, Some("web.socket"))]
    #[case::not_tcp("127.0.0.1:81", false, None)]
    #[case::another_address("127.0.0.1:80", false, None)]
    #[case::inactive("0.0.0.0:90", false, None)]
    #[case::two("0.0.0.0:91", false, None)]
    #[case::no_name("0.0.0.0:92", false, None)]
    fn the_unit_is_found(#[case] local: &str, #[case] udp: bool, #[case] unit: Option<&str>) {
        assert_eq!(matching(ANSWER, at(local, udp)).as_deref(), unit);
    }

    #[rstest]
    #[case("")]
    #[case("\n\n\n\n")]
    #[case("Id=a.socket\nListen=\nActiveState=active")]
    #[case("Id=a.socket\nListen= (Stream)\nActiveState=active")]
    #[case("Listen=0.0.0.0:80 (Stream)\nActiveState=active")]
    fn nonsense_is_nothing(#[case] answer: &str) {
        assert_eq!(matching(answer, at("0.0.0.0:80", false)), None);
    }

    #[test]
    fn each_socket_is_asked_for_once() {
        let mut units = SocketUnits::default();
        let socket = at("[::]:22", false);
        let answer = || Some(ANSWER.to_owned());
        assert_eq!(
            units.unit_with(socket, answer).as_deref(),
            Some("ssh.socket")
        );
        let again = units.unit_with(socket, || panic!("asked again"));
        assert_eq!(again.as_deref(), Some("ssh.socket"));
    }

    #[rstest]
    #[case::silent(None)]
    #[case::unknown(Some(ANSWER.to_owned()))]
    fn what_is_not_known_is_not_asked_again_at_once(#[case] answer: Option<String>) {
        let mut units = SocketUnits::default();
        assert_eq!(units.unit_with(at("[::]:23", false), || answer), None);
        let again = units.unit_with(at("[::]:23", false), || panic!("asked again"));
        assert_eq!(again, None);
    }
}
