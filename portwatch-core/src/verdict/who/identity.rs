//! Who somebody is over restarts.

use super::{
    program::{self, Program},
    same_service::{container_id, exe, names_a_file_by_itself, unit},
};
use crate::model::process::Process;
use crate::prelude::*;

/// A program where it runs, whichever process that is; or a process alone, where its program is not known.
///
/// Two processes of one identity are instances of one service (`same_service`); the reverse is not so: a service may
/// have many programs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Who);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Program {
        within: Within,
        exe: String,
        /// What an interpreter runs.
        operand: Option<String>,
    },
    Process {
        pid: u32,
        start_boot_ns: Option<u64>,
    },
}

/// What a program runs in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Within {
    Container(String),
    Unit(String),
    /// For a program with a relative path. That is one file only in one directory, which nobody records; one control group is
    /// the nearest sign of it.
    ControlGroup(String),
    Host,
}

impl Identity {
    /// Of a process.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        let who = of_program(process).unwrap_or(Who::Process {
            pid: process.pid,
            start_boot_ns: process.start_boot_ns.map(|start| start.0),
        });
        Self(who)
    }
}

fn of_program(process: &Process) -> Option<Who> {
    let exe = exe(process)?;
    let operand = match program::program(exe, process.cmdline.as_deref()) {
        Program::Executable => None,
        Program::Operand(operand) => Some(operand),
        Program::Unknown => return None,
    };
    let within = if let Some(id) = container_id(process) {
        Within::Container(id.to_owned())
    } else if let Some(unit) = unit(process) {
        Within::Unit(unit.to_owned())
    } else if operand.is_none_or(names_a_file_by_itself) {
        Within::Host
    } else {
        Within::ControlGroup(process.cgroup.clone()?)
    };
    Some(Who::Program {
        within,
        exe: exe.to_owned(),
        operand: operand.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{model::process::Container, verdict::testing::process};

    fn of(pid: u32, exe: &str, args: &[&str], unit: Option<&str>) -> Process {
        Process {
            exe: Some(exe.to_owned()),
            cmdline: Some(args.iter().map(|&arg| arg.to_owned()).collect()),
            cgroup: Some("/a".to_owned()),
            unit: unit.map(str::to_owned),
            ..process("x", pid)
        }
    }

    const NODE: &str = "/usr/bin/node";
    const SERVER: &str = "/usr/sbin/nginx";

    #[rstest]
    #[case::restarted(of(1, SERVER, &[], None), of(2, SERVER, &[], None), true)]
    #[case::replaced(of(1, SERVER, &[], None), of(2, "/usr/sbin/nginx (deleted)", &[], None), true)]
    #[case::another(of(1, SERVER, &[], None), of(2, "/usr/sbin/apache2", &[], None), false)]
    #[case::one_unit(of(1, SERVER, &[], Some("a.service")), of(2, SERVER, &[], Some("a.service")), true)]
    #[case::two_units(of(1, SERVER, &[], Some("a.service")), of(2, SERVER, &[], Some("b.service")), false)]
    #[case::two_programs_of_a_unit(of(1, SERVER, &[], Some("a.service")), of(2, "/bin/x", &[], Some("a.service")), false)]
    #[case::sessions(of(1, SERVER, &[], Some("session-1.scope")), of(2, SERVER, &[], Some("session-2.scope")), true)]
    #[case::one_script(of(1, NODE, &["node", "/a.js"], None), of(2, NODE, &["node", "/a.js", "x"], None), true)]
    #[case::two_scripts(of(1, NODE, &["node", "/a.js"], None), of(2, NODE, &["node", "/b.js"], None), false)]
    #[case::no_script(of(1, NODE, &["node"], None), of(2, NODE, &["node"], None), false)]
    #[case::relays(of(1, "/usr/bin/nc", &[], Some("a.service")), of(2, "/usr/bin/nc", &[], Some("a.service")), false)]
    fn who_is_one_and_who_is_not(#[case] a: Process, #[case] b: Process, #[case] one: bool) {
        assert_eq!(Identity::of(&a) == Identity::of(&b), one);
        assert_eq!(Identity::of(&a), Identity::of(&a.clone()));
    }

    #[test]
    fn a_relative_script_is_one_in_one_control_group_or_container() {
        let a = of(1, NODE, &["node", "a.js"], None);
        let mut b = of(2, NODE, &["node", "a.js"], None);
        assert_eq!(Identity::of(&a), Identity::of(&b));
        b.cgroup = Some("/b".to_owned());
        assert_ne!(Identity::of(&a), Identity::of(&b));
        let contained = |process: &Process, id: &str| Process {
            container: Some(Container {
                id: id.to_owned(),
                runtime: None,
                pod: None,
            }),
            ..process.clone()
        };
        assert_eq!(
            Identity::of(&contained(&a, "c")),
            Identity::of(&contained(&b, "c"))
        );
        assert_ne!(
            Identity::of(&contained(&a, "c")),
            Identity::of(&contained(&b, "d"))
        );
    }
}
