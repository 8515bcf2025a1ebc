//! A call for the port: what the rule says of it, and what the kernel does.

use std::fmt;

use anyhow::{Context, Result};
use portwatch_core::{
    model::socket::Side,
    verdict::rule::{Call, Port, Ruling, Transport, conflict},
};

use super::{bucket::Bucket, kernel::Kernel, socket::Answer};

/// A call that was made.
#[derive(Clone, Debug)]
pub(super) struct Step {
    what: &'static str,
    call: Call,
    /// The socket that it was made on.
    binder: Side,
    /// The one that the ruling is about.
    existing: Side,
    /// What the rule says.
    pub(super) ruling: Ruling,
    lenience: Option<Lenience>,
    /// What the kernel says.
    pub(super) answer: Answer,
}

/// Why the kernel lets a call pass whatever the rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lenience {
    /// The bucket's memory admits the binder.
    Shortcut,
    /// [`Kernel::overlooks`].
    Overlooked,
}

impl Step {
    /// Judges a call by the rule, against each socket that holds the port.
    pub(super) fn judge(
        (what, call): (&'static str, Call),
        binder: Side,
        existing: &[Side],
        answer: Answer,
        (kernel, bucket): (&Kernel, &Bucket),
    ) -> Result<Self> {
        let is_compared = call.transport == Transport::Tcp && call.port == Port::Explicit;
        let shortcut = is_compared && bucket.admits(&binder);
        let judged = existing.iter().map(|side| {
            let lenience = if shortcut {
                Some(Lenience::Shortcut)
            } else {
                let overlooks = kernel.overlooks(call.transport, &binder, side);
                overlooks.then_some(Lenience::Overlooked)
            };
            (side, conflict(call, &binder, side), lenience)
        });
        // One that conflicts is enough. Of equals the last one is what the pair is about.
        let (existing, ruling, lenience) = judged
            .max_by_key(|(_, ruling, lenience)| match (ruling, lenience) {
                (Ruling::Allowed(_), _) => 0,
                (_, Some(_)) => 1,
                (_, None) => 2,
            })
            .context("nobody holds the port")?;
        Ok(Self {
            what,
            call,
            existing: existing.clone(),
            binder,
            ruling,
            lenience,
            answer,
        })
    }

    /// Whether the kernel does what was to be expected.
    pub(super) fn is_as_predicted(&self) -> bool {
        let predicted = match self.ruling.conflicts() {
            _ if self.lenience.is_some() => Some(Answer::Granted),
            Some(true) => Some(Answer::Refused),
            Some(false) => Some(Answer::Granted),
            None => None,
        };
        predicted == Some(self.answer)
    }

    /// Why the kernel lets the call pass against the rule, if it is known to.
    pub(super) fn lenience(&self) -> Option<Lenience> {
        self.lenience
            .filter(|_| self.ruling.conflicts() == Some(true))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {:?} by the kernel", self.what, self.answer)?;
        writeln!(f, "  rule     {:?}", self.ruling)?;
        if let Some(lenience) = self.lenience {
            writeln!(f, "  lenience {lenience:?}")?;
        }
        writeln!(f, "  call     {:?}", self.call)?;
        writeln!(f, "  binder   {:?}", self.binder)?;
        write!(f, "  existing {:?}", self.existing)
    }
}
