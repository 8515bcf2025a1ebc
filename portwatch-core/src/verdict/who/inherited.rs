//! Whether a socket blocks because somebody inherited it.

use crate::model::{
    attempt::Blocker,
    inheritance::{Inheritance, Via},
    process::Process,
};
use crate::prelude::*;

use super::program::{self, Program};
use crate::verdict::{cause, rule::case::Case, words::name};

/// What part that has in a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Part {
    /// None, as far as was seen; or it is meant to be so.
    Nothing,
    /// It is true beside what to act on first.
    Aside,
    /// The socket is there for that alone.
    Leading,
}

/// How an heir relates to who bound the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heir {
    /// Nothing was executed on the way.
    Fork,
    /// It has executed the same program again: it takes over.
    Successor,
    /// It runs another program.
    Stranger,
}

/// What part inheritance has, of a socket that listens or is bound.
pub(in crate::verdict) fn part(case: &Case<'_>, blocker: &Blocker) -> Part {
    let Some(inherited) = blocker.inherited.as_ref() else {
        return Part::Nothing;
    };
    if blocker.kernel_socket || blocker.on_behalf_of.is_some() || hands_on(&inherited.from) {
        return Part::Nothing;
    }
    match heir(inherited) {
        // It meets what an image before its own has left open.
        _ if case.is_own(blocker) && inherited.to.is_same(&case.attempt.process) => Part::Aside,
        Heir::Successor => Part::Nothing,
        Heir::Stranger if has_creator(blocker, inherited) => Part::Aside,
        Heir::Fork if has_creator(blocker, inherited) => Part::Nothing,
        Heir::Fork if cause::service(case, blocker).is_some() => Part::Aside,
        Heir::Stranger | Heir::Fork => Part::Leading,
    }
}

/// True for a service manager: it makes sockets for those whom it starts.
fn hands_on(from: &Process) -> bool {
    from.pid == 1 || from.comm == "systemd"
}

/// How a socket came to a program that was not meant to have it, as far as that is known: closing it on exec would
/// have kept it from that.
pub(in crate::verdict) fn leak(blocker: &Blocker) -> Option<&Inheritance> {
    let inherited = blocker.inherited.as_ref()?;
    let handed_on = blocker.on_behalf_of.is_some() || hands_on(&inherited.from);
    (!handed_on && heir(inherited) == Heir::Stranger).then_some(inherited)
}

/// True if who bound it has it open itself.
fn has_creator(blocker: &Blocker, inherited: &Inheritance) -> bool {
    blocker
        .holders
        .iter()
        .any(|holder| holder.process.is_same(&inherited.from))
}

fn heir(inherited: &Inheritance) -> Heir {
    if inherited.steps.iter().all(|step| step.how == Via::Fork) {
        Heir::Fork
    } else if run_one_program(&inherited.from, &inherited.to) {
        Heir::Successor
    } else {
        Heir::Stranger
    }
}

fn run_one_program(from: &Process, to: &Process) -> bool {
    let (Some(exe), Some(theirs)) = (exe(from), exe(to)) else {
        return from.comm == to.comm;
    };
    exe == theirs
        && match (
            program::program(exe, from.cmdline.as_deref()),
            program::program(exe, to.cmdline.as_deref()),
        ) {
            (Program::Operand(ours), Program::Operand(theirs)) => ours == theirs,
            _ => true,
        }
}

fn exe(process: &Process) -> Option<&str> {
    let exe = process.exe.as_deref()?;
    Some(exe.strip_suffix(" (deleted)").unwrap_or(exe))
}

/// From whom it is, behind what says who has it: `; sleep[9] has inherited the socket from python3[7], which ...`.
pub(in crate::verdict) fn origin(inherited: &Inheritance, blocker: &Blocker) -> String {
    let Inheritance {
        from,
        from_alive,
        to,
        ..
    } = inherited;
    if from.is_same(to) {
        return format!(
            "; it was bound before that process executed its present program, when it was {}",
            name::process(from)
        );
    }
    let fate = match from_alive {
        _ if has_creator(blocker, inherited) => ", which bound it and has it open too",
        Some(false) => ", which bound it and has ended",
        Some(true) => ", which bound it and was not found to have it open any more",
        None => ", which bound it",
    };
    let holders = name::holders(blocker);
    let heir = if holders.first().is_some_and(|first| first.is_same(to)) {
        "it".to_owned()
    } else {
        name::process(to)
    };
    format!(
        "; {heir} has inherited the socket from {}{fate}",
        name::process(from)
    )
}

#[cfg(test)]
mod tests;
