//! What portwatch must report of a failure.

use std::net::SocketAddr;

use super::{Process, Sock};
use crate::expect::truth::{Failure, Inherited, Named, Primary, Proxy};

/// What portwatch must report of a failure: the script puts it together, word by word.
#[derive(Clone, Debug)]
pub struct Blame(Failure);

impl From<&Blame> for Failure {
    fn from(blame: &Blame) -> Self {
        blame.0.clone()
    }
}

impl Blame {
    /// This cause.
    #[must_use]
    pub fn cause(cause: &str) -> Self {
        Self::new(Some(cause.into()))
    }

    /// The errno says everything: no verdict.
    #[must_use]
    pub fn no_verdict() -> Self {
        Self::new(None)
    }

    fn new(cause: Option<String>) -> Self {
        Self(Failure {
            cause,
            cause_needs_history: false,
            cause_when_late: None,
            cause_or: Vec::new(),
            released_by: None,
            stage: None,
            also: Vec::new(),
            primary: None,
            named: None,
            remedies_must_contain: Vec::new(),
            remedies_must_not_contain: Vec::new(),
            would_succeed_if_contains: Vec::new(),
            would_succeed_if_must_not_contain: Vec::new(),
        })
    }

    /// The kernel does not tell this cause to those who come late.
    #[must_use]
    pub fn needs_history(mut self) -> Self {
        self.0.cause_needs_history = true;
        self
    }

    /// This is the cause if the socket is older than portwatch.
    #[must_use]
    pub fn when_late(mut self, cause: &str) -> Self {
        self.0.cause_when_late = Some(cause.into());
        self
    }

    /// portwatch may report this cause as well: only the kernel knows which one is true. Then only one thing is
    /// demanded: the record names nobody else.
    #[must_use]
    pub fn or(mut self, cause: &str) -> Self {
        self.0.cause_or.push(cause.into());
        self
    }

    /// This process, and no other, let go of the port during the call.
    #[must_use]
    pub fn released_by(mut self, holder: &Process<'_>) -> Self {
        self.0.released_by = Some(holder.pid());
        self
    }

    /// This stage refused. Where the kernel's functions are not traced, it may not be known.
    #[must_use]
    pub fn stage(mut self, stage: &str) -> Self {
        self.0.stage = Some(stage.into());
        self
    }

    /// The socket to act on is not the only one that conflicts, and the kernel may have met another one first.
    #[must_use]
    pub fn one_of_many(mut self) -> Self {
        self.change(|primary| primary.one_of_many = true);
        self
    }

    /// This is true as well.
    #[must_use]
    pub fn also(mut self, cause: &str) -> Self {
        self.0.also.push(cause.into());
        self
    }

    /// The socket to act on is this one of that process, which has it open.
    #[must_use]
    pub fn by(self, state: &str, owner: &Process<'_>, socket: Sock, local: SocketAddr) -> Self {
        let pid = owner.pid();
        let mut blame = self.left_by(state, owner, local);
        if let Some(primary) = &mut blame.0.primary {
            primary.holder_pids = vec![pid];
            primary.options = owner.options(socket);
        }
        blame
    }

    /// The socket to act on is the kernel's own.
    #[must_use]
    pub fn by_the_kernel(self, state: &str, maker: &Process<'_>, local: SocketAddr) -> Self {
        let mut blame = self.left_by(state, maker, local);
        blame.change(|primary| {
            primary.owner_pid = None;
            primary.owner_alive = None;
        });
        blame
    }

    /// The socket to act on was this process's, and nobody can reach it now.
    #[must_use]
    pub fn left_by(mut self, state: &str, owner: &Process<'_>, local: SocketAddr) -> Self {
        self.0.primary = Some(Primary {
            state: state.into(),
            substate: None,
            addr: local.ip().to_string(),
            port: local.port(),
            remote_port: None,
            owner_pid: Some(owner.pid()),
            owner_alive: Some(true),
            holder_pids: Vec::new(),
            kept_by: None,
            options: Vec::new(),
            before_tracing: owner.was_there_before_tracing(),
            inherited: None,
            stopping: None,
            on_behalf_of: None,
            one_of_many: false,
        });
        self
    }

    /// The socket to act on is a mini-socket of this kind.
    #[must_use]
    pub fn substate(mut self, substate: &str) -> Self {
        self.change(|primary| primary.substate = Some(substate.into()));
        self
    }

    /// The socket to act on got its port after the checkpoint.
    #[must_use]
    pub fn while_tracing(mut self) -> Self {
        self.change(|primary| primary.before_tracing = false);
        self
    }

    /// The peer of the connection to act on has this port.
    #[must_use]
    pub fn peer(mut self, port: u16) -> Self {
        self.change(|primary| primary.remote_port = Some(port));
        self
    }

    /// The socket to act on has these options.
    #[must_use]
    pub fn options(mut self, options: &[&str]) -> Self {
        self.change(|primary| primary.options = options.iter().map(ToString::to_string).collect());
        self
    }

    /// The owner of the socket to act on has ended.
    #[must_use]
    pub fn owner_is_dead(mut self) -> Self {
        self.change(|primary| primary.owner_alive = Some(false));
        self
    }

    /// The owner may be gone by the time it is asked for, and so may its descriptors.
    #[must_use]
    pub fn owner_is_dying(mut self) -> Self {
        self.change(|primary| {
            primary.owner_alive = None;
            primary.holder_pids.clear();
        });
        self
    }

    /// The process that got the socket has no descriptor of it now; this one has.
    #[must_use]
    pub fn inherited_by(mut self, holder: &Process<'_>) -> Self {
        let pid = holder.pid();
        self.change(|primary| {
            primary.owner_pid = None;
            primary.owner_alive = None;
            primary.holder_pids = vec![pid];
        });
        self
    }

    /// It came to that process from this one, which lives or not, on this way.
    #[must_use]
    pub fn by_way_of(
        mut self,
        from: u32,
        from_alive: bool,
        to: &Process<'_>,
        steps: &[&str],
    ) -> Self {
        let inherited = Inherited {
            from,
            from_alive,
            to: to.pid(),
            steps: steps.iter().map(ToString::to_string).collect(),
        };
        self.change(|primary| primary.inherited = Some(inherited));
        self
    }

    /// These have it open too.
    #[must_use]
    pub fn open_too(mut self, holder: &Process<'_>) -> Self {
        let pid = holder.pid();
        self.change(|primary| primary.holder_pids.push(pid));
        self
    }

    /// The owner was sent this signal by that process.
    #[must_use]
    pub fn sent(mut self, signal: &str, by: &Process<'_>) -> Self {
        let by = by.pid();
        self.change(|primary| primary.stopping = Some((signal.into(), by)));
        self
    }

    /// Nobody has a descriptor of the socket to act on; this process keeps it open in this way.
    #[must_use]
    pub fn kept_by(mut self, how: &str, keeper: &Process<'_>) -> Self {
        let kept = (how.into(), keeper.pid());
        self.change(|primary| primary.kept_by = Some(kept));
        self
    }

    /// This is at the path, and one of these processes serves it, or nobody.
    #[must_use]
    pub fn file(mut self, kind: &str, holders: &[&Process<'_>]) -> Self {
        self.0.named = Some(Named {
            file: Some(kind.into()),
            served: (kind == "socket").then_some(!holders.is_empty()),
            holder_pids: holders.iter().map(|holder| holder.pid()).collect(),
        });
        self
    }

    /// These processes have the abstract name.
    #[must_use]
    pub fn named_by(mut self, holders: &[&Process<'_>]) -> Self {
        self.0.named = Some(Named {
            file: None,
            served: Some(true),
            holder_pids: holders.iter().map(|holder| holder.pid()).collect(),
        });
        self
    }

    /// The holder of the socket to act on keeps it on behalf of others.
    #[must_use]
    pub fn for_others(mut self, proxy: Proxy) -> Self {
        self.change(|primary| primary.on_behalf_of = Some(proxy));
        self
    }

    /// One of the remedies has these words.
    #[must_use]
    pub fn remedy(mut self, words: &str) -> Self {
        self.0.remedies_must_contain.push(words.into());
        self
    }

    /// No remedy has these words: it would not help.
    #[must_use]
    pub fn no_remedy(mut self, words: &str) -> Self {
        self.0.remedies_must_not_contain.push(words.into());
        self
    }

    /// One of the counterfactuals has these words. The script proves it.
    #[must_use]
    pub fn would_succeed_if(mut self, words: &str) -> Self {
        self.0.would_succeed_if_contains.push(words.into());
        self
    }

    /// No counterfactual has these words: it is not so.
    #[must_use]
    pub fn would_not_succeed_if(mut self, words: &str) -> Self {
        self.0.would_succeed_if_must_not_contain.push(words.into());
        self
    }

    fn change(&mut self, change: impl FnOnce(&mut Primary)) {
        if let Some(primary) = &mut self.0.primary {
            change(primary);
        }
    }
}
