//! The line of a `TIME_WAIT` of a watched port.

use std::io::{self, Write};

use super::{Moment, Text, attempt::CALL_COLUMNS, who::Who};
use crate::theme::Theme;
use portwatch_core::model::{
    process::Owner,
    socket::State,
    time_wait::{Action, Reason, ReusedBy, TimeWait},
};
use portwatch_core::words::span::span;

impl Text {
    pub(super) fn time_wait(
        &self,
        time_wait: &TimeWait,
        moment: &Moment<'_>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Theme { faint, state, .. } = self.theme;
        let what = match time_wait.action {
            Action::Enter => entered(time_wait),
            Action::Rearm => rearmed(time_wait),
            Action::Leave => over(time_wait),
        };
        write!(
            out,
            "{faint}{moment}{faint:#}  {state}{:<CALL_COLUMNS$}{state:#} {}  {what}",
            "TIME_WAIT",
            self.ends(&time_wait.local, Some(&time_wait.remote), false),
        )?;
        if let Some(owner) = &time_wait.owner {
            write!(out, "  left by {}", self.owner(owner))?;
        }
        writeln!(out)
    }

    /// A process, and whether it is gone.
    pub(super) fn owner(&self, owner: &Owner) -> String {
        let who = Who {
            process: &owner.process,
            theme: self.theme,
        };
        let exited = if owner.alive == Some(false) {
            " (exited)"
        } else {
            ""
        };
        format!("{who}{exited}")
    }
}

fn entered(time_wait: &TimeWait) -> String {
    let waits = if time_wait.substate == Some(State::FinWait2) {
        ", waits for the peer's FIN (FIN_WAIT2)"
    } else {
        ""
    };
    let timer = time_wait
        .expires_in_ms
        .map(|ms| format!(", its timer is set to {}", of_ms(ms)))
        .unwrap_or_default();
    format!("entered{waits}{timer}")
}

fn rearmed(time_wait: &TimeWait) -> String {
    match (time_wait.expires_in_ms, time_wait.inferred) {
        (None, _) => "its timer was set again".to_owned(),
        (Some(ms), false) => format!("its timer is set again, to {}", of_ms(ms)),
        (Some(ms), true) => format!("its timer was set again, {} are left (inferred)", of_ms(ms)),
    }
}

fn over(time_wait: &TimeWait) -> String {
    let what = match (time_wait.reason, time_wait.reused_by) {
        (Some(Reason::Expired) | None, _) => "over",
        (Some(Reason::Killed), _) => "ended from outside",
        (Some(Reason::Reused), Some(ReusedBy::Syn)) => {
            "taken over by a new connection of the same peer (SYN)"
        }
        (Some(Reason::Reused), Some(ReusedBy::Connect)) => {
            "taken over by a new connection to the same peer (connect)"
        }
        (Some(Reason::Reused), None) => "taken over by a new connection with the same peer",
    };
    let bound = if time_wait.inferred { "at most " } else { "" };
    let lasted = time_wait
        .lasted_ms
        .map(|ms| format!(" after {bound}{}", of_ms(ms)))
        .unwrap_or_default();
    let sure = match (time_wait.reason, time_wait.inferred) {
        (None, _) => ", it was not seen why",
        (Some(_), true) => " (inferred)",
        (Some(_), false) => "",
    };
    format!("{what}{lasted}{sure}")
}

fn of_ms(ms: u64) -> String {
    span(ms.saturating_mul(1_000_000))
}
