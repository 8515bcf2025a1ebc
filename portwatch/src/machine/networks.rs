//! Containers by the network namespaces that they are in, as the processes of the machine show it: no daemon is asked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use super::{cgroup, netns};
use portwatch_core::model::process::Container;

/// How long a look is believed.
const FRESH: Duration = Duration::from_secs(1);
/// More addresses than this are not kept: the cache starts empty again.
const CAPACITY: usize = 1024;
/// Longest table that is read: a container has a few addresses, a router may have very many routes.
const TABLE_BYTES: u64 = 1024 * 1024;
/// Longest file that is read of `/proc/PID/cgroup`.
const CGROUP_BYTES: u64 = 64 * 1024;

/// Network namespaces in which containers are.
#[derive(Debug, Default)]
pub struct Networks {
    looked: Option<Instant>,
    by_inode: BTreeMap<u32, Network>,
    /// Addresses that nobody had, or more than one.
    unknown: HashMap<IpAddr, Instant>,
}

/// A network namespace.
#[derive(Debug, Default)]
pub struct Network {
    /// Processes of containers in it.
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    pid: u32,
    container: Container,
}

impl Network {
    /// Its container, if there is only one.
    #[must_use]
    pub fn container(&self) -> Option<Container> {
        only(self.members.iter().map(|member| &member.container))
    }

    /// The one container that one of these processes is in.
    #[must_use]
    pub fn container_of(&self, pids: &BTreeSet<u32>) -> Option<Container> {
        let members = self
            .members
            .iter()
            .filter(|member| pids.contains(&member.pid));
        only(members.map(|member| &member.container))
    }

    /// Whether it has this address itself; seen through one of its processes that is still in it.
    fn has(&self, inode: u32, addr: IpAddr) -> bool {
        self.members
            .iter()
            .find_map(|member| {
                let pid = member.pid;
                let text = match addr {
                    IpAddr::V4(_) => read(&format!("/proc/{pid}/net/fib_trie"), TABLE_BYTES)?,
                    IpAddr::V6(_) => read(&format!("/proc/{pid}/net/if_inet6"), TABLE_BYTES)?,
                };
                // The process may have ended meanwhile, and its id may be another one's.
                (netns::of_process(pid) == Some(inode)).then(|| match addr {
                    IpAddr::V4(addr) => is_in_fib_trie(&text, addr),
                    IpAddr::V6(addr) => is_in_if_inet6(&text, addr),
                })
            })
            .unwrap_or(false)
    }
}

impl Networks {
    /// The one namespace, other than `from`, that has this address; and its inode.
    pub fn at(&mut self, addr: IpAddr, from: Option<u32>) -> Option<(u32, &Network)> {
        // Every namespace has its own.
        if addr.is_loopback() || addr.is_unspecified() {
            return None;
        }
        let is_recent = |then: &Instant| then.elapsed() < FRESH;
        if self.unknown.get(&addr).is_some_and(is_recent) {
            return None;
        }
        let mut found = self
            .looked
            .filter(is_recent)
            .and_then(|_| self.one_at(addr, from));
        if found.is_none() {
            self.look();
            found = self.one_at(addr, from);
        }
        let Some(inode) = found else {
            if self.unknown.len() >= CAPACITY {
                self.unknown.clear();
            }
            self.unknown.insert(addr, Instant::now());
            return None;
        };
        Some((inode, self.by_inode.get(&inode)?))
    }

    fn one_at(&self, addr: IpAddr, from: Option<u32>) -> Option<u32> {
        let mut found = self
            .by_inode
            .iter()
            .filter(|(inode, network)| Some(**inode) != from && network.has(**inode, addr));
        let (inode, _) = found.next()?;
        found.next().is_none().then_some(*inode)
    }

    /// The namespace with this inode, if containers are in it.
    pub fn of(&mut self, inode: u32) -> Option<&Network> {
        if self.looked.is_none_or(|then| then.elapsed() >= FRESH) {
            self.look();
        }
        self.by_inode.get(&inode)
    }

    fn look(&mut self) {
        self.looked = Some(Instant::now());
        self.by_inode.clear();
        let Ok(entries) = fs::read_dir("/proc") else {
            return;
        };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        for pid in pids {
            if let (Some(container), Some(inode)) = (container_of(pid), netns::of_process(pid)) {
                let network = self.by_inode.entry(inode).or_default();
                network.members.push(Member { pid, container });
            }
        }
    }
}

/// Inode of the network namespace that a process has open, if it is one, and not its own.
#[must_use]
pub fn opened_by(pid: u32) -> Option<u32> {
    let own = netns::of_process(pid)?;
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let inodes: BTreeSet<u32> = entries
        .filter_map(|entry| {
            // The link's text alone: to follow it may ask a file system that does not answer.
            let link = fs::read_link(entry.ok()?.path()).ok()?;
            let inode = link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?;
            inode.parse().ok()
        })
        .filter(|inode| *inode != own)
        .collect();
    let mut inodes = inodes.into_iter();
    inodes.next().filter(|_| inodes.next().is_none())
}

fn container_of(pid: u32) -> Option<Container> {
    let text = read(&format!("/proc/{pid}/cgroup"), CGROUP_BYTES)?;
    cgroup::container(cgroup::choose(&text)?)
}

fn read(path: &str, limit: u64) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(limit)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What they all are.
fn only<'a>(mut containers: impl Iterator<Item = &'a Container>) -> Option<Container> {
    let first = containers.next()?;
    containers
        .all(|container| container.id == first.id)
        .then(|| first.clone())
}

/// `|-- 172.17.0.2`, and on a line below it `/32 host LOCAL` (`fib_trie_seq_show` of `net/ipv4/fib_trie.c`).
fn is_in_fib_trie(text: &str, addr: Ipv4Addr) -> bool {
    let mut at = None;
    text.lines().any(|line| {
        let line = line.trim();
        if let Some(leaf) = line.strip_prefix("|-- ") {
            at = leaf.parse().ok();
        }
        at == Some(addr) && line == "/32 host LOCAL"
    })
}

/// 32 hexadecimal digits begin each line (`if6_seq_show` of `net/ipv6/addrconf.c`).
fn is_in_if_inet6(text: &str, addr: Ipv6Addr) -> bool {
    let digits = format!("{:032x}", addr.to_bits());
    text.lines()
        .any(|line| line.split_ascii_whitespace().next() == Some(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB_TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.17.0.0/16 2 0 2
        +-- 172.17.0.0/30 2 0 2
           |-- 172.17.0.0
              /16 link UNICAST
           |-- 172.17.0.2
              /32 host LOCAL
        |-- 172.17.255.255
           /32 link BROADCAST
Local:
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
";

    #[test]
    fn only_addresses_of_its_own_count() {
        let has = |addr: &str| is_in_fib_trie(FIB_TRIE, addr.parse().unwrap());
        assert!(has("172.17.0.2") && has("127.0.0.1"));
        assert!(!has("172.17.0.0") && !has("172.17.255.255") && !has("172.17.0.3"));
        assert!(!has("127.0.0.0"));
        assert!(!is_in_fib_trie("/32 host LOCAL", Ipv4Addr::UNSPECIFIED));
    }

    #[test]
    fn ipv6_addresses_are_found() {
        let text = "fd000000000000000000000000000002 02 40 00 80     eth0\n";
        assert!(is_in_if_inet6(text, "fd00::2".parse().unwrap()));
        assert!(!is_in_if_inet6(text, "fd00::20".parse().unwrap()));
        assert!(!is_in_if_inet6("", Ipv6Addr::UNSPECIFIED));
    }

    #[test]
    fn one_of_two_containers_is_told_by_its_processes() {
        let member = |pid, id: &str| Member {
            pid,
            container: Container {
                id: id.to_owned(),
                runtime: None,
                pod: None,
            },
        };
        let network = Network {
            members: vec![member(1, "a"), member(2, "b"), member(3, "b")],
        };
        assert_eq!(network.container(), None);
        let of = |pids: &[u32]| {
            network
                .container_of(&pids.iter().copied().collect())
                .map(|found| found.id)
        };
        assert_eq!(of(&[2, 3]).as_deref(), Some("b"));
        assert_eq!(of(&[1, 2]), None);
        assert_eq!(of(&[4]), None);
    }
}
