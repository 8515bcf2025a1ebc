//! The timeline of one port: who had it when, and who tried.

use super::names::{Actor, Name};
use portwatch_core::model::{
    attempt::Op,
    socket::{Proto, State},
    verdict::Cause,
};

/// Where a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Host name.
    pub host: Name,
    /// TCP and MPTCP share their ports, and a lane.
    pub proto: Space,
    /// The port; 0 for any (a failed attempt to get one), and of the unix family.
    pub port: u16,
    /// Inode of the network namespace; 0 where it is not known.
    pub netns: u32,
    /// Of the unix family: the path.
    pub path: Name,
}

/// A protocol that has ports of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named after the protocols")]
pub enum Space {
    Tcp,
    Udp,
    Udplite,
    Sctp,
    Icmp,
    Raw,
    Unix,
    Other,
}

impl From<Proto> for Space {
    fn from(proto: Proto) -> Self {
        match proto {
            Proto::Tcp | Proto::Mptcp => Self::Tcp,
            Proto::Udp => Self::Udp,
            Proto::Udplite => Self::Udplite,
            Proto::Sctp => Self::Sctp,
            Proto::Icmp => Self::Icmp,
            Proto::Raw => Self::Raw,
            Proto::Unix => Self::Unix,
            Proto::Other | Proto::Unknown => Self::Other,
        }
    }
}

impl Space {
    /// As text spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Udplite => "udplite",
            Self::Sctp => "sctp",
            Self::Icmp => "icmp",
            Self::Raw => "raw",
            Self::Unix => "unix",
            Self::Other => "other",
        }
    }
}

/// How a socket has the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// It listens.
    Listening,
    /// It is bound, and was not seen to listen.
    Bound,
    /// A connection has it.
    Connection,
    /// A `TIME_WAIT` keeps it.
    TimeWait,
}

impl Kind {
    /// In the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::Listening,
        Self::Bound,
        Self::Connection,
        Self::TimeWait,
    ];

    /// Of a socket in this state.
    #[must_use]
    pub const fn of(state: State) -> Self {
        match state {
            State::Listen => Self::Listening,
            State::Bound => Self::Bound,
            State::TimeWait => Self::TimeWait,
            State::Established
            | State::SynSent
            | State::SynRecv
            | State::CloseWait
            | State::FinWait1
            | State::FinWait2
            | State::LastAck
            | State::Closing => Self::Connection,
        }
    }

    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Bound => "bound",
            Self::Connection => "connection",
            Self::TimeWait => "TIME_WAIT",
        }
    }
}

/// How it is known when a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It was seen.
    Seen,
    /// It was there to the end of the log, as far as was seen.
    Open,
    /// A `TIME_WAIT` whose end was not seen: its timer was due.
    Due,
    /// It was there until then; nobody told of it after that, as tracing was interrupted, or it was seen as a blocker alone.
    Interrupted,
}

/// A time during which a socket has the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// How it has it.
    pub kind: Kind,
    /// From: nanoseconds since 1970.
    pub start: i64,
    /// Until.
    pub end: i64,
    /// False if it had the port before `start`.
    pub begun: bool,
    /// How its end is known.
    pub ended: End,
    /// Who.
    pub who: Actor,
    /// Where it is bound.
    pub local: Name,
    /// Where it is connected.
    pub remote: Name,
    /// How many sockets; more than one if they were joined for room.
    pub count: u32,
    /// Sum of their times, in nanoseconds.
    pub busy: i64,
}

/// An attempt, or several of the same kind that were joined for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When: nanoseconds since 1970.
    pub time: i64,
    /// Of joined ones: when the last was.
    pub last: i64,
    /// It failed.
    pub failed: bool,
    /// Which call.
    pub op: Op,
    /// `ok`, or the errno's name.
    pub result: Name,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// Who tried.
    pub who: Actor,
    /// The address as requested.
    pub addr: Name,
    /// The blocker, and its owner.
    pub blocker: Option<(Kind, Actor)>,
    /// The verdict's line.
    pub summary: Name,
    /// The kernel's rule in words.
    pub because: Name,
    /// Remedies, a line each.
    pub remedies: Name,
    /// How many.
    pub count: u32,
}

/// The timeline of a port, and its totals.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// Who had it, in no order.
    pub holds: Vec<Hold>,
    /// Who tried, in no order.
    pub marks: Vec<Mark>,
    /// Attempts.
    pub attempts: u64,
    /// Of these, failures.
    pub failures: u64,
    /// Failures by cause: in the order of [`Cause::ALL`], those without a verdict last.
    pub causes: Vec<u32>,
    /// First and last attempt.
    pub span: Option<(i64, i64)>,
    /// Its items were left out for room.
    pub thinned: bool,
}

impl Lane {
    /// How many items there are to draw.
    #[must_use]
    pub fn items(&self) -> usize {
        self.holds.len() + self.marks.len()
    }

    /// Counts an attempt.
    pub fn count(&mut self, time: i64, failed: bool, cause: Option<Cause>) {
        self.attempts += 1;
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
        if failed {
            self.failures += 1;
            let index = number(cause);
            if self.causes.len() <= index {
                self.causes.resize(index + 1, 0);
            }
            self.causes[index] = self.causes[index].saturating_add(1);
        }
    }

    /// The cause that most of its failures have.
    #[must_use]
    pub fn main_cause(&self) -> Option<Cause> {
        let (index, _) = self
            .causes
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .max_by_key(|(index, count)| (**count, usize::MAX - index))?;
        Cause::ALL.get(index).copied()
    }

    /// Joins what is closer together than 2 to the power of `shift` nanoseconds, of the same process; of any, if `rough`.
    pub fn join(&mut self, shift: u32, rough: bool) {
        let cell = |time: i64| time >> shift;
        let crowd = |kind| matches!(kind, Kind::Connection | Kind::TimeWait);
        // Listeners are few, and who they are matters most.
        let of = |hold: &Hold| {
            if rough || crowd(hold.kind) {
                Actor::NONE
            } else {
                hold.who
            }
        };
        self.holds.sort_unstable_by_key(|hold| {
            (
                hold.kind,
                cell(hold.start),
                cell(hold.end),
                of(hold),
                hold.start,
            )
        });
        self.holds.dedup_by(|next, kept| {
            let same = next.kind == kept.kind
                && (cell(next.start), cell(next.end)) == (cell(kept.start), cell(kept.end))
                && of(next) == of(kept);
            if same {
                kept.join(next);
            }
            same
        });
        let of = |mark: &Mark| {
            if rough {
                (Actor::NONE, None)
            } else {
                (mark.who, mark.cause)
            }
        };
        self.marks
            .sort_unstable_by_key(|mark| (mark.failed, cell(mark.time), of(mark), mark.time));
        self.marks.dedup_by(|next, kept| {
            let same = next.failed == kept.failed
                && cell(next.time) == cell(kept.time)
                && of(next) == of(kept);
            if same {
                kept.join(next);
            }
            same
        });
    }
}

/// The number of a cause in [`Lane::causes`].
#[must_use]
pub fn number(cause: Option<Cause>) -> usize {
    cause
        .and_then(|cause| Cause::ALL.iter().position(|other| *other == cause))
        .unwrap_or(Cause::ALL.len())
}

impl Hold {
    fn join(&mut self, other: &Self) {
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.begun &= other.begun;
        if self.ended != other.ended {
            self.ended = End::Seen;
        }
        if self.who != other.who {
            self.who = Actor::NONE;
        }
        if self.local != other.local {
            self.local = Name::NONE;
        }
        self.remote = Name::NONE;
        self.count = self.count.saturating_add(other.count);
        self.busy = self.busy.saturating_add(other.busy);
    }
}

impl Mark {
    /// What differs is no longer told.
    fn join(&mut self, other: &Self) {
        let keep = |mine: &mut Name, others: Name| {
            if *mine != others {
                *mine = Name::NONE;
            }
        };
        self.time = self.time.min(other.time);
        self.last = self.last.max(other.last);
        keep(&mut self.result, other.result);
        keep(&mut self.addr, other.addr);
        keep(&mut self.summary, other.summary);
        keep(&mut self.because, other.because);
        keep(&mut self.remedies, other.remedies);
        if self.cause != other.cause {
            self.cause = None;
        }
        if self.who != other.who {
            self.who = Actor::NONE;
        }
        self.blocker = match (self.blocker, other.blocker) {
            (Some((kind, who)), Some((other_kind, other_who))) if kind == other_kind => {
                Some((kind, if who == other_who { who } else { Actor::NONE }))
            }
            _ => None,
        };
        self.count = self.count.saturating_add(other.count);
    }
}

#[cfg(test)]
mod tests;
