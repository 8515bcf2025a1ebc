//! What a run needs before its first record: what was open before it began.

use std::collections::HashMap as StdHashMap;

use anyhow::{Context, Result};
use aya::{
    Ebpf,
    maps::{HashMap, Map},
};
use portwatch_common::{
    event::{holder::Holder, socket::state},
    maps::INDEX_WAYS,
};

use crate::{
    bpf::{attach::Attached, iterators::Iterators},
    machine::{Machine, clock},
};
use portwatch_core::assemble::Assembler;

/// Of `bpf(2)`: only if there is none yet.
const BPF_NOEXIST: u64 = 1;
/// `IPPROTO_TCP` and `IPPROTO_MPTCP`.
const TCP: [u16; 2] = [6, 262];

/// Takes the snapshot, and makes the assembler that begins with it.
pub(super) fn assembler(mut ebpf: Ebpf, attached: &Attached) -> Result<Assembler<Machine>> {
    let index = ebpf.take_map("PORT_INDEX");
    let iterators = if attached.has("holders") {
        Some(Iterators::new(ebpf)?)
    } else {
        None
    };
    let mut machine = Machine::new(iterators).context("reading the clock")?;
    let open = machine
        .open_sockets(0)
        .context("looking through the open sockets")?;
    if let Some(index) = index {
        fill_index(index, &open.rows)?;
    }
    let mut assembler = Assembler::new(machine, clock::sample().context("reading the clock")?);
    assembler.snapshot(&open.descriptors);
    Ok(assembler)
}

/// Tells the kernel side of the sockets that were bound before it was there. Their bytes are those of
/// `portwatch_common::maps::{IndexKey, PortIndex}`.
fn fill_index(index: Map, rows: &[Holder]) -> Result<()> {
    let mut index: HashMap<_, [u32; 2], [u64; 1 + INDEX_WAYS]> = HashMap::try_from(index)?;
    let mut ports: StdHashMap<[u32; 2], (u64, Vec<u64>)> = StdHashMap::new();
    for Holder {
        socket, boot_ns, ..
    } in rows
    {
        if TCP.contains(&socket.protocol) && matches!(socket.state, state::LISTEN | state::CLOSE) {
            let port = [socket.netns, u32::from(socket.local.port)];
            let (listened_ns, sockets) = ports.entry(port).or_default();
            if socket.state == state::LISTEN {
                *listened_ns = *boot_ns;
            }
            if !sockets.contains(&socket.sk) {
                sockets.push(socket.sk);
            }
        }
    }
    for (port, (listened_ns, sockets)) in ports {
        let mut entry = [0; 1 + INDEX_WAYS];
        entry[0] = listened_ns;
        entry[1..]
            .iter_mut()
            .zip(sockets)
            .for_each(|(way, socket)| *way = socket);
        // Best effort: without the index a listener may hide in a very full bucket.
        // An entry that is there is newer.
        let _ = index.insert(port, entry, BPF_NOEXIST);
    }
    Ok(())
}
