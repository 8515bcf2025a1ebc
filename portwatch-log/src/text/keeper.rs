//! Who has a name of the unix family, and what keeps a socket open without a descriptor.

use std::io::{self, Write};

use super::{
    Text,
    who::{Short, Who, command},
};
use crate::theme::Theme;
use portwatch_core::{
    model::{
        attempt::Attempt,
        keeper::{Keeper, KeeperHow},
        process::Holder,
        unix::{UnixName, UnixSocket},
    },
    words::escape::quoted,
};

/// How many sockets, and how many holders of one, are named.
const NAMED: usize = 6;

impl Text {
    pub(super) fn unix(
        &self,
        found: &UnixName,
        attempt: &Attempt,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Theme {
            state,
            address,
            faint,
            ..
        } = self.theme;
        let place = attempt.addr.as_deref().unwrap_or_default();
        for UnixSocket {
            listening, holders, ..
        } in found.sockets.iter().take(NAMED)
        {
            let Some(Holder { process, fd }) = holders.first() else {
                continue;
            };
            let (name, theme) = (if *listening { "LISTEN" } else { "BOUND" }, self.theme);
            self.fact(
                "held by",
                format_args!(
                    "{}  {state}{name}{state:#} {address}{}{address:#}  {faint}fd {fd}{faint:#}",
                    Who { process, theme },
                    quoted(place),
                ),
                out,
            )?;
            let others: Vec<String> = holders[1..]
                .iter()
                .take(NAMED)
                .map(|Holder { process, fd }| format!("{} fd {fd}", Short(process)))
                .collect();
            let more = holders.len() - 1 - others.len();
            if !others.is_empty() {
                let rest = if more == 0 {
                    String::new()
                } else {
                    format!(" and {more} more")
                };
                self.fact("open in", format_args!("{}{rest}", others.join(", ")), out)?;
            }
            if let Some(command) = command(process) {
                self.fact("command", command, out)?;
            }
        }
        Ok(())
    }

    pub(super) fn kept_by(&self, kept: &Keeper, out: &mut impl Write) -> io::Result<()> {
        let Keeper {
            how,
            process,
            tid,
            fd,
            call,
            sender,
            shared,
        } = kept;
        let who = Who {
            process,
            theme: self.theme,
        };
        let fd = |before: &str| match fd {
            Some(fd) => format!("{before}fd {fd}"),
            None => String::new(),
        };
        let what = match how {
            KeeperHow::Message => {
                let from = sender
                    .as_ref()
                    .map(|sender| format!(", sent by {}", Short(sender)));
                format!(
                    "a message not received{}{}",
                    fd(" on "),
                    from.unwrap_or_default()
                )
            }
            KeeperHow::Call => {
                let call = call
                    .as_deref()
                    .map_or_else(|| "a call".to_owned(), |call| format!("{}()", quoted(call)));
                let tid = tid
                    .map(|tid| format!(" of thread {tid}"))
                    .unwrap_or_default();
                format!("{call}{tid}{}", fd(", on what was "))
            }
            KeeperHow::IoUring => format!("io_uring{}", fd(", ")),
        };
        let more = if *shared { ", and not it alone" } else { "" };
        self.fact("kept by", format_args!("{who}  {what}{more}"), out)
    }
}
