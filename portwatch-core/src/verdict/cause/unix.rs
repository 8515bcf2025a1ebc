//! Verdicts on names of the unix family. The kernel asks for no option here: one socket has a name, a file is there
//! or it is not.

use crate::prelude::*;
use core::cmp::Ordering;

use crate::model::{
    attempt::{Attempt, Op},
    process::Process,
    unix::{FileKind, UnixName, UnixSocket},
    verdict::{Cause, Certainty, Verdict},
};

use crate::verdict::{who::same_service, words::name};

/// The verdict on a name that is in use; `None` where none was asked for.
pub(in crate::verdict) fn verdict(attempt: &Attempt, found: &UnixName) -> Option<Verdict> {
    if attempt.op != Op::Bind {
        return None;
    }
    let place = name::requested(attempt)?;
    let facts = Facts {
        attempt,
        found,
        place,
    };
    Some(if found.is_abstract {
        facts.of_abstract()
    } else {
        facts.of_path()
    })
}

/// `bind()` of `net/unix/af_unix.c`: `unix_bind_bsd()`.
const PATH: &str =
    "bind() makes a new file at the path, and refuses where there is one already, whatever it is";

/// `unix_bind_abstract()`.
const ABSTRACT: &str = "an abstract name belongs to one socket in a network namespace, and is free again when the \
                        last descriptor of that socket is closed: there is no file to remove";

struct Facts<'a> {
    attempt: &'a Attempt,
    found: &'a UnixName,
    place: String,
}

/// The words for one state of things.
struct Said {
    confidence: Certainty,
    summary: String,
    remedies: Vec<String>,
    would_succeed_if: Vec<String>,
}

impl Facts<'_> {
    fn of_path(&self) -> Verdict {
        let place = &self.place;
        let removed = || vec![format!("{place} had been removed before this call")];
        let said = match (self.found.file, self.found.served) {
            (Some(FileKind::Socket), Some(true)) => self.served_path(),
            (Some(FileKind::Socket), Some(false)) => Said {
                confidence: Certainty::Walked,
                summary: format!(
                    "{place} is a socket file that was left behind: when the processes were looked through just \
                     after, none had a socket open that is bound to it"
                ),
                remedies: vec![format!(
                    "remove {place}, and have the program unlink() its path before bind(): closing a socket \
                     does not remove its file"
                )],
                would_succeed_if: removed(),
            },
            (Some(FileKind::Socket), None) => Said {
                confidence: Certainty::Walked,
                summary: format!(
                    "there is a socket file at {place} already; whether somebody serves it is not known"
                ),
                remedies: vec![self.remove_if_unserved()],
                would_succeed_if: removed(),
            },
            (Some(FileKind::Other), _) => Said {
                confidence: Certainty::Walked,
                summary: format!(
                    "what is at {place} is no socket file: a file of another kind, or a directory"
                ),
                remedies: vec![format!("use another path, or move away what is at {place}")],
                would_succeed_if: vec![format!("nothing had been at {place}")],
            },
            (Some(FileKind::Missing), _) => Said {
                confidence: Certainty::Walked,
                summary: format!(
                    "there was a file at {place} when the call was made; just after it there was none any more"
                ),
                remedies: vec![
                    "call bind() again: nothing was at the path a moment later".to_owned(),
                ],
                would_succeed_if: Vec::new(),
            },
            (None, _) => Said {
                confidence: Certainty::Inferred,
                summary: format!(
                    "there was a file at {place} already; what it is could not be seen"
                ),
                remedies: vec![self.remove_if_unserved()],
                would_succeed_if: vec![format!("nothing had been at {place}")],
            },
        };
        self.verdict(Cause::UnixPath, PATH, said)
    }

    fn remove_if_unserved(&self) -> String {
        format!(
            "remove {} before bind() if no process serves it any more",
            self.place
        )
    }

    fn served_path(&self) -> Said {
        let (place, names) = (&self.place, self.names());
        let own = self.is_own();
        let remedies = if own {
            vec![format!(
                "bind only once, or close the first socket of this same process and unlink() {place} before bind()"
            )]
        } else if self.has_caller() {
            vec![format!(
                "make {names} close that socket, and unlink() {place} before bind(); or use another path"
            )]
        } else {
            vec![format!(
                "stop {names}, and remove {place} if it is still there then; or use another path (to remove the \
                 file alone would leave {names} running where no new client finds it)"
            )]
        };
        let who = if own {
            "the first socket had been closed".to_owned()
        } else if self.has_caller() {
            format!("{names} had closed that socket")
        } else {
            format!("{names} had ended")
        };
        Said {
            confidence: Certainty::Walked,
            summary: format!("{} is bound to {place}{}", self.socket(), self.instance()),
            remedies,
            would_succeed_if: vec![format!(
                "{who} and {place} had been removed before this call"
            )],
        }
    }

    fn of_abstract(&self) -> Verdict {
        let place = &self.place;
        let said = match self.found.served {
            Some(true) if self.processes().is_empty() => self.unseen_abstract(),
            Some(true) => self.served_abstract(),
            Some(false) => Said {
                confidence: Certainty::Inferred,
                summary: format!(
                    "a socket had the abstract name {place} when the call was made; no process had one open just \
                     after it"
                ),
                remedies: Vec::new(),
                would_succeed_if: Vec::new(),
            },
            None => self.unseen_abstract(),
        };
        self.verdict(Cause::UnixAbstract, ABSTRACT, said)
    }

    fn unseen_abstract(&self) -> Said {
        Said {
            confidence: Certainty::Inferred,
            summary: format!(
                "a socket of this network namespace has the abstract name {}; whose it is could not be seen",
                self.place
            ),
            remedies: vec!["use another name, or stop who has it".to_owned()],
            would_succeed_if: Vec::new(),
        }
    }

    fn served_abstract(&self) -> Said {
        let (place, names) = (&self.place, self.names());
        let remedies = if self.is_own() {
            vec!["close the first socket of this same process, or bind only once".to_owned()]
        } else if self.has_caller() {
            vec![format!(
                "make {names} close that socket, or use another name"
            )]
        } else {
            vec![format!(
                "stop {names}, or make every process that has it close that socket, or use another name"
            )]
        };
        Said {
            confidence: Certainty::Walked,
            summary: format!(
                "{} has the abstract name {place}{}",
                self.socket(),
                self.instance()
            ),
            remedies,
            would_succeed_if: vec![if self.is_own() {
                "the first socket had been closed".to_owned()
            } else {
                format!("{} had closed the socket that has {place}", self.who())
            }],
        }
    }

    fn verdict(&self, cause: Cause, because: &str, said: Said) -> Verdict {
        let also = [
            (self.has_caller(), Cause::SelfConflict),
            (self.service().is_some(), Cause::SameService),
        ];
        let also = also.into_iter().filter(|(holds, _)| *holds);
        Verdict {
            cause,
            also: also.map(|(_, cause)| cause).collect(),
            confidence: said.confidence,
            summary: said.summary,
            because: because.to_owned(),
            remedies: said.remedies,
            would_succeed_if: said.would_succeed_if,
        }
    }

    /// `a listening socket of nginx[12]`.
    fn socket(&self) -> String {
        let listens = self.found.sockets.iter().any(|socket| socket.listening);
        let kind = if listens { "listening " } else { "" };
        format!("a {kind}socket of {}", self.who())
    }

    /// Every process that has such a socket open, once.
    fn processes(&self) -> Vec<&Process> {
        processes(&self.found.sockets)
    }

    /// The caller alone has it.
    fn is_own(&self) -> bool {
        self.has_caller() && self.processes().len() == 1
    }

    /// The caller is one of those that have it.
    fn has_caller(&self) -> bool {
        let caller = &self.attempt.process;
        self.processes()
            .iter()
            .any(|process| process.is_same(caller))
    }

    /// Those to be stopped.
    fn names(&self) -> String {
        let names: Vec<String> = self
            .processes()
            .into_iter()
            .map(name::process_and_service)
            .collect();
        name::list(&names)
    }

    /// Those who have it, in a sentence.
    fn who(&self) -> String {
        let caller = &self.attempt.process;
        if self.is_own() {
            return format!("{} itself{}", name::process(caller), self.descriptors());
        }
        let names: Vec<String> = self.processes().into_iter().map(name::process).collect();
        name::list(&names)
    }

    fn descriptors(&self) -> String {
        let first = self
            .found
            .sockets
            .iter()
            .flat_map(|socket| &socket.holders)
            .next();
        match (first, self.attempt.socket.fd) {
            (Some(holder), Some(fd)) => {
                format!(" (fd {}; this attempt was on fd {fd})", holder.fd)
            }
            _ => String::new(),
        }
    }

    fn service(&self) -> Option<(&Process, same_service::Relation<'_>)> {
        let caller = &self.attempt.process;
        self.processes()
            .into_iter()
            .find_map(|process| Some((process, same_service::relation(caller, process)?)))
    }

    fn instance(&self) -> String {
        let Some((other, relation)) = self.service() else {
            return String::new();
        };
        let age = match same_service::age(&self.attempt.process, other) {
            Some(Ordering::Less) => "an older",
            Some(Ordering::Greater) => "a newer",
            Some(Ordering::Equal) | None => "another",
        };
        format!("; it is {age} instance of the same service ({relation})")
    }
}

fn processes(sockets: &[UnixSocket]) -> Vec<&Process> {
    let mut found: Vec<&Process> = Vec::new();
    for holder in sockets.iter().flat_map(|socket| &socket.holders) {
        if !found.iter().any(|known| known.is_same(&holder.process)) {
            found.push(&holder.process);
        }
    }
    found
}

#[cfg(test)]
mod tests;
