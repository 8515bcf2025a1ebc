//! Names of network namespaces, as `ip netns`, CNI, Podman and Docker give them: a file that the namespace is mounted on.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Where the files are: of the first process's root where portwatch runs in a container, else of its own.
const DIRECTORIES: [&str; 4] = [
    "/proc/1/root/run/netns",
    "/run/netns",
    "/proc/1/root/run/docker/netns",
    "/run/docker/netns",
];
/// Docker's name for the namespace that its daemon runs in.
const OF_THE_DAEMON: &str = "default";
/// More namespaces than this are not kept: the cache starts empty again.
const CAPACITY: usize = 4096;
/// How long a namespace without a name is believed to have none.
const NAMELESS: Duration = Duration::from_secs(1);

/// Inode of the network namespace of a process; `None` if it is gone or hidden.
#[must_use]
pub fn of_process(pid: u32) -> Option<u32> {
    inode(&fs::metadata(format!("/proc/{pid}/ns/net")).ok()?)
}

/// Inode of the host's own network namespace: that of the first process, or where that cannot be seen our own.
#[must_use]
pub fn of_host() -> Option<u32> {
    of_process(1).or_else(|| of_process(std::process::id()))
}

fn inode(file: &Metadata) -> Option<u32> {
    u32::try_from(file.ino()).ok()
}

/// Looks up names, and keeps them for as long as they hold.
///
/// A namespace's inode is given again when it is gone; its cookie is not. A file keeps its namespace alive, so what it
/// leads to now is the living namespace of that inode. Names are asked for in the order in which the kernel handed attempts
/// over, and a namespace lives as long as somebody acts on a socket of it: one that is new is the living one.
#[derive(Debug, Default)]
pub struct Names {
    known: HashMap<(u32, Option<u64>), Known>,
    /// By inode, the cookie of the namespace that was seen last. Which is the greater says nothing: each CPU has a batch of
    /// its own (`gen_cookie_next()` of `include/linux/cookie.h`).
    latest: HashMap<u32, u64>,
    /// The host's own, once it is known.
    host: Option<u32>,
}

#[derive(Debug)]
enum Known {
    /// By this file.
    Named(String, PathBuf),
    /// It had none then.
    Nameless(Instant),
}

impl Names {
    /// The name of the namespace with this inode and, where the kernel has given it one, this cookie.
    pub fn name(&mut self, netns: u32, cookie: Option<u64>) -> Option<String> {
        if self.host.is_none() {
            self.host = of_host();
        }
        self.name_with(netns, cookie, files, leads_to)
    }

    fn name_with(
        &mut self,
        netns: u32,
        cookie: Option<u64>,
        find: impl FnOnce(u32) -> Option<PathBuf>,
        holds: impl FnOnce(&PathBuf, u32) -> bool,
    ) -> Option<String> {
        let key = (netns, cookie);
        if let Some(cookie) = cookie {
            let latest = self.latest.entry(netns).or_insert(cookie);
            if *latest != cookie {
                if let Some(known) = self.known.get(&key) {
                    // Another one has been seen since, so it is gone: a file of that inode is the other one's.
                    return match known {
                        Known::Named(name, _) => Some(name.clone()),
                        Known::Nameless(_) => None,
                    };
                }
                *latest = cookie;
            }
        }
        match self.known.get(&key) {
            Some(Known::Named(name, path)) if holds(path, netns) => return Some(name.clone()),
            // Without a cookie it may be another namespace by now, unless it is the one that stays.
            Some(Known::Nameless(then))
                if then.elapsed() < NAMELESS && (cookie.is_some() || self.host == Some(netns)) =>
            {
                return None;
            }
            _ => {}
        }
        if self.known.len() >= CAPACITY {
            self.known.clear();
            self.latest.clear();
        }
        let name = find(netns).and_then(|path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            Some((name, path))
        });
        let (found, known) = match name {
            Some((name, path)) => (Some(name.clone()), Known::Named(name, path)),
            None => (None, Known::Nameless(Instant::now())),
        };
        self.known.insert(key, known);
        found
    }
}

/// The file on which this namespace is mounted: of several, the first by directory and name.
fn files(netns: u32) -> Option<PathBuf> {
    DIRECTORIES.iter().find_map(|directory| {
        let entries = fs::read_dir(directory).ok()?;
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| !path.ends_with(format!("docker/netns/{OF_THE_DAEMON}")))
            .filter(|path| leads_to(path, netns))
            .min()
    })
}

/// True if the file is that namespace, and not one of another file system whose inode has the same number.
fn leads_to(path: &PathBuf, netns: u32) -> bool {
    let is_namespace = |file: &Metadata| {
        fs::metadata("/proc/self/ns/net").is_ok_and(|own| own.dev() == file.dev())
    };
    fs::metadata(path).is_ok_and(|file| inode(&file) == Some(netns) && is_namespace(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "it is what a look-up gives")]
    fn path(name: &str) -> Option<PathBuf> {
        Some(format!("/run/netns/{name}").into())
    }

    fn never(_: u32) -> Option<PathBuf> {
        panic!("looked again")
    }

    #[test]
    fn a_name_is_looked_up_once_as_long_as_it_holds() {
        let mut names = Names::default();
        let first = names.name_with(7, Some(1), |_| path("blue"), |_, _| panic!());
        assert_eq!(first.as_deref(), Some("blue"));
        let again = names.name_with(7, Some(1), never, |_, _| true);
        assert_eq!(again.as_deref(), Some("blue"));
        let renamed = names.name_with(7, Some(1), |_| path("red"), |_, _| false);
        assert_eq!(renamed.as_deref(), Some("red"));
    }

    #[test]
    fn an_inode_that_is_given_again_has_not_its_old_name() {
        let mut names = Names::default();
        names.name_with(7, Some(1), |_| path("blue"), |_, _| true);
        let new = names.name_with(7, Some(2), |_| None, |_, _| panic!());
        assert_eq!(new, None);
        // A late record of the old one still has its own name.
        let old = names.name_with(7, Some(1), never, |_, _| panic!());
        assert_eq!(old.as_deref(), Some("blue"));
    }

    #[test]
    fn a_namespace_that_is_gone_has_not_the_name_of_the_next() {
        let mut names = Names::default();
        // The cookies do not count upwards.
        names.name_with(7, Some(5000), |_| None, |_, _| panic!());
        let next = names.name_with(7, Some(2), |_| path("green"), |_, _| true);
        assert_eq!(next.as_deref(), Some("green"));
        assert_eq!(names.name_with(7, Some(5000), never, |_, _| panic!()), None);
    }

    #[test]
    fn without_a_cookie_the_file_is_asked_each_time() {
        let mut names = Names::default();
        names.name_with(7, None, |_| path("blue"), |_, _| true);
        let gone = names.name_with(7, None, |_| None, |_, _| false);
        assert_eq!(gone, None);
        // With one, what has no name is not looked for again for a moment.
        names.name_with(7, Some(1), |_| None, |_, _| panic!());
        assert_eq!(names.name_with(7, Some(1), never, |_, _| panic!()), None);
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut names = Names::default();
        for inode in 0..5000 {
            names.name_with(inode, Some(1), |_| None, |_, _| true);
            assert!(names.known.len() <= CAPACITY && names.latest.len() <= CAPACITY);
        }
    }

    #[test]
    fn our_own_namespace_is_found() {
        assert_eq!(
            of_process(std::process::id()),
            inode(&fs::metadata("/proc/self/ns/net").unwrap())
        );
        assert!(of_host().is_some());
        assert!(!leads_to(&"/proc/self/status".into(), of_host().unwrap()));
    }

    #[test]
    fn without_a_cookie_only_the_hosts_own_namespace_is_believed_to_stay_nameless() {
        let mut names = Names {
            host: Some(1),
            ..Names::default()
        };
        for netns in [1, 2] {
            assert_eq!(names.name_with(netns, None, |_| None, |_, _| false), None);
        }
        let look = |_| path("blue");
        assert_eq!(names.name_with(1, None, never, |_, _| false), None);
        let found = names.name_with(2, None, look, |_, _| false);
        assert_eq!(found.as_deref(), Some("blue"));
    }
}
