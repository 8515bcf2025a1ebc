//! A service, and what happens to it: one round after the other, each of them a little life.

use std::collections::VecDeque;

use fastrand::Rng;
use portwatch_core::model::{
    attempt::Op,
    episode::{Episode, Outcome, Segment},
    freed::{Freed, FreedHow},
    port::{self, Port},
    process::Process,
    record::Body,
    socket::{Proto, State},
    time_wait::{self, TimeWait},
    verdict::Cause,
};

use super::words::{NETNS, Way, address, attempt, owner, process, refused};

const MS: i64 = 1_000_000;
const S: i64 = 1000 * MS;

/// What goes wrong.
#[derive(Clone, Copy)]
enum Trouble {
    /// A program of another name has the port when the service starts.
    Other(&'static str),
    /// It starts again while its last connections are in `TIME_WAIT`.
    TimeWait,
    /// A child of the last run still has the listener.
    Child(&'static str),
    /// Nothing.
    None,
}

/// A sort of services.
pub(super) struct Sort {
    comm: &'static str,
    unit: Option<&'static str>,
    container: Option<&'static str>,
    port: u16,
    trouble: Trouble,
}

pub(super) const SERVICES: &[Sort] = &[
    Sort {
        comm: "node",
        unit: Some("app.service"),
        container: None,
        port: 8080,
        trouble: Trouble::Other("java"),
    },
    Sort {
        comm: "python3",
        unit: Some("api.service"),
        container: None,
        port: 8000,
        trouble: Trouble::TimeWait,
    },
    Sort {
        comm: "gunicorn",
        unit: None,
        container: Some("4f2a6d1b"),
        port: 9000,
        trouble: Trouble::Child("celery"),
    },
    Sort {
        comm: "nginx",
        unit: Some("nginx.service"),
        container: None,
        port: 80,
        trouble: Trouble::Other("apache2"),
    },
    Sort {
        comm: "redis-server",
        unit: Some("redis-server.service"),
        container: None,
        port: 6379,
        trouble: Trouble::None,
    },
    Sort {
        comm: "postgres",
        unit: None,
        container: Some("9c3e8f70"),
        port: 5432,
        trouble: Trouble::TimeWait,
    },
];

pub(super) struct Service {
    sort: &'static Sort,
    name: &'static str,
    port: u16,
    index: u64,
    random: Rng,
    connections: u32,
    time: i64,
    pid: u32,
    cookie: u64,
    episode: u64,
    queue: VecDeque<(i64, Body)>,
}

impl Service {
    pub(super) fn new(
        index: usize,
        begin: i64,
        connections: u32,
        name: Option<&'static str>,
    ) -> Self {
        let sort = &SERVICES[index % SERVICES.len()];
        let copy = (index / SERVICES.len()) as u16;
        Self {
            sort,
            name: name.unwrap_or(sort.comm),
            port: sort.port + copy,
            index: index as u64,
            random: Rng::with_seed(index as u64 + 1),
            connections,
            time: begin + (index as i64 % 97) * 700 * MS + S,
            pid: 1000 + (index as u32 % 4000) * 1000,
            cookie: (index as u64 + 1) << 24,
            episode: (index as u64 + 1) << 24,
            queue: VecDeque::new(),
        }
    }

    pub(super) fn next_time(&mut self) -> i64 {
        while self.queue.is_empty() {
            self.round();
        }
        self.queue.front().map_or(i64::MAX, |(time, _)| *time)
    }

    pub(super) fn next(&mut self) -> Body {
        self.next_time();
        match self.queue.pop_front() {
            Some((_, body)) => body,
            None => Body::Stop(portwatch_core::model::record::Stop::default()),
        }
    }

    /// The service runs, ends, and something may block the next run.
    fn round(&mut self) {
        let mut events: Vec<(i64, Body)> = Vec::new();
        let own = self.process(self.name);
        let listener = self.listen(&mut events, &own);
        let mut waits = Vec::new();
        for _ in 0..self.connections {
            let (last, wait) = self.connection(&mut events, &own);
            waits.push((last, wait));
        }
        self.time += self.pause(2000, 20_000);
        events.push((self.time, self.released(&own, listener, None, None)));
        let ended = self.time;
        match self.sort.trouble {
            Trouble::None => self.time += self.pause(500, 3000),
            Trouble::TimeWait => {
                if let Some(&(until, cookie)) = waits.iter().max() {
                    self.wait_out(&mut events, &own, until, cookie, ended);
                }
            }
            Trouble::Other(comm) => {
                let other = Process {
                    unit: Some(format!("{comm}.service")),
                    ..self.process(comm)
                };
                self.held(&mut events, &other, Cause::LiveListener);
            }
            Trouble::Child(comm) => {
                let child = self.process(comm);
                self.held(&mut events, &child, Cause::InheritedDescriptor);
            }
        }
        events.sort_by_key(|(time, _)| *time);
        // An event later than the next round's beginning is recorded at that beginning: times of a log only grow.
        let next = self.time;
        for event in &mut events {
            event.0 = event.0.min(next);
        }
        self.queue.extend(events);
    }

    fn listen(&mut self, events: &mut Vec<(i64, Body)>, who: &Process) -> u64 {
        let cookie = self.cookie();
        self.time += self.pause(1, 30);
        let taken = Port {
            action: port::Action::Taken,
            proto: Proto::Tcp,
            local: address("0.0.0.0", self.port),
            remote: None,
            netns: NETNS,
            how: Some(port::How::Bind),
            owner: Some(owner(who, true)),
            since: None,
            reason: None,
            cookie: Some(cookie.into()),
            inferred: false,
        };
        events.push((self.time, Body::Port(Box::new(taken))));
        for op in [Op::Bind, Op::Listen] {
            self.time += MS / 10;
            events.push((
                self.time,
                Body::Attempt(Box::new(attempt(op, who, self.port, cookie))),
            ));
        }
        cookie
    }

    /// Its `TIME_WAIT`: until when, and its cookie.
    fn connection(&mut self, events: &mut Vec<(i64, Body)>, who: &Process) -> (i64, u64) {
        let cookie = self.cookie();
        let remote = address("10.0.0.9", 32_768 + self.random.u16(..28_000));
        self.time += self.pause(200, 9000);
        let ends = self.time + self.pause(50, 8000);
        let accepted = Port {
            action: port::Action::Taken,
            proto: Proto::Tcp,
            local: address("10.0.0.1", self.port),
            remote: Some(remote),
            netns: NETNS,
            how: Some(port::How::Accept),
            owner: Some(owner(who, true)),
            since: None,
            reason: None,
            cookie: Some(cookie.into()),
            inferred: false,
        };
        events.push((self.time, Body::Port(Box::new(accepted))));
        let reason = Some(port::Reason::TimeWait);
        events.push((ends, self.released(who, cookie, Some(remote), reason)));
        let wait = |action, expires, lasted| {
            Body::TimeWait(Box::new(TimeWait {
                action,
                local: address("10.0.0.1", self.port),
                remote,
                netns: NETNS,
                substate: Some(State::TimeWait),
                expires_in_ms: expires,
                lasted_ms: lasted,
                owner: Some(owner(who, false)),
                reason: lasted.map(|_| time_wait::Reason::Expired),
                reused_by: None,
                cookie: Some(cookie.into()),
                inferred: false,
            }))
        };
        let until = ends + 60 * S;
        events.push((ends + 1, wait(time_wait::Action::Enter, Some(60_000), None)));
        events.push((until, wait(time_wait::Action::Leave, None, Some(60_000))));
        (until, cookie)
    }

    fn released(
        &self,
        who: &Process,
        cookie: u64,
        remote: Option<portwatch_core::model::socket::Address>,
        reason: Option<port::Reason>,
    ) -> Body {
        let addr = if remote.is_some() {
            "10.0.0.1"
        } else {
            "0.0.0.0"
        };
        Body::Port(Box::new(Port {
            action: port::Action::Released,
            proto: Proto::Tcp,
            local: address(addr, self.port),
            remote,
            netns: NETNS,
            how: None,
            owner: Some(owner(who, remote.is_some())),
            since: None,
            reason: reason.or(Some(port::Reason::Closed)),
            cookie: Some(cookie.into()),
            inferred: false,
        }))
    }

    /// Retries until the last `TIME_WAIT` is over.
    fn wait_out(
        &mut self,
        events: &mut Vec<(i64, Body)>,
        old: &Process,
        until: i64,
        cookie: u64,
        ended: i64,
    ) {
        let way = |now: i64| Way {
            state: State::TimeWait,
            owner: old,
            cookie,
            remote: None,
            since: Some(super::text(until - 60 * S)),
            expires_in_ms: Some(((until - now) / MS) as u64),
            cause: Cause::TimeWait,
        };
        self.time = ended + self.pause(20, 400);
        self.retry(events, old, until, way, FreedHow::TimeWaitOver);
    }

    /// Somebody else has the port for a while, and retries are in vain.
    fn held(&mut self, events: &mut Vec<(i64, Body)>, other: &Process, cause: Cause) {
        let cookie = self.listen(events, other);
        let since = super::text(self.time);
        let until = self.time + self.pause(4000, 60_000);
        self.time += self.pause(100, 2000);
        let way = |_| Way {
            state: State::Listen,
            owner: other,
            cookie,
            remote: None,
            since: Some(since.clone()),
            expires_in_ms: None,
            cause,
        };
        events.push((until, self.released(other, cookie, None, None)));
        self.retry(events, other, until, way, FreedHow::Exited);
    }

    fn retry<'a>(
        &mut self,
        events: &mut Vec<(i64, Body)>,
        in_way: &'a Process,
        until: i64,
        way: impl Fn(i64) -> Way<'a>,
        how: FreedHow,
    ) {
        self.episode += 1;
        let first = self.time;
        let mut who = self.process(self.name);
        let step = self.pause(900, 5000);
        let (mut attempts, mut last, mut processes) = (0, first, 1);
        let mut cause = Cause::Unknown;
        while self.time < until {
            if attempts % 3 == 2 {
                who = self.process(self.name);
                processes += 1;
            }
            let way = way(self.time);
            cause = way.cause;
            let failed = refused(Op::Bind, &who, self.port, &way, self.episode);
            events.push((self.time, Body::Attempt(Box::new(failed))));
            attempts += 1;
            last = self.time;
            self.time += step + self.pause(1, 50);
        }
        if attempts == 0 {
            return;
        }
        let ms = ((last - first) / MS) as u64;
        let outcome = if self.index % 4 == 2 {
            Outcome::GaveUp
        } else {
            Outcome::Bound
        };
        let episode = Episode {
            id: self.episode,
            process: who,
            proto: Proto::Tcp,
            addr: Some("0.0.0.0".to_owned()),
            port: Some(self.port),
            netns: Some(NETNS),
            first: super::text(first),
            last: super::text(last),
            attempts: attempts + u64::from(outcome == Outcome::Bound),
            processes,
            outcome,
            blocked_ms: ms,
            by: vec![Segment {
                cause: Some(cause),
                owner: Some(in_way.clone()),
                ms,
                attempts,
            }],
            by_omitted: 0,
            freed_by: Some(Freed {
                how,
                time: super::text(until),
                owner: Some(in_way.clone()),
                local: address("0.0.0.0", self.port),
                remote: None,
            }),
        };
        self.time += 5 * MS;
        events.push((self.time, Body::Episode(Box::new(episode))));
    }

    fn process(&mut self, comm: &'static str) -> Process {
        self.pid += 1;
        process(comm, self.pid, self.sort.unit, self.sort.container)
    }

    fn cookie(&mut self) -> u64 {
        self.cookie += 1;
        self.cookie
    }

    /// Some time between so many milliseconds.
    fn pause(&mut self, from: i64, to: i64) -> i64 {
        self.random.i64(from * MS..to * MS)
    }
}
