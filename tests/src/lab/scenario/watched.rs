//! What becomes of ports that portwatch is asked to watch, and of the `TIME_WAIT`s there.

use std::{path::Path, thread, time::Duration};

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Changed, Lab, Process, Sock, loopback,
    protocol::{
        Kind::{self, Tcp4, Udp4},
        Opt::{ResetOnClose, ReuseAddr},
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("watched-server", server).watched(),
    Scenario::root("watched-client", client).watched(),
    Scenario::new("watched-bound", |lab| bound(lab, Tcp4)).watched(),
    Scenario::new("watched-udp", |lab| bound(lab, Udp4)).watched(),
    Scenario::new("time-wait-expired", expired).watched(),
    Scenario::new("time-wait-rearmed", rearmed).watched(),
    Scenario::new("time-wait-reused-by-syn", reused_by_syn).watched(),
    Scenario::root("time-wait-reused-by-connect", reused_by_connect).watched(),
    Scenario::root("time-wait-reused-by-bound", reused_by_bound).watched(),
    Scenario::new("time-wait-killed", killed).watched(),
];

/// `TCP_FIN_WAIT2` and `TCP_TIME_WAIT`: kinds of mini-socket.
const FIN_WAIT2: Option<u8> = Some(5);
const TIME_WAIT: Option<u8> = Some(6);

/// Least and most, in milliseconds, of a `TIME_WAIT` that ends before its time, and of one that is left alone. An emulated
/// machine may take long for what comes before its last timer.
const SOON: (u64, u64) = (0, 20_000);
const A_MINUTE: (u64, u64) = (59_950, 63_000);

/// How long a connection stays in `FIN_WAIT2` for its later end to be noticed by those who only look when it is due.
const NOTICEABLE: Duration = Duration::from_secs(3);

/// A port with a listener, and processes at both ends.
struct Service<'lab> {
    lab: &'lab Lab,
    port: u16,
    server: Process<'lab>,
    client: Process<'lab>,
    listener: Sock,
}

/// A connection: both ends, and the client's port.
struct Connection {
    outgoing: Sock,
    incoming: Sock,
    client_port: u16,
}

impl<'lab> Service<'lab> {
    fn start(lab: &'lab Lab) -> Result<Self> {
        let port = lab.watched_port()?;
        let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
        let listener = server.listener(Tcp4, loopback(port), &[])?;
        lab.changed_by(&server, Changed::taken(port, "bind"));
        lab.checkpoint()?;
        Ok(Self {
            lab,
            port,
            server,
            client,
            listener,
        })
    }

    /// From a port of the scenario's own: nobody else takes it between two connections.
    fn connect(&self) -> Result<Connection> {
        let outgoing = self.source(self.lab.port()?)?;
        self.connect_from(outgoing)
    }

    /// A socket of the client's with this port.
    fn source(&self, port: u16) -> Result<Sock> {
        let socket = self.client.socket_with(Tcp4, &[ReuseAddr(true)])?;
        self.client.bind(socket, loopback(port))?.ok()?;
        Ok(socket)
    }

    fn connect_from(&self, outgoing: Sock) -> Result<Connection> {
        let client_port = self.client.connect(outgoing, loopback(self.port))?;
        let incoming = self.server.accept(self.listener)?;
        // Before it is accepted it is nobody's.
        let taken = Changed::taken(self.port, "accept").peer(client_port);
        self.lab.changed(&self.server, taken);
        Ok(Connection {
            outgoing,
            incoming,
            client_port,
        })
    }

    /// The server closes first: its side waits for the client's FIN. Gives whether as a mini-socket already.
    fn close_server_side(&self, connection: &Connection) -> Result<bool> {
        self.server.close(connection.incoming)?;
        self.client.await_eof(connection.outgoing)?;
        // The client's ACK may be delayed. See `time_wait`.
        let (port, peer) = (self.port, connection.client_port);
        self.server.await_tcp(port, peer, FIN_WAIT2)?;
        let is_mini = self.server.is_mini_socket(port, peer)?;
        if is_mini {
            self.enter(connection, "fin_wait2");
        }
        Ok(is_mini)
    }

    /// The client closes as well.
    fn close_client_side(&self, connection: &Connection) -> Result<()> {
        self.client.close(connection.outgoing)?;
        self.server
            .await_tcp(self.port, connection.client_port, TIME_WAIT)
    }

    /// A mini-socket has taken the place of a connection.
    fn enter(&self, connection: &Connection, substate: &str) {
        let (port, peer) = (self.port, connection.client_port);
        let enter = Changed::enter(port, substate).peer(peer);
        self.lab.changed_by(&self.server, enter);
        let released = Changed::released(port, "time_wait").peer(peer);
        self.lab.changed_by(&self.server, released);
    }

    fn rearm(&self, connection: &Connection) -> Changed {
        Changed::rearm(self.port, "time_wait").peer(connection.client_port)
    }

    /// Leaves a `TIME_WAIT` of the server's behind.
    fn leave_time_wait(&self) -> Result<Connection> {
        let connection = self.connect()?;
        let is_mini = self.close_server_side(&connection)?;
        self.close_client_side(&connection)?;
        if is_mini {
            let rearm = self.rearm(&connection).brief();
            self.lab.changed_by(&self.server, rearm);
        } else {
            self.enter(&connection, "time_wait");
        }
        Ok(connection)
    }

    /// The client closes first: nothing of the server's side stays.
    fn close_from_client(&self, connection: &Connection) -> Result<()> {
        self.client.close(connection.outgoing)?;
        self.server.await_eof(connection.incoming)?;
        self.server.close(connection.incoming)?;
        self.await_end(connection)
    }

    /// The client ends what waits for its FIN: nothing stays.
    fn reset(&self, connection: &Connection) -> Result<()> {
        self.client.set(connection.outgoing, ResetOnClose)?;
        self.client.close(connection.outgoing)?;
        self.await_end(connection)
    }

    /// The server's side is gone.
    fn await_end(&self, connection: &Connection) -> Result<()> {
        let (port, peer) = (self.port, connection.client_port);
        self.server.await_tcp(port, peer, None)?;
        let released = Changed::released(port, "closed").peer(peer);
        self.lab.changed_by(&self.server, released);
        Ok(())
    }

    fn stop_listening(&self) -> Result<()> {
        self.server.close(self.listener)?;
        let released = Changed::released(self.port, "closed").how("bind");
        self.lab.changed_by(&self.server, released);
        Ok(())
    }

    /// The `TIME_WAIT` of this connection is over.
    fn leave(&self, connection: &Connection, reason: &str, lasted_ms: (u64, u64)) -> Changed {
        Changed::leave(self.port, reason, lasted_ms).peer(connection.client_port)
    }
}

fn server(lab: &Lab) -> Result<()> {
    let service = Service::start(lab)?;
    for _ in 0..2 {
        let connection = service.connect()?;
        service.close_from_client(&connection)?;
    }
    service.stop_listening()?;
    lab.await_changes()
}

/// Bound, and that is all.
fn bound(lab: &Lab, kind: Kind) -> Result<()> {
    let port = lab.watched_port()?;
    let holder = lab.process("pw-holder")?;
    lab.checkpoint()?;
    let socket = holder.socket(kind)?;
    holder.bind(socket, loopback(port))?.ok()?;
    lab.changed_by(&holder, Changed::taken(port, "bind").of(kind));
    holder.close(socket)?;
    let released = Changed::released(port, "closed").how("bind").of(kind);
    lab.changed_by(&holder, released.only_bound());
    lab.await_changes()
}

/// Nobody touches it: it lasts for as long as the kernel says.
fn expired(lab: &Lab) -> Result<()> {
    let service = Service::start(lab)?;
    let connection = service.leave_time_wait()?;
    service.stop_listening()?;
    let leave = service.leave(&connection, "expired", A_MINUTE);
    lab.changed_by(&service.server, leave);
    lab.await_changes()
}

/// The client takes its time: its FIN sets the timer again.
fn rearmed(lab: &Lab) -> Result<()> {
    let service = Service::start(lab)?;
    let connection = loop {
        let connection = service.connect()?;
        if service.close_server_side(&connection)? {
            break connection;
        }
        service.reset(&connection)?;
    };
    service.stop_listening()?;
    // Nothing is waited for that could tell: the mini-socket's timer has to run before the FIN sets it again, and that it
    // ran for so long is what the lifetime below is compared with. No other step depends on this one being over.
    thread::sleep(NOTICEABLE);
    service.close_client_side(&connection)?;
    lab.changed_by(&service.server, service.rearm(&connection));
    let (least, most) = A_MINUTE;
    let later = NOTICEABLE.as_millis() as u64;
    let leave = service.leave(&connection, "expired", (least + later, most + later));
    lab.changed_by(&service.server, leave);
    lab.await_changes()
}

/// The client connects again, from the same port.
fn reused_by_syn(lab: &Lab) -> Result<()> {
    let service = Service::start(lab)?;
    let first = service.leave_time_wait()?;
    let socket = service.source(first.client_port)?;
    let second = service.connect_from(socket)?;
    let leave = service.leave(&first, "reused", SOON).reused_by("syn");
    lab.changed_by(&service.server, leave);
    service.close_from_client(&second)?;
    service.stop_listening()?;
    lab.await_changes()
}

/// Nobody listens any more: the mini-socket answers a SYN, and the client's answer to that is a reset.
fn killed(lab: &Lab) -> Result<()> {
    let service = Service::start(lab)?;
    let connection = service.leave_time_wait()?;
    service.stop_listening()?;
    let socket = service.source(connection.client_port)?;
    service
        .client
        .connect_in_vain(socket, loopback(service.port))?;
    let leave = service.leave(&connection, "killed", SOON);
    lab.changed_by(&service.server, leave);
    lab.await_changes()
}

/// A client in a namespace where `connect()` has one port to choose from: the watched one.
struct Customer<'lab> {
    lab: &'lab Lab,
    port: u16,
    server_port: u16,
    server: Process<'lab>,
    client: Process<'lab>,
    listener: Sock,
    /// How the client gets its port.
    how: &'static str,
}

impl<'lab> Customer<'lab> {
    fn start(lab: &'lab Lab, how: &'static str) -> Result<Self> {
        let (port, server_port) = (lab.watched_port()?, lab.port()?);
        let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
        client.new_netns()?;
        let setting = |name: &str, text: &str| {
            client.write_file(&Path::new("/proc/sys/net/ipv4").join(name), text)
        };
        setting("ip_local_port_range", &format!("{port} {port}"))?;
        setting("tcp_tw_reuse", "1")?;
        server.join_netns(&client)?;
        let listener = server.listener(Tcp4, loopback(server_port), &[])?;
        lab.checkpoint()?;
        Ok(Self {
            lab,
            port,
            server_port,
            server,
            client,
            listener,
            how,
        })
    }

    fn connect(&self) -> Result<Connection> {
        let outgoing = self.client.socket_with(Tcp4, &[ReuseAddr(true)])?;
        let to = loopback(self.server_port);
        let taken = Changed::taken(self.port, self.how);
        let taken = if self.how == "bind" {
            self.client.bind(outgoing, loopback(self.port))?.ok()?;
            taken
        } else {
            taken.peer(self.server_port)
        };
        let client_port = self.client.connect_once_allowed(outgoing, to)?;
        let incoming = self.server.accept(self.listener)?;
        self.lab.changed_by(&self.client, taken);
        Ok(Connection {
            outgoing,
            incoming,
            client_port,
        })
    }

    fn released(&self, reason: &str) {
        let released = Changed::released(self.port, reason).how(self.how);
        self.lab
            .changed_by(&self.client, released.peer(self.server_port));
    }

    /// The client closes first, and its side keeps the port.
    fn leave_time_wait(&self) -> Result<()> {
        let connection = self.connect()?;
        let (port, peer) = (self.port, self.server_port);
        self.client.close(connection.outgoing)?;
        self.server.await_eof(connection.incoming)?;
        self.client.await_tcp(port, peer, FIN_WAIT2)?;
        let is_mini = self.client.is_mini_socket(port, peer)?;
        self.server.close(connection.incoming)?;
        self.client.await_tcp(port, peer, TIME_WAIT)?;
        let substate = if is_mini { "fin_wait2" } else { "time_wait" };
        let enter = Changed::enter(port, substate).peer(peer);
        self.lab.changed_by(&self.client, enter);
        self.released("time_wait");
        if is_mini {
            let rearm = Changed::rearm(port, "time_wait").peer(peer).brief();
            self.lab.changed_by(&self.client, rearm);
        }
        Ok(())
    }

    /// The server closes first.
    fn close_from_server(&self, connection: &Connection) -> Result<()> {
        self.server.close(connection.incoming)?;
        self.client.await_eof(connection.outgoing)?;
        self.client.close(connection.outgoing)?;
        self.client.await_tcp(self.port, self.server_port, None)?;
        self.released("closed");
        Ok(())
    }
}

fn client(lab: &Lab) -> Result<()> {
    let customer = Customer::start(lab, "connect")?;
    let connection = customer.connect()?;
    customer.close_from_server(&connection)?;
    lab.await_changes()
}

/// The client connects again, and gets the same port.
fn reused_by_connect(lab: &Lab) -> Result<()> {
    reused_by_client(&Customer::start(lab, "connect")?)
}

/// The client binds the same port again, and connects from there.
fn reused_by_bound(lab: &Lab) -> Result<()> {
    reused_by_client(&Customer::start(lab, "bind")?)
}

fn reused_by_client(customer: &Customer<'_>) -> Result<()> {
    let lab = customer.lab;
    customer.leave_time_wait()?;
    let connection = customer.connect()?;
    let leave = Changed::leave(customer.port, "reused", SOON).reused_by("connect");
    lab.changed_by(&customer.client, leave.peer(customer.server_port));
    customer.close_from_server(&connection)?;
    lab.await_changes()
}
