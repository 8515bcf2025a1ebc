//! The user's filters, for the kernel and for the `start` record.

use aya::{Ebpf, maps::Array};
use portwatch_common::{
    config::{Config, proto},
    maps::{PORTS, port},
};

use crate::{
    bpf::error::BpfError,
    cli::{ProtoArg, TraceArgs},
};
use portwatch_core::model::record::Filters;
use portwatch_log::cli::PortRange;

/// For the object's `.rodata`.
pub(super) fn config(args: &TraceArgs) -> Config {
    let mut config = Config {
        filter_ports: u32::from(!args.ports.is_empty()),
        ..Config::NONE
    };
    config.filter_protos = args
        .proto
        .iter()
        .map(|proto| bit(*proto))
        .fold(0, |all, bit| all | bit);
    config.filter_tgid = args.pid.unwrap_or(0);
    config.failures_only = u32::from(args.failures);
    if let Some(comm) = &args.comm {
        config.filter_comm = 1;
        config.comm[..comm.len()].copy_from_slice(comm.as_bytes());
    }
    config
}

fn bit(proto: ProtoArg) -> u32 {
    match proto {
        ProtoArg::Tcp => proto::TCP,
        ProtoArg::Udp => proto::UDP,
        ProtoArg::Mptcp => proto::MPTCP,
        ProtoArg::Unix => proto::UNIX,
        ProtoArg::Other => proto::OTHER,
    }
}

/// For the map of ports: what was asked for is shown, and watched.
pub(super) fn set_ports(ebpf: &mut Ebpf, ports: &[PortRange]) -> Result<(), BpfError> {
    let fail = |error: &(dyn std::error::Error + 'static)| {
        BpfError::kernel("setting the ports to trace", error)
    };
    let Some(map) = ebpf.map_mut("PORTS") else {
        return Ok(());
    };
    let mut map: Array<_, [u8; PORTS]> = Array::try_from(map).map_err(|error| fail(&error))?;
    map.set(0, *bits(ports), 0).map_err(|error| fail(&error))
}

#[expect(clippy::large_stack_arrays, reason = "once, in an empty stack")]
fn bits(ports: &[PortRange]) -> Box<[u8; PORTS]> {
    let mut bits = Box::new([0; PORTS]);
    for port in ports.iter().flat_map(|range| range.first..=range.last) {
        bits[usize::from(port)] = port::ASKED;
    }
    bits
}

/// For the `start` record.
pub(super) fn record(args: &TraceArgs) -> Filters {
    let name = |proto: &ProtoArg| format!("{proto:?}").to_lowercase();
    Filters {
        ports: args
            .ports
            .iter()
            .map(|range| [range.first, range.last])
            .collect(),
        proto: args.proto.iter().map(name).collect(),
        pid: args.pid,
        comm: args.comm.clone(),
        failures: args.failures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_sets_both_of_its_ends() {
        let bits = bits(&[
            PortRange {
                first: 63,
                last: 65,
            },
            PortRange {
                first: 65_535,
                last: 65_535,
            },
        ]);
        let set: Vec<_> = (0..PORTS).filter(|port| bits[*port] != 0).collect();
        assert_eq!(set, [63, 64, 65, 65_535]);
    }
}
