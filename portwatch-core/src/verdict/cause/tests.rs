use crate::prelude::*;
use rstest::rstest;

use super::*;
use crate::{
    model::{
        number::Big,
        process::Holder,
        socket::{
            SocketOption::{self, ReuseAddr, ReusePort, ReusePortGroup, V6Only},
            State::{Bound, CloseWait, Established, FinWait2, SynSent, TimeWait},
        },
    },
    verdict::testing::{bind, blocker, listener, orphan, process},
};

mod connections;
mod exact;
mod released;
mod sockets;
mod whole;

/// A listener of this process.
fn listener_of(process: Process) -> Blocker {
    Blocker {
        owner: None,
        holders: vec![Holder { process, fd: 5 }],
        ..listener("0.0.0.0", 8080, &[])
    }
}

fn connection(state: State, out: Option<bool>) -> Blocker {
    Blocker {
        connected_out: out,
        ..blocker(state, "10.0.0.1", 8080, &[])
    }
}

fn udp(attempt: Attempt) -> Attempt {
    Attempt {
        proto: Proto::Udp,
        ..attempt
    }
}

fn listen(options: &[SocketOption]) -> Attempt {
    Attempt {
        op: Op::Listen,
        ..bind("0.0.0.0", 8080, options)
    }
}
