//! The blocker of an attempt, and its verdict.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, Write},
};

use jiff::Timestamp;

use super::{
    Moment, Text, inheritance,
    who::{Short, Who, command, on_behalf_of},
};
use crate::theme::Theme;
use portwatch_core::words::span::span;
use portwatch_core::{
    model::{
        attempt::{Attempt, Blocker, Failure, RangeUse, RangeUser},
        process::{Holder, Owner, Process, Source},
        socket::State,
        verdict::{Certainty, Verdict},
    },
    words::escape::{escape, quoted},
};

/// How many processes a line names before it counts the rest.
const NAMED: usize = 6;

/// Who has the automatic port range.
fn taken_by(range: &RangeUse) -> String {
    let RangeUse { size, open, by } = range;
    let mut line = format!("{open} of {size} ports are open in a process");
    for (position, RangeUser { process, ports }) in by.iter().enumerate() {
        let lead = if position == 0 { ":" } else { "," };
        let who = Short(process);
        // Writing to memory does not fail.
        let _ = std::fmt::Write::write_fmt(&mut line, format_args!("{lead} {who} {ports}"));
    }
    line
}

impl Text {
    pub(super) fn failure(
        &self,
        attempt: &Attempt,
        failure: &Failure,
        moment: &Moment<'_>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let primary = failure.blockers.iter().find(|blocker| blocker.primary);
        if let Some(primary) = primary {
            self.primary(primary, attempt, moment, out)?;
            if let Some(rest) = rest(failure, primary) {
                self.fact("and", rest, out)?;
            }
        }
        if let Some(found) = &failure.unix {
            self.unix(found, attempt, out)?;
        }
        if let Some(range) = &failure.range_use {
            self.fact("taken by", taken_by(range), out)?;
        }
        match &failure.verdict {
            Some(verdict) => self.verdict(verdict, primary.is_some(), out),
            None => Ok(()),
        }
    }

    pub(super) fn fact(
        &self,
        label: &str,
        fact: impl Display,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Theme { label: style, .. } = self.theme;
        writeln!(out, "  {style}{label:<8}{style:#} {fact}")
    }

    /// Alternatives, one a line.
    fn facts(&self, label: &str, facts: &[String], out: &mut impl Write) -> io::Result<()> {
        for (position, fact) in facts.iter().enumerate() {
            self.fact(
                if position == 0 { label } else { "      or" },
                escape(fact),
                out,
            )?;
        }
        Ok(())
    }

    fn verdict(&self, verdict: &Verdict, blocked: bool, out: &mut impl Write) -> io::Result<()> {
        let Verdict {
            cause,
            also,
            confidence,
            summary,
            because,
            remedies,
            would_succeed_if,
        } = verdict;
        let Theme {
            cause: style,
            faint,
            ..
        } = self.theme;
        let mut text = format!("{style}{}{style:#}", cause.as_str());
        if !summary.is_empty() {
            text = format!("{text}: {}", escape(summary));
        }
        // With a blocker, that line says how sure it is.
        if !blocked && *confidence == Certainty::Inferred {
            text = format!("{text}  {faint}{}{faint:#}", certainty(*confidence));
        }
        self.fact("cause", text, out)?;
        if !because.is_empty() && because != summary {
            self.fact("because", escape(because), out)?;
        }
        self.facts("works if", would_succeed_if, out)?;
        if !also.is_empty() {
            let ids: Vec<&str> = also.iter().map(|cause| cause.as_str()).collect();
            self.fact("also", ids.join(", "), out)?;
        }
        self.facts("try", remedies, out)
    }

    fn primary(
        &self,
        blocker: &Blocker,
        attempt: &Attempt,
        moment: &Moment<'_>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Theme { state, faint, .. } = self.theme;
        let process = shown(blocker);
        let who = match process {
            Some(process) => Who {
                process,
                theme: self.theme,
            }
            .to_string(),
            None => nobody(blocker).to_owned(),
        };
        let exited = blocker
            .owner
            .as_ref()
            .is_some_and(|owner| owner.alive == Some(false));
        let socket = format!(
            "{state}{}{state:#} {}",
            state_name(blocker),
            self.place(blocker)
        );
        let sure = format!("{faint}{}{faint:#}", certainty(blocker.certainty));
        let who = if exited {
            format!("{who} (exited)")
        } else {
            who
        };
        let parts: Vec<String> = [
            Some(who),
            Some(socket),
            self.when(blocker, moment),
            Some(sure),
        ]
        .into_iter()
        .flatten()
        .collect();
        let text = parts.join("  ");
        let left = process.is_some() && is_left_behind(blocker);
        self.fact(if left { "left by" } else { "held by" }, text, out)?;
        if let Some(holders) = open_in(blocker, &attempt.process) {
            self.fact("open in", holders, out)?;
        }
        if let Some(behalf) = blocker.on_behalf_of.as_deref().and_then(on_behalf_of) {
            self.fact("for", behalf, out)?;
        }
        if let Some(way) = inheritance::came_by(blocker) {
            self.fact("came by", way, out)?;
        }
        if let Some(signal) = inheritance::signalled(blocker) {
            self.fact("was sent", signal, out)?;
        }
        if let Some(command) = process.and_then(command) {
            self.fact("command", command, out)?;
        }
        match &blocker.kept_by {
            Some(kept) => self.kept_by(kept, out),
            None => Ok(()),
        }
    }

    /// Where the socket is bound, and to whom it is connected.
    fn place(&self, blocker: &Blocker) -> String {
        let Theme { address, .. } = self.theme;
        let device = match (&blocker.device, blocker.device_index) {
            (Some(name), _) => format!("%{}", quoted(name)),
            (None, 0) => String::new(),
            (None, index) => format!("%{index}"),
        };
        let local = format!("{address}{}{device}{address:#}", blocker.local);
        match &blocker.remote {
            Some(remote) => {
                // Only a port that connect() picked tells who called whom.
                let arrow = if blocker.connected_out == Some(true) {
                    "->"
                } else {
                    "<->"
                };
                format!("{local} {arrow} {address}{remote}{address:#}")
            }
            None => local,
        }
    }

    /// Since when it has the port, and for how long it will have it.
    fn when(&self, blocker: &Blocker, moment: &Moment<'_>) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(since) = &blocker.since {
            let since_text = self.time_of_day(since, moment);
            let long = since
                .parse::<Timestamp>()
                .ok()
                .zip(moment.local.as_ref())
                .and_then(|(since, now)| {
                    u64::try_from(now.timestamp().duration_since(since).as_nanos()).ok()
                });
            parts.push(match long {
                Some(ns) => format!("since {since_text} ({})", span(ns)),
                None => format!("since {since_text}"),
            });
        } else if let Some(owner) = &blocker.owner {
            // What is left behind does not last as long as its process.
            let up = process_up(owner, moment).filter(|_| !is_left_behind(blocker));
            match (owner.source, up) {
                // Only the snapshot proves that it was there before; else its beginning went unseen.
                (Source::Snapshot, Some(up)) => parts.push(format!("before portwatch ({up})")),
                (Source::Snapshot, None) => parts.push("before portwatch".to_owned()),
                (Source::Observed | Source::Iterator, Some(up)) => parts.push(up),
                (Source::Observed | Source::Iterator, None) => {}
            }
        }
        if let Some(ms) = blocker.expires_in_ms {
            parts.push(format!(
                "at least {} left",
                span(ms.saturating_mul(1_000_000))
            ));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Who is named first: the owner, else whoever has it open.
fn shown(blocker: &Blocker) -> Option<&Process> {
    let holder = || blocker.holders.first().map(|holder| &holder.process);
    blocker
        .owner
        .as_ref()
        .map(|owner| &owner.process)
        .or_else(holder)
}

/// What is said where there is nobody to name.
fn nobody(blocker: &Blocker) -> &'static str {
    if blocker.kernel_socket {
        return "a kernel socket";
    }
    match blocker.state {
        // With a struct socket somebody could reach it; a descriptor may also be in flight in a message.
        _ if blocker.inode.is_some() => "unknown",
        State::TimeWait | State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing => {
            "no process"
        }
        // accept() makes the struct socket, and close() would have changed these states.
        State::Established | State::CloseWait | State::SynRecv => "no process yet (not accepted)",
        State::Listen | State::Bound | State::SynSent => "unknown",
    }
}

/// True for what stays behind after the process has let go of it.
fn is_left_behind(blocker: &Blocker) -> bool {
    let ending = matches!(
        blocker.state,
        State::TimeWait | State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing
    );
    ending && blocker.inode.is_none() && blocker.holders.is_empty()
}

/// As `ss` and `netstat` spell it, with the substate of a mini-socket that waits for the peer's FIN.
fn state_name(blocker: &Blocker) -> String {
    let name = blocker.state.as_str().to_ascii_uppercase();
    match blocker.substate {
        Some(substate) if substate != blocker.state => {
            format!("{name} ({})", substate.as_str().to_ascii_uppercase())
        }
        _ => name,
    }
}

const fn certainty(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Inferred => "inferred",
        Certainty::Walked => "walked",
        Certainty::Exact => "exact",
    }
}

fn process_up(owner: &Owner, moment: &Moment<'_>) -> Option<String> {
    if owner.alive == Some(false) {
        return None;
    }
    let up = moment
        .boot_ns
        .0
        .checked_sub(owner.process.start_boot_ns?.0)?;
    Some(format!("process up {}", span(up)))
}

/// The descriptors of the socket, where they say more than the owner does: another process has one, or it is the
/// caller's own socket.
fn open_in(blocker: &Blocker, caller: &Process) -> Option<String> {
    let owner = shown(blocker)?;
    let plain = blocker
        .holders
        .iter()
        .all(|holder| holder.process.is_same(owner));
    if plain && !owner.is_same(caller) {
        return None;
    }
    let holders = &blocker.holders;
    list(
        holders
            .iter()
            .map(|Holder { process, fd }| format!("{} fd {fd}", Short(process))),
    )
}

/// The other conflicting sockets, by state and with the names of their owners.
fn rest(failure: &Failure, primary: &Blocker) -> Option<String> {
    let mut by_state: BTreeMap<State, Vec<&Blocker>> = BTreeMap::new();
    for blocker in &failure.blockers {
        if !blocker.primary && blocker.conflicts == Some(true) && !blocker.came_later {
            by_state.entry(blocker.state).or_default().push(blocker);
        }
    }
    let total: usize = by_state.values().map(Vec::len).sum();
    if total == 0 {
        return None;
    }
    let counts = failure.blocker_counts.as_ref();
    let cut = counts.is_some_and(|counts| counts.truncated || counts.blockers_truncated);
    let mut groups = Vec::new();
    for (state, blockers) in &by_state {
        let mut others: Vec<&Process> = Vec::new();
        for process in blockers.iter().filter_map(|blocker| shown(blocker)) {
            let known = shown(primary).into_iter().chain(others.iter().copied());
            if !known.into_iter().any(|known| known.is_same(process)) {
                others.push(process);
            }
        }
        let group = format!("{} {}", blockers.len(), state.as_str().to_ascii_uppercase());
        let names = list(others.iter().map(|process| Short(process).to_string()));
        groups.push(names.map_or(group.clone(), |names| format!("{group} ({names})")));
    }
    Some(format!(
        "{}{total} more: {}",
        if cut { "at least " } else { "" },
        groups.join(", ")
    ))
}

/// The first few, and how many more.
fn list(items: impl ExactSizeIterator<Item = String>) -> Option<String> {
    let total = items.len();
    let text = items.take(NAMED).collect::<Vec<_>>().join(", ");
    match total {
        0 => None,
        1..=NAMED => Some(text),
        _ => Some(format!("{text} and {} more", total - NAMED)),
    }
}
