//! What goes wrong with the tracing itself: lost records, and a pause without any.

use std::io;

use portwatch_core::model::{
    attempt::{Attempt, Failure, Op},
    process::Holder,
    record::{Body, Lost},
    socket::Proto,
    unix::{FileKind, UnixName, UnixSocket},
    verdict::{Cause, Certainty, Verdict},
};

use super::words::{self, process};

const S: i64 = 1_000_000_000;
/// How long nothing is traced.
const PAUSE: i64 = 45 * S;
/// Of how long records are lost.
const GAP: i64 = 12 * S;
/// The path that two programs want.
const PATH: &str = "/run/app/control.sock";

/// Comes in three parts, at so many records: lost records, a pause, and lost records again.
pub(super) struct Rough {
    records: u64,
    part: u64,
    /// Until when nothing is recorded.
    until: i64,
    missed: u64,
    /// When that began, if records are lost.
    lost: Option<i64>,
}

impl Rough {
    pub(super) fn new(records: u64) -> Self {
        Self {
            records,
            part: 1,
            until: i64::MIN,
            missed: 0,
            lost: None,
        }
    }

    /// Whether something that happens now is recorded; writes what is to be written before it.
    pub(super) fn is_seen(
        &mut self,
        written: u64,
        time: i64,
        write: &mut dyn FnMut(i64, Body) -> io::Result<()>,
    ) -> io::Result<bool> {
        if time < self.until {
            self.missed += 1;
            return Ok(false);
        }
        if let Some(from) = self.lost.take() {
            let lost = Lost {
                kind: "attempt".to_owned(),
                count: self.missed,
                from: super::text(from),
                to: super::text(self.until),
            };
            write(self.until, Body::Lost(lost))?;
        } else if self.until > i64::MIN {
            write(self.until, Body::Start(Box::new(words::start())))?;
        }
        self.until = i64::MIN;
        if self.part > 3 || written < self.records * self.part / 4 {
            return Ok(true);
        }
        self.missed = 1;
        if self.part == 2 {
            write(time, Body::Stop(words::stop(written)))?;
            self.until = time + PAUSE;
        } else {
            write(time, Body::Attempt(Box::new(unix())))?;
            self.lost = Some(time);
            self.until = time + GAP;
        }
        self.part += 1;
        Ok(false)
    }
}

/// A path that another process listens on.
fn unix() -> Attempt {
    let holder = process("appd", 700, Some("appd.service"), None);
    let summary = format!("appd[700] listens on {PATH}");
    Attempt {
        result: "EADDRINUSE".to_owned(),
        errno: 98,
        proto: Proto::Unix,
        addr: Some(PATH.to_owned()),
        port: None,
        bound_port: None,
        failure: Some(Failure {
            blockers: Vec::new(),
            blocker_counts: None,
            range_use: None,
            unix: Some(UnixName {
                is_abstract: false,
                file: Some(FileKind::Socket),
                served: Some(true),
                sockets: vec![UnixSocket {
                    listening: true,
                    inode: 91_000,
                    holders: vec![Holder {
                        process: holder,
                        fd: 5,
                    }],
                }],
            }),
            released: None,
            verdict: Some(Verdict {
                cause: Cause::UnixPath,
                also: Vec::new(),
                confidence: Certainty::Walked,
                summary,
                because:
                    "bind() makes a new file at the path, and refuses where there is one already"
                        .to_owned(),
                remedies: vec!["stop appd.service, or use another path".to_owned()],
                would_succeed_if: Vec::new(),
            }),
            episode: None,
        }),
        ..words::attempt(
            Op::Bind,
            &process("worker", 4400, Some("worker.service"), None),
            0,
            0,
        )
    }
}
