//! What follows from what is known of a process: its unit, its container, the name of its user.

use portwatch_core::model::process::Process;

use super::{cgroup, user};

/// Fills in what follows from the control group's path and from the user id, where it is not there yet.
pub fn complete(process: &mut Process, users: &mut user::Users) {
    if let Some(path) = &process.cgroup {
        if process.unit.is_none() {
            process.unit = cgroup::unit(path);
        }
        if process.container.is_none() {
            process.container = cgroup::container(path);
        }
    }
    if let (None, Some(uid)) = (&process.user, process.uid) {
        process.user = users.name(uid).map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_facts_are_kept_and_the_rest_is_filled_in() {
        let mut process = Process {
            uid: Some(0),
            cgroup: Some("/system.slice/ssh.service".to_owned()),
            ..Process::default()
        };
        let mut users = user::Users::default();
        complete(&mut process, &mut users);
        assert_eq!(process.unit.as_deref(), Some("ssh.service"));
        assert_eq!(process.user.as_deref(), Some("root"));
        assert_eq!(process.container, None);

        process.unit = Some("other.service".to_owned());
        complete(&mut process, &mut users);
        assert_eq!(process.unit.as_deref(), Some("other.service"));
    }
}
