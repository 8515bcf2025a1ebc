//! How retries went on, and how their episode ended.

use std::io::{self, Write};

use super::{
    Moment, Text,
    attempt::{ADDRESS_COLUMNS, CALL_COLUMNS, Gap, place},
    counted,
    fold::cause,
    who::{Short, Who},
};
use crate::theme::Theme;
use portwatch_core::model::{
    attempt::Failure,
    episode::{Episode, Outcome, Segment},
    freed::{Freed, FreedHow},
    process::Process,
    verdict::Cause,
};
use portwatch_core::words::span::span;

/// Spells that a line names before it counts the rest.
const NAMED: usize = 6;

impl Text {
    /// An episode that ended well belongs to the attempt that it follows; another one stands for itself.
    pub(super) fn episode(
        &self,
        episode: &Episode,
        moment: &Moment<'_>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Episode {
            process,
            proto,
            outcome,
            attempts,
            ..
        } = episode;
        let spells = spells(episode);
        if *outcome == Outcome::Bound {
            let blocked = of_ms(episode.blocked_ms);
            let tries = counted(*attempts, "attempt", "attempts");
            let freed = episode.freed_by.as_ref().map(|freed| {
                let at = self.time_of_day(&freed.time, moment);
                format!("; {} at {at}", freed_when(freed))
            });
            let freed = freed.unwrap_or_default();
            return self.fact(
                "episode",
                format!("blocked {blocked}{spells}{freed}; {tries}"),
                out,
            );
        }
        if !is_told(episode) {
            return Ok(());
        }
        let Theme { faint, address, .. } = self.theme;
        let call = format!("{:<6} {proto}", "episode");
        let requested = place(*proto, episode.addr.as_deref(), episode.port);
        let who = Who {
            process,
            theme: self.theme,
        };
        let ended = if *outcome == Outcome::GaveUp {
            "gave up after"
        } else {
            "not seen to succeed:"
        };
        let processes = if episode.processes > 1 {
            format!(" of {} processes", episode.processes)
        } else {
            String::new()
        };
        writeln!(
            out,
            "{faint}{moment}{faint:#}  {call:<CALL_COLUMNS$} {address}{requested}{address:#}{gap}  {who}  {ended} \
             {attempts} attempts{processes} in {}, blocked{spells}",
            of_ms(episode.blocked_ms),
            gap = Gap(ADDRESS_COLUMNS, &requested),
        )
    }
}

/// False for the episode of one failure, which was shown in full: there is no more to say.
pub(super) fn is_told(episode: &Episode) -> bool {
    episode.outcome == Outcome::Bound || episode.attempts > 1
}

/// What stands behind the errno of a retry that is not shown in full.
pub(super) fn still(failure: &Failure, attempts: u64, ns: u64) -> String {
    let by = by(cause(failure), failure.in_the_way());
    format!(", {attempts} attempts in {}, still blocked {by}", span(ns))
}

/// Who blocked it, and for how long where there was more than one.
fn spells(episode: &Episode) -> String {
    let Episode { by: spells, .. } = episode;
    let omitted = episode.by_omitted;
    match &spells[..] {
        [] => String::new(),
        [one] if omitted == 0 => format!(" {}", by(one.cause, one.owner.as_ref())),
        all => {
            let named: Vec<String> = all.iter().take(NAMED).map(spell).collect();
            let more = (all.len() - named.len()) as u64 + omitted;
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(": {}{more}", named.join(", "))
        }
    }
}

fn spell(segment: &Segment) -> String {
    format!(
        "{} {}",
        of_ms(segment.ms),
        by(segment.cause, segment.owner.as_ref())
    )
}

fn by(cause: Option<Cause>, owner: Option<&Process>) -> String {
    match (cause, owner) {
        (Some(Cause::TimeWait | Cause::EphemeralTimeWait), Some(owner)) => {
            format!("by a TIME_WAIT of {}", Short(owner))
        }
        (Some(cause), Some(owner)) => format!("by {} ({})", Short(owner), cause.as_str()),
        (None, Some(owner)) => format!("by {}", Short(owner)),
        (Some(cause), None) => format!("({})", cause.as_str()),
        (None, None) => "(no verdict)".to_owned(),
    }
}

fn freed_when(freed: &Freed) -> String {
    let owner = freed.owner.as_ref().map(|owner| Short(owner).to_string());
    match (freed.how, owner) {
        (FreedHow::Exited, Some(owner)) => format!("freed when {owner} ended"),
        (FreedHow::Exited, None) => "freed when its process ended".to_owned(),
        (FreedHow::Closed, Some(owner)) => format!("freed when the socket of {owner} was closed"),
        (FreedHow::Closed, None) => "freed when the socket was closed".to_owned(),
        (FreedHow::TimeWaitOver, _) => "freed when the TIME_WAIT was over".to_owned(),
    }
}

fn of_ms(ms: u64) -> String {
    span(ms.saturating_mul(1_000_000))
}
