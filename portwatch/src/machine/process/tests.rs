use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use rstest::rstest;

use super::*;
use crate::machine::clock;

#[rstest]
#[case("/usr/bin/java", "/usr/bin/java")]
#[case("/opt/app (deleted)", "/opt/app")]
#[case("/opt/app (deleted) (deleted)", "/opt/app (deleted)")]
fn the_mark_of_a_removed_executable_is_not_its_name(#[case] link: &str, #[case] expected: &str) {
    assert_eq!(without_deleted(Path::new(link)), expected);
}

#[test]
fn this_very_process_is_read() {
    let own = read_process(std::process::id()).unwrap();
    assert_eq!(own.pid, std::process::id());
    assert_eq!(own.uid, Some(nix::unistd::getuid().as_raw()));
    assert_eq!(
        own.ppid,
        u32::try_from(nix::unistd::getppid().as_raw()).ok()
    );
    assert_eq!(
        own.exe,
        std::env::current_exe()
            .ok()
            .map(|path| path.to_string_lossy().into_owned())
    );
    assert_eq!(own.cmdline.unwrap()[0], std::env::args().next().unwrap());
    assert!(own.netns.is_some());
    assert!(own.start_boot_ns.unwrap().0 <= clock::boot_now().unwrap());
}

#[test]
fn a_child_is_read_and_starts_after_us() {
    let before = clock::boot_now().unwrap();
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // spawn() returns as soon as the old image is given up, before the new one has its arguments: a byte that comes back
    // proves that it runs.
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    to.write_all(b"x").unwrap();
    from.read_exact(&mut [0]).unwrap();
    let process = read_process(child.id()).unwrap();
    let after = clock::boot_now().unwrap();

    assert_eq!(process.comm, "cat");
    assert_eq!(process.cmdline, Some(vec!["cat".to_owned()]));
    assert_eq!(process.ppid, Some(std::process::id()));
    let start = process.start_boot_ns.unwrap().0;
    let tick = 10_000_000;
    assert!(
        start + tick >= before && start <= after,
        "{before} {start} {after}"
    );

    drop(to);
    child.wait().unwrap();
    assert_eq!(
        read_process(process.pid),
        None,
        "it has ended and has been waited for"
    );
}

#[test]
fn there_is_no_such_process() {
    assert_eq!(read_process(0), None);
    assert_eq!(read_process(u32::MAX), None);
}

#[rstest]
#[case(&[977, 12, 1], Some(1))]
#[case(&[977], Some(977))]
#[case(&[], None)]
fn a_process_calls_itself_by_the_last_number(#[case] pids: &[i32], #[case] pid: Option<u32>) {
    assert_eq!(innermost(pids), pid);
}

#[test]
fn whether_a_descriptor_is_closed_on_exec_is_read() {
    use std::os::fd::AsRawFd;

    // The standard library opens files so.
    let file = std::fs::File::open("/proc/self/status").unwrap();
    let own = |fd: i32| closes_on_exec(std::process::id(), fd.cast_unsigned());
    assert_eq!(own(file.as_raw_fd()), Some(true));
    assert_eq!(own(i32::MAX), None);
    assert_eq!(flags("pos:\t0\nflags:\t02000002\n"), Some(0o2_000_002));
    assert_eq!(flags("flags:\t9\n"), None);
}
