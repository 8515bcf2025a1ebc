//! Which stage of the kernel refused a call: from what its functions returned, else from what the errno proves.

use crate::model::{
    attempt::{Attempt, Op, Stage, StageResults},
    socket::Proto,
};
use crate::words::errno;

use super::refused;
use crate::verdict::rule::Transport;

/// `sizeof(struct sockaddr_storage)`: a longer address is refused before anything else sees it.
const LONGEST: u32 = 128;
/// `sizeof(struct sockaddr_in)`: a shorter address is refused by both families.
const SHORTEST: u32 = 16;
/// `SIN6_LEN_RFC2133`: an address of this length is long enough for both families.
const LONG_ENOUGH: u32 = 24;

/// The stage that refused; `None` for a success, and where it is not known.
pub(in crate::verdict) fn of(attempt: &Attempt) -> Option<Stage> {
    let facts = &attempt.facts;
    if attempt.errno == 0 {
        return None;
    }
    if facts.entry_unseen {
        // A filter answers before the entry is traced. io_uring's requests pass none.
        return (facts.began_while_tracing && !facts.io_uring).then_some(Stage::Seccomp);
    }
    match (attempt.op, &facts.stages) {
        (Op::Listen | Op::Autobind, stages) => of_listen(attempt, stages.as_ref()),
        (Op::Bind, None) => of_errno(attempt),
        (Op::Bind, Some(results)) => of_results(attempt, results),
    }
}

/// `listen()` takes the port again. What else it asks is not traced.
fn of_listen(attempt: &Attempt, stages: Option<&StageResults>) -> Option<Stage> {
    let port = stages.and_then(|results| results.port);
    match (attempt.proto, errno(attempt)) {
        _ if refuses(port) => Some(Stage::Port),
        (Proto::Tcp | Proto::Mptcp, errno::EADDRINUSE) => Some(Stage::Port),
        (Proto::Sctp, errno::EADDRINUSE) => Some(Stage::Protocol),
        (Proto::Unknown, errno::EBADF | errno::ENOTSOCK) => Some(Stage::Syscall),
        _ => None,
    }
}

/// Where no function was seen, what the errno and the facts prove.
fn of_errno(attempt: &Attempt) -> Option<Stage> {
    match (attempt.proto, errno(attempt)) {
        (Proto::Unknown, errno::EBADF | errno::ENOTSOCK) => Some(Stage::Syscall),
        (_, errno::EFAULT) if attempt.addr.is_none() => Some(Stage::Syscall),
        // A negative length is a large one here.
        (_, errno::EINVAL) if attempt.facts.addrlen.is_some_and(|len| len > LONGEST) => {
            Some(Stage::Syscall)
        }
        (Proto::Unix, errno::EADDRINUSE) => Some(Stage::Protocol),
        (proto, errno::EADDRINUSE) if Transport::of(proto).is_some() => Some(Stage::Port),
        _ if refused::is_by_address(attempt) => Some(Stage::Address),
        _ => None,
    }
}

fn of_results(attempt: &Attempt, results: &StageResults) -> Option<Stage> {
    // Of a bind without a system call of its own only the last function is seen, and not what it calls.
    let alone = attempt.facts.kernel || attempt.facts.compat;
    if refuses(results.security) {
        return Some(Stage::Lsm);
    }
    match (results.address, results.port) {
        (_, Some(port)) if port != 0 => Some(Stage::Port),
        // Nothing else comes after the port.
        (None, Some(_)) if matches!(attempt.proto, Proto::Tcp | Proto::Udp | Proto::Udplite) => {
            Some(Stage::CgroupPost)
        }
        (address, Some(_)) => refuses(address).then_some(Stage::CgroupPost),
        (Some(0), None) => None,
        (Some(_), None) if !alone && is_of_address(errno(attempt)) => Some(Stage::Address),
        // The port's function may not be traced.
        (Some(_), None) => of_errno(attempt),
        (None, None) => before_the_address(attempt, results),
    }
}

/// The checks of the address were not seen. That they were not reached, only their caller proves: where IPv6 is a module,
/// neither is traced.
fn before_the_address(attempt: &Attempt, results: &StageResults) -> Option<Stage> {
    let in_family = refuses(results.family);
    let past_security = in_family || results.security == Some(0);
    match attempt.proto {
        Proto::Unix | Proto::Raw | Proto::Icmp | Proto::Sctp if past_security => {
            Some(Stage::Protocol)
        }
        Proto::Tcp | Proto::Udp | Proto::Udplite | Proto::Mptcp if in_family => by_family(attempt),
        _ => of_errno(attempt),
    }
}

/// `inet_bind_sk()`: the length of the address, then the programs of the control group.
fn by_family(attempt: &Attempt) -> Option<Stage> {
    match attempt.facts.addrlen {
        _ if errno(attempt) != errno::EINVAL => Some(Stage::Cgroup),
        Some(LONG_ENOUGH..) => Some(Stage::Cgroup),
        Some(..SHORTEST) => Some(Stage::Address),
        // Which family the socket is of is not known.
        _ => None,
    }
}

/// True for what `__inet_bind()` and `__inet6_bind()` answer of their own.
const fn is_of_address(errno: i32) -> bool {
    matches!(
        errno,
        errno::EAFNOSUPPORT | errno::EADDRNOTAVAIL | errno::EACCES | errno::EINVAL | errno::ENODEV
    )
}

/// True for a function that ended, and failed.
const fn refuses(result: Option<i32>) -> bool {
    matches!(result, Some(result) if result != 0)
}

fn errno(attempt: &Attempt) -> i32 {
    attempt.errno.cast_signed()
}

#[cfg(test)]
mod tests;
