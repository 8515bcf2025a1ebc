//! Whether two processes are instances of one service.

use core::{cmp::Ordering, fmt};

use crate::model::process::{Ancestor, Container, Process};

use super::program::{self, Program};
use crate::verdict::words::name;

/// Why two processes are taken for instances of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Relation<'a> {
    /// One systemd service.
    Unit(&'a str),
    /// One container.
    Container(&'a Container),
    /// One program.
    Program(&'a str),
    /// The other is the parent, and both have one executable.
    Parent(&'a str),
    /// The other is the child, and both have one executable.
    Child(&'a str),
    /// The other is a parent's parent, or before that, and both run one program.
    Ancestor(&'a str),
    /// The caller is one of the other, and both run one program.
    Descendant(&'a str),
    /// One process has made both, and both run one program.
    Sibling(&'a str, &'a Ancestor),
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => write!(f, "both belong to {}", name::text(unit)),
            Self::Container(container) => write!(f, "both run in {}", name::container(container)),
            Self::Program(program) => write!(f, "both run {}", name::text(program)),
            Self::Parent(exe) => write!(f, "it is the parent, both run {}", name::text(exe)),
            Self::Child(exe) => write!(
                f,
                "it is a child of the caller, both run {}",
                name::text(exe)
            ),
            Self::Ancestor(program) => write!(
                f,
                "the caller descends from it, both run {}",
                name::text(program)
            ),
            Self::Descendant(program) => write!(
                f,
                "it descends from the caller, both run {}",
                name::text(program)
            ),
            Self::Sibling(program, parent) => write!(
                f,
                "both are children of {}, and run {}",
                name::ancestor(parent),
                name::text(program)
            ),
        }
    }
}

/// Why `other` is of the same service as `caller`; `None` when nothing says so, or it is the same process.
pub(in crate::verdict) fn relation<'a>(
    caller: &Process,
    other: &'a Process,
) -> Option<Relation<'a>> {
    if caller.is_same(other) {
        return None;
    }
    of_container(caller, other)
        .or_else(|| of_unit(caller, other))
        .or_else(|| of_lineage(caller, other))
        .or_else(|| of_program(caller, other))
}

/// Which of the two started first: `Less` when `other` is the older one; `None` when that is not known.
pub(in crate::verdict) fn age(caller: &Process, other: &Process) -> Option<Ordering> {
    Some(other.start_boot_ns?.0.cmp(&caller.start_boot_ns?.0))
}

/// The systemd service that a process belongs to. A scope is none: it groups what was started from a login session, a
/// terminal or a desktop, and a user's service manager holds all that a user runs.
pub(in crate::verdict) fn unit(process: &Process) -> Option<&str> {
    process
        .unit
        .as_deref()
        .filter(|unit| unit.ends_with(".service") && !unit.starts_with("user@"))
}

fn of_unit<'a>(caller: &Process, other: &'a Process) -> Option<Relation<'a>> {
    let unit = unit(other)?;
    let one = self::unit(caller) == Some(unit)
        && container_id(caller) == container_id(other)
        && !exe(other).is_some_and(program::is_opaque);
    one.then_some(Relation::Unit(unit))
}

fn of_container<'a>(caller: &Process, other: &'a Process) -> Option<Relation<'a>> {
    let container = other.container.as_ref()?;
    (container_id(caller) == Some(&container.id)).then_some(Relation::Container(container))
}

fn of_lineage<'a>(caller: &Process, other: &'a Process) -> Option<Relation<'a>> {
    let exe = exe(other)?;
    if self::exe(caller) != Some(exe) || program::is_opaque(exe) {
        return None;
    }
    // A pid is reused: a parent is never the younger one.
    if caller.ppid == Some(other.pid) && age(caller, other) != Some(Ordering::Greater) {
        Some(Relation::Parent(exe))
    } else if other.ppid == Some(caller.pid) && age(caller, other) != Some(Ordering::Less) {
        Some(Relation::Child(exe))
    } else {
        of_line(caller, other)
    }
}

/// Through what was seen of who made whom: further than to a parent only between those who run one program.
fn of_line<'a>(caller: &Process, other: &'a Process) -> Option<Relation<'a>> {
    let program = one_program(caller, other, true)?;
    let is_among = |process: &Process, line: &[Ancestor]| {
        line.iter().any(|ancestor| is_ancestor(process, ancestor))
    };
    if is_among(other, &caller.ancestors) {
        return Some(Relation::Ancestor(program));
    }
    if is_among(caller, &other.ancestors) {
        return Some(Relation::Descendant(program));
    }
    let parent = other.ancestors.first()?;
    // The first process has made all that it starts.
    let one = caller.ancestors.first() == Some(parent) && parent.pid != 1;
    let absolute = one && one_program(caller, other, false).is_some();
    absolute.then_some(Relation::Sibling(program, parent))
}

fn is_ancestor(process: &Process, ancestor: &Ancestor) -> bool {
    process.is_same(&Process {
        pid: ancestor.pid,
        start_boot_ns: Some(ancestor.start_boot_ns),
        ..Process::default()
    })
}

fn of_program<'a>(caller: &Process, other: &'a Process) -> Option<Relation<'a>> {
    one_program(caller, other, false).map(Relation::Program)
}

/// The program that both run. A path that is relative counts if they are `related`: one of the two has made the other.
fn one_program<'a>(caller: &Process, other: &'a Process, related: bool) -> Option<&'a str> {
    let exe = exe(other)?;
    if self::exe(caller) != Some(exe) {
        return None;
    }
    let theirs = program::program(exe, other.cmdline.as_deref());
    let ours = program::program(exe, caller.cmdline.as_deref());
    if ours != theirs {
        return None;
    }
    match theirs {
        Program::Executable => Some(exe),
        Program::Operand(operand) if related || names_one_file(operand, caller, other) => {
            Some(operand)
        }
        Program::Operand(_) | Program::Unknown => None,
    }
}

/// A relative path is one file only in one directory. That is not recorded; one control group is the nearest sign.
fn names_one_file(operand: &str, caller: &Process, other: &Process) -> bool {
    names_a_file_by_itself(operand) || (caller.cgroup.is_some() && caller.cgroup == other.cgroup)
}

/// True for a path that is one file wherever it is named.
pub(in crate::verdict) fn names_a_file_by_itself(operand: &str) -> bool {
    operand.starts_with('/')
}

/// The executable, be it replaced on the disk since it was started.
pub(in crate::verdict) fn exe(process: &Process) -> Option<&str> {
    let exe = process.exe.as_deref()?;
    Some(exe.strip_suffix(" (deleted)").unwrap_or(exe))
}

pub(in crate::verdict) fn container_id(process: &Process) -> Option<&str> {
    process
        .container
        .as_ref()
        .map(|container| container.id.as_str())
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{
        model::{number::Big, process::Container},
        verdict::testing::process,
    };

    fn python(pid: u32, args: &str) -> Process {
        Process {
            exe: Some("/usr/bin/python3.11".to_owned()),
            cmdline: Some(args.split(' ').map(str::to_owned).collect()),
            cgroup: Some("/user.slice/session-1.scope".to_owned()),
            unit: Some("session-1.scope".to_owned()),
            ..process("python3", pid)
        }
    }

    #[test]
    fn one_service_is_one_unit() {
        let of = |pid, unit: &str| Process {
            unit: Some(unit.to_owned()),
            ..process("a", pid)
        };
        assert_eq!(
            relation(&of(1, "a.service"), &of(2, "a.service")),
            Some(Relation::Unit("a.service"))
        );
        assert_eq!(relation(&of(1, "a.service"), &of(2, "b.service")), None);
        assert_eq!(relation(&of(1, "a.service"), &of(1, "a.service")), None);
    }

    #[rstest]
    #[case("session-3.scope")]
    #[case("user@1000.service")]
    #[case("init.scope")]
    fn sessions_are_no_service(#[case] unit: &str) {
        let of = |pid| Process {
            unit: Some(unit.to_owned()),
            ..process("a", pid)
        };
        assert_eq!(relation(&of(1), &of(2)), None);
    }

    #[test]
    fn one_container_is_one_service_and_two_are_not() {
        let of = |pid, id: &str| Process {
            container: Some(Container {
                id: id.to_owned(),
                runtime: None,
                pod: None,
            }),
            unit: Some("docker.service".to_owned()),
            ..process("a", pid)
        };
        let other = of(2, "aa");
        assert!(matches!(
            relation(&of(1, "aa"), &other),
            Some(Relation::Container(_))
        ));
        assert_eq!(relation(&of(1, "bb"), &other), None);
        let outside = Process {
            container: None,
            ..of(1, "")
        };
        assert_eq!(relation(&outside, &other), None);
    }

    #[test]
    fn one_executable_is_one_program_even_when_it_was_replaced() {
        let of = |pid, exe: &str| Process {
            exe: Some(exe.to_owned()),
            ..process("nginx", pid)
        };
        let other = of(2, "/usr/sbin/nginx (deleted)");
        assert_eq!(
            relation(&of(1, "/usr/sbin/nginx"), &other),
            Some(Relation::Program("/usr/sbin/nginx"))
        );
        assert_eq!(relation(&of(1, "/usr/sbin/apache2"), &other), None);
    }

    #[rstest]
    #[case(
        "python3 /srv/a.py",
        "python3 -u /srv/a.py x",
        Some(Relation::Program("/srv/a.py"))
    )]
    #[case("python3 /srv/a.py", "python3 /srv/b.py", None)]
    #[case(
        "python3 -m http.server",
        "python3 -m http.server 80",
        Some(Relation::Program("http.server"))
    )]
    #[case("python3", "python3", None)]
    fn an_interpreter_is_no_program(
        #[case] a: &str,
        #[case] b: &str,
        #[case] expected: Option<Relation<'_>>,
    ) {
        assert_eq!(relation(&python(10, a), &python(20, b)), expected);
    }

    #[test]
    fn a_relative_script_counts_in_one_control_group_only() {
        let a = python(10, "python3 app.py");
        let mut b = python(20, "python3 app.py");
        assert_eq!(relation(&a, &b), Some(Relation::Program("app.py")));
        b.cgroup = Some("/system.slice/other.service".to_owned());
        assert_eq!(relation(&a, &b), None);
        b.cgroup = None;
        assert_eq!(relation(&Process { cgroup: None, ..a }, &b), None);
    }

    #[test]
    fn lineage_with_one_executable_counts() {
        let parent = python(10, "python3 a.py");
        let child = Process {
            ppid: Some(10),
            start_boot_ns: Some(Big(2_000_000_000_000)),
            ..python(20, "python3 -c x")
        };
        assert!(matches!(
            relation(&child, &parent),
            Some(Relation::Parent(_))
        ));
        assert!(matches!(
            relation(&parent, &child),
            Some(Relation::Child(_))
        ));
        let reused = Process {
            start_boot_ns: Some(Big(3_000_000_000_000)),
            ..parent
        };
        assert_eq!(relation(&child, &reused), None);
    }

    #[test]
    fn relays_are_not_one_service() {
        let of = |pid| Process {
            exe: Some("/usr/bin/docker-proxy".to_owned()),
            unit: Some("docker.service".to_owned()),
            ppid: Some(10),
            ..process("docker-proxy", pid)
        };
        assert_eq!(relation(&of(20), &of(21)), None);
    }

    fn ancestor(pid: u32, comm: &str) -> Ancestor {
        Ancestor {
            pid,
            start_boot_ns: process("", pid).start_boot_ns.unwrap(),
            comm: comm.to_owned(),
        }
    }

    #[test]
    fn a_line_that_was_seen_counts_where_one_program_is_run() {
        let top = python(10, "python3 a.py");
        let below = |args| Process {
            cgroup: None,
            ancestors: vec![ancestor(15, "sh"), ancestor(10, "python3")],
            ..python(20, args)
        };
        let caller = below("python3 a.py");
        assert_eq!(relation(&caller, &top), Some(Relation::Ancestor("a.py")));
        assert_eq!(relation(&top, &caller), Some(Relation::Descendant("a.py")));
        assert_eq!(relation(&below("python3 b.py"), &top), None);
        let reused = Process {
            start_boot_ns: Some(Big(3_000_000_000_000)),
            cgroup: None,
            ..top
        };
        assert_eq!(relation(&caller, &reused), None);
    }

    #[test]
    fn two_of_one_supervisor_are_told_by_it() {
        let of = |pid, parent: &Ancestor| Process {
            ancestors: vec![parent.clone()],
            ..python(pid, "python3 /srv/a.py")
        };
        let supervisor = ancestor(5, "supervisord");
        let other = of(21, &supervisor);
        let relation = |caller: &Process| relation(caller, &other).map(|found| found.to_string());
        assert_eq!(
            relation(&of(20, &supervisor)).as_deref(),
            Some("both are children of supervisord[5], and run /srv/a.py")
        );
        assert_eq!(
            relation(&of(20, &ancestor(6, "sh"))).as_deref(),
            Some("both run /srv/a.py")
        );
    }
}
