//! The line of an attempt.

use std::{
    fmt,
    io::{self, Write},
    net::IpAddr,
};

use super::{Moment, Text, episode::still, fold::Shown, who::Who};
use crate::theme::Theme;
use portwatch_core::{
    model::{
        attempt::Attempt,
        socket::{Address, Proto},
    },
    words::escape::{escape, quoted},
};

/// Columns that are kept for a call with its protocol, for an address and for a process, so that most lines are aligned.
pub(super) const CALL_COLUMNS: usize = 12;
pub(super) const ADDRESS_COLUMNS: usize = 20;
const PROCESS_COLUMNS: usize = 32;
/// Columns of a namespace's name.
const NETNS_COLUMNS: usize = 60;

impl Text {
    pub(super) fn attempt(
        &self,
        attempt: &Attempt,
        shown: &Shown,
        moment: &Moment<'_>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let theme @ Theme {
            faint,
            address,
            ok,
            bad,
            ..
        } = self.theme;
        let Attempt {
            op,
            proto,
            process,
            result,
            ..
        } = attempt;
        let style = if attempt.errno == 0 { ok } else { bad };
        let call = format!("{:<6} {proto}", op.as_str());
        let requested = requested(attempt);
        // It acts in whatever process there is.
        let kernel = if attempt.facts.kernel {
            "the kernel, in "
        } else {
            ""
        };
        let plain = format!(
            "{kernel}{}",
            Who {
                process,
                theme: Theme::plain(),
            }
        );
        let still = match (shown, &attempt.failure) {
            (Shown::Still { attempts, ns }, Some(failure)) => still(failure, *attempts, *ns),
            _ => String::new(),
        };
        writeln!(
            out,
            "{faint}{moment}{faint:#}  {call:<CALL_COLUMNS$} \
             {address}{requested}{address:#}{address_gap}  {kernel}{who}{who_gap}  {style}{result}{style:#}{netns}{still}",
            address_gap = Gap(ADDRESS_COLUMNS, &requested),
            who = Who { process, theme },
            who_gap = Gap(PROCESS_COLUMNS, &plain),
            result = escape(result),
            netns = self.netns_of(attempt),
        )?;
        match &attempt.failure {
            Some(failure) if *shown == Shown::Full => self.failure(attempt, failure, moment, out),
            _ => Ok(()),
        }
    }
}

impl Text {
    /// The network namespace, where it is not the host's own.
    fn netns_of(&self, attempt: &Attempt) -> String {
        let Theme { faint, .. } = self.theme;
        match (attempt.netns, &attempt.netns_name) {
            (Some(netns), _) if self.netns == Some(netns) => String::new(),
            (Some(_), Some(name)) => {
                format!(
                    "  {faint}(netns {}){faint:#}",
                    quoted(name).cut(NETNS_COLUMNS)
                )
            }
            (Some(netns @ 1..), None) if self.netns.is_some() => {
                format!("  {faint}(netns {netns}){faint:#}")
            }
            _ => String::new(),
        }
    }
}

/// What was asked for, and the port that came of it where any was asked for.
fn requested(attempt: &Attempt) -> String {
    let Attempt {
        proto,
        addr,
        port,
        bound_port,
        device,
        ..
    } = attempt;
    let requested = place(*proto, addr.as_deref(), *port);
    if *proto == Proto::Unix {
        return requested;
    }
    let device = device
        .as_deref()
        .map(|device| format!("%{}", quoted(device)));
    let bound = match (port, bound_port) {
        (Some(0), Some(bound @ 1..)) => Some(format!(" -> {bound}")),
        _ => None,
    };
    [Some(requested), device, bound]
        .into_iter()
        .flatten()
        .collect()
}

/// An address and port, or a path.
pub(super) fn place(proto: Proto, addr: Option<&str>, port: Option<u16>) -> String {
    if proto == Proto::Unix {
        return match addr {
            None => "?".to_owned(),
            // unix(7): with the family alone, the kernel makes a name up.
            Some("") => "(any)".to_owned(),
            Some(path) => quoted(path).to_string(),
        };
    }
    match (addr, port) {
        (None, None) => "?".to_owned(),
        (None, Some(port)) => format!("?:{port}"),
        (Some(addr), None) => quoted(addr).to_string(),
        (Some(addr), Some(port)) => match addr.parse::<IpAddr>() {
            Ok(addr) => Address { addr, port }.to_string(),
            Err(_) => format!("{}:{port}", quoted(addr)),
        },
    }
}

/// Spaces that fill `text` up to a column: `{:<}` would count the colours too.
pub(super) struct Gap<'a>(pub(super) usize, pub(super) &'a str);

impl fmt::Display for Gap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(columns, text) = *self;
        let gap = columns.saturating_sub(text.chars().count());
        write!(f, "{:gap$}", "")
    }
}
