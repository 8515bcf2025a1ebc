//! Words about a socket that is open without a descriptor.

use crate::model::{
    attempt::Blocker,
    keeper::{Keeper, KeeperHow},
    process::Process,
    socket::State,
    verdict::Cause,
};
use crate::prelude::*;

use crate::verdict::{rule::case::Other, words::name};

/// The cause that it proves.
pub(in crate::verdict) fn cause(blocker: &Blocker) -> Option<Cause> {
    Some(match blocker.kept_by.as_ref()?.how {
        KeeperHow::Message => Cause::DescriptorInFlight,
        KeeperHow::Call | KeeperHow::IoUring => Cause::PendingRelease,
    })
}

/// One line that says what keeps it.
pub(in crate::verdict) fn summary(blocker: &Blocker, kept: &Keeper) -> String {
    let state = name::state(blocker.state);
    let socket = format!(
        "nobody has a descriptor of the socket on {} ({state})",
        blocker.local
    );
    let keeper = name::process(&kept.process);
    let why = match kept.how {
        KeeperHow::Message => {
            let from = kept
                .sender
                .as_ref()
                .map(|sender| format!(", sent by {},", name::process(sender)))
                .unwrap_or_default();
            let fd = kept.fd.map(|fd| format!(" (fd {fd})")).unwrap_or_default();
            format!(
                "it is in a message (SCM_RIGHTS){from} that waits in a unix socket of {keeper}{fd} and has not been \
                 received"
            )
        }
        KeeperHow::Call => format!(
            "{} still waits for it{}{}",
            thread(kept),
            call(kept),
            if kept.shared {
                ", and is not alone"
            } else {
                ""
            }
        ),
        KeeperHow::IoUring => match kept.fd {
            Some(fd) => {
                format!("an io_uring of {keeper} (fd {fd}) has it among its registered files")
            }
            None => format!("an io_uring request of {keeper} still waits for it"),
        },
    };
    format!("{socket}, but {why}")
}

/// `thread 7 of java[977]`, or the process alone where it has acted with its first thread.
fn thread(kept: &Keeper) -> String {
    let process = name::process(&kept.process);
    match kept.tid {
        Some(tid) if tid != kept.process.pid => format!("thread {tid} of {process}"),
        _ => process,
    }
}

/// `, in accept4() on what was its fd 5`.
fn call(kept: &Keeper) -> String {
    let Some(call) = &kept.call else {
        return String::new();
    };
    let fd = kept.fd.map(|fd| format!(" on what was its fd {fd}"));
    format!(", in {}(){}", name::text(call), fd.unwrap_or_default())
}

/// What frees it, as an order.
pub(in crate::verdict) fn order(other: &Other<'_>, kept: &Keeper, caller: &Process) -> String {
    let keeper = name::process_and_service(&kept.process);
    // The caller is not told to stop itself.
    let stop = |what: &str, end: &str| match (kept.shared, kept.process.is_same(caller)) {
        (true, _) => format!(", or stop every process that {what}{end}"),
        (false, true) => String::new(),
        (false, false) => format!(", or stop {keeper}{end}"),
    };
    match kept.how {
        KeeperHow::Message => format!(
            "make {keeper} receive the message and close the descriptor that comes with it{}",
            stop("has that unix socket open", ", which drops the message")
        ),
        KeeperHow::Call if kept.shared => {
            "end every call that waits for it (a signal that its thread handles does that), or stop every process \
             that is in one"
                .to_owned()
        }
        KeeperHow::Call => {
            let next = if is_accept(other, kept) {
                "; from the next start on, shutdown() the socket before close(), which ends accept() in other \
                 threads"
            } else {
                ""
            };
            format!(
                "end the call that {} is in (a signal that this thread handles does that){}{next}",
                thread(kept),
                stop("waits for it", "")
            )
        }
        KeeperHow::IoUring => {
            let take = if kept.fd.is_some() {
                "take it from its registered files"
            } else {
                "cancel that request"
            };
            format!("make {keeper} {take}{}", stop("has that ring open", ""))
        }
    }
}

/// What this very call would have succeeded with.
pub(in crate::verdict) fn condition(other: &Other<'_>, kept: &Keeper) -> String {
    let keeper = name::process(&kept.process);
    match kept.how {
        KeeperHow::Message => {
            format!("{keeper} had received the message and closed the descriptor that came with it")
        }
        KeeperHow::Call if is_accept(other, kept) => {
            format!("{keeper} had called shutdown() on the socket before it closed it")
        }
        KeeperHow::Call if kept.shared => "every call that waits for it had ended".to_owned(),
        KeeperHow::Call => format!("the call that {} is in had ended", thread(kept)),
        KeeperHow::IoUring if kept.fd.is_some() => {
            format!("{keeper} had taken the socket from the registered files of its io_uring")
        }
        KeeperHow::IoUring => format!("the io_uring request of {keeper} had ended"),
    }
}

/// A thread in `accept()` alone: `shutdown()` of a listener ends that, and so does a connection.
fn is_accept(other: &Other<'_>, kept: &Keeper) -> bool {
    let accepts = matches!(kept.call.as_deref(), Some("accept" | "accept4"));
    accepts && !kept.shared && other.blocker.state == State::Listen
}

/// The one that is kept among those to be closed, if it is alone.
pub(in crate::verdict) fn alone<'a, 'b>(
    closing: &[&'b Other<'a>],
) -> Option<(&'b Other<'a>, &'a Keeper)> {
    match closing {
        [only] => Some((only, only.blocker.kept_by.as_ref()?)),
        _ => None,
    }
}

/// True if one that is kept is among those to be closed.
pub(in crate::verdict) fn is_among(closing: &[&Other<'_>]) -> bool {
    closing.iter().any(|other| other.blocker.kept_by.is_some())
}

#[cfg(test)]
mod tests;
