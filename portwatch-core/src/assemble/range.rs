//! Who has the automatic port range, when the kernel finds no free port in it.

use crate::prelude::*;
use alloc::collections::{BTreeMap, BTreeSet};

use portwatch_common::{
    endpoint::{AF_INET, AF_INET6},
    event::attempt::{self as raw, flag},
};

use super::{Assembler, Descriptor, Surroundings};
use crate::model::attempt::{RangeUse, RangeUser};

/// `EADDRINUSE`.
const IN_USE: u32 = 98;
/// `IPPROTO_UDP` and `IPPROTO_UDPLITE`.
const UDP: [u16; 2] = [17, 136];

impl<S: Surroundings> Assembler<S> {
    /// `None` for an attempt that asked for a port of its own.
    pub(super) fn range_use(&mut self, raw: &raw::Attempt) -> Option<RangeUse> {
        let netns = raw.netns;
        let asked_for_any = raw.errno == IN_USE
            && raw.requested.port == 0
            // Other families ask for no port, and have 0 there.
            && matches!(raw.requested.family, AF_INET | AF_INET6)
            && raw.flags & flag::NETNS_READ != 0
            && netns.range_low <= netns.range_high;
        if !asked_for_any {
            return None;
        }
        let udp = UDP.contains(&raw.socket.protocol);
        let range = netns.range_low..=netns.range_high;
        let all = self
            .surroundings
            .open_sockets(raw.socket.netns, raw.header.boot_ns);
        let open: Vec<&Descriptor> = all
            .iter()
            .filter(|open| open.udp == udp && range.contains(&open.port))
            .collect();
        let ports: BTreeSet<u16> = open.iter().map(|open| open.port).collect();
        let mut processes: BTreeMap<(u32, u64), (&Descriptor, BTreeSet<u16>)> = BTreeMap::new();
        for open in open {
            let key = (open.pid, open.start_boot_ns);
            processes
                .entry(key)
                .or_insert_with(|| (open, BTreeSet::new()))
                .1
                .insert(open.port);
        }
        let mut by: Vec<_> = processes.into_values().collect();
        by.sort_by_key(|(_, ports)| core::cmp::Reverse(ports.len()));
        let by = by
            .into_iter()
            .take(RangeUse::NAMED)
            .map(|(open, ports)| RangeUser {
                process: self.opener(open),
                ports: u32::try_from(ports.len()).unwrap_or(u32::MAX),
            });
        Some(RangeUse {
            size: u32::from(netns.range_high - netns.range_low) + 1,
            open: u32::try_from(ports.len()).unwrap_or(u32::MAX),
            by: by.collect(),
        })
    }
}
