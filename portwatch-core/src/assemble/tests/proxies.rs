//! Sockets that are held for others, and namespaces by their names.

use super::*;
use crate::model::{
    proxy::{Proxy, Role},
    socket::Address,
};

/// A listener on 0.0.0.0:8080 that these programs have open (pid, executable, arguments), and the attempt it refuses.
fn refused_by(assembler: &mut Assembler<Fake>, programs: &[(u32, &[&'static str])]) -> Attempt {
    for (pid, words) in programs {
        let fake = assembler.surroundings();
        fake.alive.insert(*pid, u64::from(*pid) * SECOND);
        fake.programs.insert(*pid, words.to_vec());
        fake.open.push(open(*pid, u64::from(*pid), 500));
    }
    let listener = candidate(socket(500, state::LISTEN, 8080));
    attempt_of(
        assembler,
        &refused(&bind(task(11, 2, "late"), 501, 98, 30), &[listener]),
    )
}

fn behalf(attempt: &Attempt) -> Option<&Proxy> {
    primary(attempt).on_behalf_of.as_deref()
}

fn cause(attempt: &Attempt) -> Cause {
    failure(attempt).verdict.as_ref().unwrap().cause
}

const SYSTEMD: &[&str] = &["/usr/lib/systemd/systemd", "--system"];
const DOCKER_PROXY: &[&str] = &[
    "/usr/bin/docker-proxy",
    "-container-ip",
    "172.17.0.2",
    "-container-port",
    "80",
];

#[test]
fn systemd_has_it_for_a_unit() {
    let mut assembler = assembler();
    let managed = Managed {
        inode: 500,
        local: Address {
            addr: Ipv4Addr::UNSPECIFIED.into(),
            port: 8080,
        },
        udp: false,
    };
    assembler.surroundings().socket_units = vec![(managed, "web.socket")];
    let attempt = refused_by(&mut assembler, &[(1, SYSTEMD)]);
    let found = behalf(&attempt).unwrap();
    assert_eq!(found.role, Role::ServiceManager);
    assert_eq!(found.unit.as_deref(), Some("web.socket"));
    assert_eq!((&found.target, &found.container), (&None, &None));
    assert_eq!(cause(&attempt), Cause::SocketActivation);
}

#[test]
fn the_manager_comes_before_the_service_that_has_the_socket_too() {
    let mut assembler = assembler();
    let proxyd: &[&str] = &["/usr/lib/systemd/systemd-socket-proxyd", "10.0.0.5:80"];
    let attempt = refused_by(&mut assembler, &[(20, proxyd), (1, SYSTEMD)]);
    let found = behalf(&attempt).unwrap();
    assert_eq!(found.role, Role::ServiceManager);
    assert_eq!(found.target.as_deref(), Some("10.0.0.5:80"));
    assert_eq!(found.unit, None);
}

#[test]
fn a_proxy_has_it_for_a_container() {
    let mut assembler = assembler();
    let at = ("172.17.0.2".parse().unwrap(), 80);
    assembler.surroundings().containers.insert(at, "cafe");
    let attempt = refused_by(&mut assembler, &[(20, DOCKER_PROXY)]);
    let found = behalf(&attempt).unwrap();
    assert_eq!(found.role, Role::PortProxy);
    assert_eq!(found.target.as_deref(), Some("172.17.0.2:80"));
    assert_eq!(found.container.as_ref().unwrap().id, "cafe");
    assert_eq!(cause(&attempt), Cause::PortProxy);
}

#[test]
fn a_proxy_has_the_namespace_of_its_container_open() {
    let mut assembler = assembler();
    assembler.surroundings().containers_open.insert(20, "cafe");
    let attempt = refused_by(&mut assembler, &[(20, &["/usr/bin/pasta", "--config-net"])]);
    let found = behalf(&attempt).unwrap();
    assert_eq!(found.container.as_ref().unwrap().id, "cafe");
    assert_eq!(found.target, None);
}

#[test]
fn others_have_it_for_themselves() {
    let attempt = refused_by(
        &mut assembler(),
        &[(20, &["/usr/bin/java", "-jar", "a.jar"])],
    );
    assert_eq!(behalf(&attempt), None);
    assert_eq!(cause(&attempt), Cause::LiveListener);
}

#[test]
fn a_connection_of_a_proxy_is_its_own() {
    let mut assembler = assembler();
    let fake = assembler.surroundings();
    fake.alive.insert(20, 20 * SECOND);
    fake.programs.insert(20, DOCKER_PROXY.to_vec());
    fake.open.push(open(20, 20, 500));
    let connection = candidate(socket(500, state::ESTABLISHED, 8080));
    let event = refused(&bind(task(11, 2, "late"), 501, 98, 30), &[connection]);
    assert_eq!(behalf(&attempt_of(&mut assembler, &event)), None);
}

#[test]
fn a_namespace_is_named_by_its_cookie() {
    let mut assembler = assembler();
    assembler.surroundings().netns_names.insert(77, "blue");
    let mut raw = bind(task(11, 2, "late"), 501, 0, 30);
    raw.socket.netns_cookie = 77;
    let attempt = attempt_of(&mut assembler, &Event::Attempt(Box::new(raw)));
    assert_eq!(attempt.netns_cookie.unwrap().0, 77);
    assert_eq!(attempt.netns_name.as_deref(), Some("blue"));
    raw.socket.netns_cookie = 0;
    let attempt = attempt_of(&mut assembler, &Event::Attempt(Box::new(raw)));
    assert_eq!((attempt.netns_cookie, attempt.netns_name), (None, None));
}
