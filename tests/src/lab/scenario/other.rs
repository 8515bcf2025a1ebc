//! Protocols whose rules portwatch does not know.

use std::path::Path;

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, loopback,
    protocol::{Kind::Ping4, Opt::ReuseAddr},
};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::root("unknown", identifier_in_use)];

/// Two programs want the same identifier for their echo requests. Such sockets have `SO_REUSEADDR` from the beginning.
fn identifier_in_use(lab: &Lab) -> Result<()> {
    let identifier = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    holder.new_netns()?;
    let who_may = Path::new("/proc/sys/net/ipv4/ping_group_range");
    holder.write_file(who_may, "0 0")?;
    binder.join_netns(&holder)?;
    let held = holder.socket_with(Ping4, &[ReuseAddr(false)])?;
    holder.bind(held, identifier)?.ok()?;
    lab.checkpoint()?;
    let socket = binder.socket_with(Ping4, &[ReuseAddr(false)])?;
    binder
        .bind(socket, identifier)?
        .in_use(&Blame::cause("unknown"))?;
    holder.close(held)?;
    binder.bind(socket, identifier)?.ok()
}
