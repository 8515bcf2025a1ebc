//! How processes and places are named.

use super::{
    gather::Gather,
    lane::{Place, Space},
    names::{Actor, Name},
};
use crate::episodes::Blocker;
use portwatch_core::words::escape::quoted;

/// Columns of a name.
const COLUMNS: usize = 60;

/// `java[977] tomcat.service`; `None` for nobody that is known.
pub(super) fn who(found: &Gather, actor: Actor) -> Option<String> {
    let process = found.names.process(actor)?;
    let mut text = short(found, actor)?;
    let mut add = |name: Name| {
        if name != Name::NONE {
            let name = quoted(found.names.text(name)).cut(COLUMNS).to_string();
            text.push(' ');
            text.push_str(&name);
        }
    };
    if process.container == Name::NONE {
        add(process.unit);
    }
    add(process.container);
    Some(text)
}

/// `java[977]`.
pub(super) fn short(found: &Gather, actor: Actor) -> Option<String> {
    let process = found.names.process(actor)?;
    let comm = found.names.text(process.comm);
    Some(if comm.is_empty() {
        format!("pid {}", process.pid)
    } else {
        format!("{}[{}]", quoted(comm).cut(COLUMNS), process.pid)
    })
}

/// `java tomcat.service`.
pub(super) fn blocker(found: &Gather, blocker: &Blocker) -> String {
    let unit = if blocker.container == Name::NONE {
        blocker.unit
    } else {
        blocker.container
    };
    let names = [blocker.comm, unit];
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| *name != Name::NONE)
        .map(|name| quoted(found.names.text(name)).cut(COLUMNS).to_string())
        .collect();
    if names.is_empty() {
        "a process without a name".to_owned()
    } else {
        names.join(" ")
    }
}

/// `tcp 8080`, `unix /run/app.sock`; with the host and the namespace where there are several.
pub(super) fn place(found: &Gather, place: &Place) -> String {
    let what = match (place.proto, place.port) {
        (Space::Unix, _) => quoted(found.names.text(place.path))
            .cut(COLUMNS)
            .to_string(),
        (_, 0) => "any port".to_owned(),
        (_, port) => port.to_string(),
    };
    let mut text = format!("{} {what}", place.proto.as_str());
    if found.several_hosts() {
        text.push_str(" on ");
        text.push_str(
            &quoted(found.names.text(place.host))
                .cut(COLUMNS)
                .to_string(),
        );
    }
    text
}

impl Gather {
    /// True if the logs are of more than one host.
    pub(super) fn several_hosts(&self) -> bool {
        let mut hosts = self.lanes.iter().map(|(place, _)| place.host);
        let first = hosts.next();
        hosts.any(|host| Some(host) != first)
    }

    /// True if there are lanes of more than one network namespace.
    pub(super) fn several_namespaces(&self) -> bool {
        let mut spaces = self
            .lanes
            .iter()
            .map(|(place, _)| place.netns)
            .filter(|netns| *netns != 0);
        let first = spaces.next();
        spaces.any(|netns| Some(netns) != first)
    }
}
