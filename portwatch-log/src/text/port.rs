//! The line of a watched port that was taken or released.

use std::io::{self, Write};

use super::{
    Moment, Text,
    attempt::{ADDRESS_COLUMNS, CALL_COLUMNS, Gap},
};
use crate::theme::Theme;
use portwatch_core::model::{
    port::{Action, How, Port, Reason},
    socket::Address,
};

impl Text {
    pub(super) fn port(
        &self,
        port: &Port,
        moment: &Moment<'_>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Theme { faint, .. } = self.theme;
        let call = format!("{:<6} {}", "port", port.proto);
        let out_of_here = port.how == Some(How::Connect);
        writeln!(
            out,
            "{faint}{moment}{faint:#}  {call:<CALL_COLUMNS$} {}  {}",
            self.ends(&port.local, port.remote.as_ref(), out_of_here),
            self.fate(port),
        )
    }

    /// One end, or both. Only a port that `connect()` picked tells who called whom.
    pub(super) fn ends(
        &self,
        local: &Address,
        remote: Option<&Address>,
        out_of_here: bool,
    ) -> String {
        let Theme { address, .. } = self.theme;
        let arrow = if out_of_here { "->" } else { "<->" };
        if let Some(remote) = remote {
            return format!("{address}{local}{address:#} {arrow} {address}{remote}{address:#}");
        }
        let local = local.to_string();
        let gap = Gap(ADDRESS_COLUMNS, &local);
        format!("{address}{local}{address:#}{gap}")
    }

    fn fate(&self, port: &Port) -> String {
        let who = port.owner.as_ref().map(|owner| self.owner(owner));
        match (port.action, port.how, who) {
            (Action::Taken, Some(How::Accept), Some(who)) => {
                format!("taken for an incoming connection of {who}")
            }
            (Action::Taken, Some(How::Accept), None) => "taken for an incoming connection".into(),
            (Action::Taken, Some(how), Some(who)) => format!("taken by {who} ({})", how.as_str()),
            (Action::Taken, Some(how), None) => format!("taken ({})", how.as_str()),
            (Action::Taken, None, Some(who)) => format!("taken by {who}"),
            (Action::Taken, None, None) => "taken".into(),
            (Action::Released, _, who) => {
                let had = who
                    .map(|who| format!(", previously held by {who}"))
                    .unwrap_or_default();
                let left = if port.reason == Some(Reason::TimeWait) {
                    " (its TIME_WAIT keeps the port)"
                } else {
                    ""
                };
                format!("released{had}{left}")
            }
        }
    }
}
