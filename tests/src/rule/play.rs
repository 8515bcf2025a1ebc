//! One pair: the existing socket holds a port, and the binder asks for it.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use portwatch_core::{
    model::socket::{Side, State},
    verdict::rule::{Call, Port, Transport},
};

use super::{
    kernel::Kernel,
    namespace::Namespace,
    pair::{Ask, Pair},
    socket::{self, Answer, bind, local, open},
    stage::{Staged, side, stage},
    step::Step,
};

/// Plays a pair on a port that was free, up to the first call that is refused.
pub(super) fn play(pair: &Pair, namespace: &mut Namespace, kernel: &Kernel) -> Result<Vec<Step>> {
    let port = namespace.port()?;
    namespace.set_autobind_reuse(pair.ask == Ask::AnyReuse)?;
    let staged = stage(pair, port, namespace, kernel)?;
    let binder = open(pair.transport, &pair.binder)?;
    if pair.ask != Ask::Bind {
        namespace.set_automatic_ports(Some(port))?;
    }
    let mut play = Play {
        kernel,
        pair,
        port,
        staged,
        steps: Vec::new(),
    };
    let bound = match pair.ask {
        Ask::Bind | Ask::ListenSecond => play.bind(&binder, port, Port::Explicit)?,
        Ask::Any => play.bind(&binder, 0, Port::Any)?,
        Ask::AnyReuse => play.bind(&binder, 0, Port::AnyReuse)?,
        Ask::ListenUnbound => {
            play.listen_unbound(&binder)?;
            return Ok(play.steps);
        }
    };
    let goes_on = bound && (pair.ask != Ask::ListenSecond || play.existing_listens()?);
    if goes_on && pair.transport == Transport::Tcp {
        play.listen(&binder)?;
    }
    Ok(play.steps)
}

struct Play<'a> {
    kernel: &'a Kernel,
    pair: &'a Pair,
    port: u16,
    staged: Staged,
    steps: Vec<Step>,
}

impl Play<'_> {
    fn bind(&mut self, socket: &OwnedFd, port: u16, how: Port) -> Result<bool> {
        let plan = &self.pair.binder;
        let answer = bind(socket, plan.addr, port)?;
        // As it is asked for: bind() sets IPV6_V6ONLY for some addresses.
        let asked = Side {
            v6only: plan.v6only,
            ..side(plan, State::Bound)
        };
        let existing = self.staged.existing.clone();
        let granted = self.step("bind()", how, asked, &existing, answer)?;
        if granted {
            let bound = local(socket)?.port();
            ensure!(bound == self.port, "bound to port {bound}");
            self.staged.bucket.take(&side(plan, State::Bound));
        }
        Ok(granted)
    }

    fn listen(&mut self, socket: &OwnedFd) -> Result<()> {
        let listening = side(&self.pair.binder, State::Listen);
        let answer = socket::listen(socket)?;
        let existing = self.staged.existing.clone();
        self.step("listen()", Port::Explicit, listening, &existing, answer)
            .map(drop)
    }

    /// The existing socket listens: now it is the binder, and the other socket may conflict with it.
    fn existing_listens(&mut self) -> Result<bool> {
        let socket = self.staged.socket.as_ref().context("closed")?;
        let answer = socket::listen(socket)?;
        let [existing] = &mut self.staged.existing[..] else {
            unreachable!("one socket is bound")
        };
        existing.state = State::Listen;
        let listening = existing.clone();
        let binder = side(&self.pair.binder, State::Bound);
        let what = "listen() of the existing socket";
        let granted = self.step(what, Port::Explicit, listening.clone(), &[binder], answer)?;
        if granted {
            self.staged.bucket.take(&listening);
        }
        Ok(granted)
    }

    fn listen_unbound(&mut self, socket: &OwnedFd) -> Result<()> {
        let plan = &self.pair.binder;
        let listening = Side {
            addr: plan.wildcard(),
            v6only: plan.v6only,
            ..side(plan, State::Listen)
        };
        let answer = socket::listen(socket)?;
        let existing = self.staged.existing.clone();
        self.step(
            "listen() without bind()",
            Port::Any,
            listening,
            &existing,
            answer,
        )
        .map(drop)
    }

    /// Notes a step. True if the port was granted.
    fn step(
        &mut self,
        what: &'static str,
        port: Port,
        binder: Side,
        existing: &[Side],
        answer: Answer,
    ) -> Result<bool> {
        let transport = self.pair.transport;
        self.steps.push(Step::judge(
            (what, Call { transport, port }),
            binder,
            existing,
            answer,
            (self.kernel, &self.staged.bucket),
        )?);
        Ok(answer == Answer::Granted)
    }
}
