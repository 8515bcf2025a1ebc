//! Names of errnos.

use nix::errno::Errno;

/// The name of a positive Linux errno, `"ok"` for 0; an unknown number is spelt out (`"errno 4095"`).
#[must_use]
pub fn errno_name(errno: u32) -> String {
    // Numbers that are meant for the kernel alone, and leak at times (include/linux/errno.h).
    match errno {
        0 => return "ok".to_owned(),
        512 => return "ERESTARTSYS".to_owned(),
        513 => return "ERESTARTNOINTR".to_owned(),
        514 => return "ERESTARTNOHAND".to_owned(),
        515 => return "ENOIOCTLCMD".to_owned(),
        516 => return "ERESTART_RESTARTBLOCK".to_owned(),
        517 => return "EPROBE_DEFER".to_owned(),
        524 => return "ENOTSUPP".to_owned(),
        _ => {}
    }
    match i32::try_from(errno).map(Errno::from_raw) {
        Ok(known) if known != Errno::UnknownErrno => format!("{known:?}"),
        _ => format!("errno {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use super::errno_name;

    #[test]
    fn names_are_those_of_the_manual() {
        for (errno, name) in [
            (0, "ok"),
            (1, "EPERM"),
            (9, "EBADF"),
            (11, "EAGAIN"),
            (13, "EACCES"),
            (22, "EINVAL"),
            (88, "ENOTSOCK"),
            (95, "EOPNOTSUPP"),
            (97, "EAFNOSUPPORT"),
            (98, "EADDRINUSE"),
            (99, "EADDRNOTAVAIL"),
            (524, "ENOTSUPP"),
            (4095, "errno 4095"),
            (u32::MAX, "errno 4294967295"),
        ] {
            assert_eq!(errno_name(errno), name);
        }
    }
}
