use rstest::rstest;

use super::*;
use crate::{
    model::attempt::Facts,
    verdict::testing::{EADDRINUSE, bind},
};

/// What the functions returned: of the security modules, of the family, of the address, of the port.
#[expect(clippy::unnecessary_wraps, reason = "as the facts have them")]
const fn results(
    security: Option<i32>,
    family: Option<i32>,
    address: Option<i32>,
    port: Option<i32>,
) -> Option<StageResults> {
    Some(StageResults {
        security,
        family,
        address,
        port,
    })
}

fn refused(proto: Proto, errno: i32, stages: Option<StageResults>) -> Attempt {
    let attempt = bind("10.0.0.5", 80, &[]);
    Attempt {
        proto,
        errno: errno.cast_unsigned(),
        facts: Facts {
            addrlen: Some(16),
            stages,
            began_while_tracing: true,
            ..attempt.facts.clone()
        },
        ..attempt
    }
}

#[rstest]
#[case::lsm(Proto::Tcp, errno::EACCES, results(Some(-13), None, None, None), Some(Stage::Lsm))]
#[case::lsm_of_unix(Proto::Unix, errno::EACCES, results(Some(-13), None, None, None), Some(Stage::Lsm))]
#[case::cgroup(Proto::Tcp, errno::EPERM, results(Some(0), Some(-1), None, None), Some(Stage::Cgroup))]
#[case::cgroup_without_lsm(Proto::Udp, errno::EPERM, results(None, Some(-1), None, None), Some(Stage::Cgroup))]
#[case::cgroup_with_any_errno(Proto::Tcp, errno::EADDRINUSE, results(Some(0), Some(-98), None, None), Some(Stage::Cgroup))]
#[case::mptcp_by_its_family(Proto::Mptcp, errno::EPERM, results(Some(0), Some(-1), None, None), Some(Stage::Cgroup))]
#[case::mptcp_itself(Proto::Mptcp, errno::EINVAL, results(Some(0), None, None, None), None)]
#[case::mptcp_address(Proto::Mptcp, errno::EADDRNOTAVAIL, results(Some(0), None, Some(-99), None), Some(Stage::Address))]
#[case::mptcp_port(Proto::Mptcp, errno::EADDRINUSE, results(Some(0), None, Some(-98), Some(-98)), Some(Stage::Port))]
#[case::address(Proto::Tcp, errno::EADDRNOTAVAIL, results(Some(0), Some(-99), Some(-99), None), Some(Stage::Address))]
#[case::privileged(Proto::Tcp, errno::EACCES, results(Some(0), Some(-13), Some(-13), None), Some(Stage::Address))]
#[case::port(Proto::Tcp, errno::EADDRINUSE, results(Some(0), Some(-98), Some(-98), Some(-98)), Some(Stage::Port))]
#[case::port_before_6_1(Proto::Udp, errno::EADDRINUSE, results(Some(0), Some(-98), Some(-98), Some(1)), Some(Stage::Port))]
#[case::port_unseen(Proto::Tcp, errno::EADDRINUSE, results(Some(0), Some(-98), Some(-98), None), Some(Stage::Port))]
#[case::only_its_modules_seen(Proto::Udp, errno::EPERM, results(Some(0), None, None, None), None)]
#[case::not_local_and_only_its_modules_seen(
    Proto::Tcp,
    errno::EADDRNOTAVAIL,
    results(Some(0), None, None, None),
    Some(Stage::Address)
)]
#[case::after_the_port_unseen(
    Proto::Tcp,
    errno::EPERM,
    results(Some(0), Some(-1), Some(-1), None),
    None
)]
#[case::after_the_port(Proto::Tcp, errno::EPERM, results(Some(0), Some(-1), Some(-1), Some(0)), Some(Stage::CgroupPost))]
#[case::after_the_port_alone(
    Proto::Udp,
    errno::EPERM,
    results(None, None, None, Some(0)),
    Some(Stage::CgroupPost)
)]
#[case::after_all(
    Proto::Tcp,
    errno::EPERM,
    results(Some(0), Some(0), Some(0), Some(0)),
    None
)]
#[case::raw(Proto::Raw, errno::EADDRNOTAVAIL, results(Some(0), Some(-99), None, None), Some(Stage::Protocol))]
#[case::icmp(Proto::Icmp, errno::EADDRINUSE, results(Some(0), Some(-98), None, None), Some(Stage::Protocol))]
#[case::sctp(Proto::Sctp, errno::EADDRINUSE, results(Some(0), Some(-98), None, None), Some(Stage::Protocol))]
#[case::unix(
    Proto::Unix,
    errno::EADDRINUSE,
    results(Some(0), None, None, None),
    Some(Stage::Protocol)
)]
#[case::other(Proto::Other, errno::EPERM, results(Some(0), Some(-1), None, None), None)]
fn the_functions_tell(
    #[case] proto: Proto,
    #[case] errno: i32,
    #[case] stages: Option<StageResults>,
    #[case] stage: Option<Stage>,
) {
    assert_eq!(of(&refused(proto, errno, stages)), stage);
}

#[rstest]
#[case(0, Some(Stage::Address))]
#[case(15, Some(Stage::Address))]
#[case(16, None)]
#[case(23, None)]
#[case(24, Some(Stage::Cgroup))]
fn a_short_address_is_not_taken_for_a_refusal_by_a_program(
    #[case] addrlen: u32,
    #[case] stage: Option<Stage>,
) {
    let mut attempt = refused(
        Proto::Tcp,
        errno::EINVAL,
        results(Some(0), Some(-22), None, None),
    );
    attempt.facts.addrlen = Some(addrlen);
    assert_eq!(of(&attempt), stage);
}

#[rstest]
#[case::in_use(Proto::Tcp, errno::EADDRINUSE, Some(Stage::Port))]
#[case::in_use_udp(Proto::Udplite, errno::EADDRINUSE, Some(Stage::Port))]
#[case::in_use_unix(Proto::Unix, errno::EADDRINUSE, Some(Stage::Protocol))]
#[case::in_use_sctp(Proto::Sctp, errno::EADDRINUSE, None)]
#[case::not_local(Proto::Tcp, errno::EADDRNOTAVAIL, Some(Stage::Address))]
#[case::privileged(Proto::Tcp, errno::EACCES, Some(Stage::Address))]
#[case::raw(Proto::Raw, errno::EACCES, None)]
#[case::policy(Proto::Tcp, errno::EPERM, None)]
#[case::something_invalid(Proto::Tcp, errno::EINVAL, None)]
#[case::no_descriptor(Proto::Unknown, errno::EBADF, Some(Stage::Syscall))]
#[case::no_socket(Proto::Unknown, errno::ENOTSOCK, Some(Stage::Syscall))]
#[case::a_descriptor_after_all(Proto::Tcp, errno::EBADF, None)]
#[case::success(Proto::Tcp, 0, None)]
fn without_them_the_errno_tells_what_it_proves(
    #[case] proto: Proto,
    #[case] errno: i32,
    #[case] stage: Option<Stage>,
) {
    assert_eq!(of(&refused(proto, errno, None)), stage);
}

#[test]
fn an_address_that_is_no_address_is_refused_at_once() {
    let mut unreadable = refused(Proto::Tcp, errno::EFAULT, None);
    unreadable.addr = None;
    assert_eq!(of(&unreadable), Some(Stage::Syscall));
    for (addrlen, stage) in [
        (129, Some(Stage::Syscall)),
        (u32::MAX, Some(Stage::Syscall)),
        (128, None),
    ] {
        let mut attempt = refused(Proto::Tcp, errno::EINVAL, None);
        attempt.facts.addrlen = Some(addrlen);
        assert_eq!(of(&attempt), stage, "{addrlen}");
    }
    let mut bound = refused(Proto::Tcp, errno::EINVAL, None);
    bound.facts.already_bound = true;
    assert_eq!(of(&bound), Some(Stage::Address));
}

#[rstest]
#[case::in_use(errno::EADDRINUSE, Some(Stage::Port))]
#[case::not_local(errno::EADDRNOTAVAIL, Some(Stage::Address))]
#[case::either(errno::EPERM, None)]
fn a_bind_without_a_system_call_is_seen_to_its_end_only(
    #[case] errno: i32,
    #[case] stage: Option<Stage>,
    #[values(true, false)] kernel: bool,
) {
    let mut attempt = refused(Proto::Tcp, errno, results(None, None, Some(-errno), None));
    attempt.facts.kernel = kernel;
    attempt.facts.compat = !kernel;
    assert_eq!(of(&attempt), stage);
}

#[rstest]
#[case::sure(true, false, Some(Stage::Seccomp))]
#[case::perhaps_under_way(false, false, None)]
#[case::no_system_call(true, true, None)]
fn a_call_that_never_began_was_refused_by_a_filter(
    #[case] began_while_tracing: bool,
    #[case] io_uring: bool,
    #[case] stage: Option<Stage>,
    #[values(errno::EPERM, errno::EACCES, errno::EADDRINUSE)] errno: i32,
    #[values(Op::Bind, Op::Listen)] op: Op,
) {
    let mut attempt = refused(Proto::Tcp, errno, None);
    attempt.op = op;
    attempt.facts.entry_unseen = true;
    attempt.facts.began_while_tracing = began_while_tracing;
    attempt.facts.io_uring = io_uring;
    assert_eq!(of(&attempt), stage);
    attempt.errno = 0;
    assert_eq!(of(&attempt), None);
}

#[rstest]
#[case::in_use(Proto::Tcp, EADDRINUSE, None, Some(Stage::Port))]
#[case::seen(
    Proto::Tcp,
    EADDRINUSE,
    results(None, None, None, Some(1)),
    Some(Stage::Port)
)]
#[case::sctp(Proto::Sctp, EADDRINUSE, None, Some(Stage::Protocol))]
#[case::no_descriptor(Proto::Unknown, 9, None, Some(Stage::Syscall))]
#[case::not_supported(Proto::Udp, 95, None, None)]
#[case::policy(Proto::Tcp, 13, None, None)]
fn listen_takes_the_port_again(
    #[case] proto: Proto,
    #[case] errno: u32,
    #[case] stages: Option<StageResults>,
    #[case] stage: Option<Stage>,
    #[values(Op::Listen, Op::Autobind)] op: Op,
) {
    let attempt = Attempt {
        op,
        errno,
        ..refused(proto, 0, stages)
    };
    assert_eq!(of(&attempt), stage);
}
