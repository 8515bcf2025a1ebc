//! Processes, by pid and start, for longer than they live.

use core::num::NonZeroUsize;

use lru::LruCache;

use crate::model::process::{Process, TICK_NS};

/// Processes that are remembered; about 1 KiB each with their arguments.
pub const CAPACITY: usize = 32_768;

/// A pid and when it started, in ticks of 10 ms: `/proc/PID/stat` knows no finer, and a pid is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Process id.
    pub pid: u32,
    start_tick: u64,
}

impl Key {
    /// From `CLOCK_BOOTTIME` nanoseconds.
    #[must_use]
    pub const fn new(pid: u32, start_boot_ns: u64) -> Self {
        Self {
            pid,
            start_tick: start_boot_ns / TICK_NS,
        }
    }
}

/// A process and whether it has ended.
#[derive(Clone, Debug)]
pub struct Known {
    /// The process.
    pub process: Process,
    /// When it ended (`CLOCK_BOOTTIME`, ns), if that was seen.
    pub exited_boot_ns: Option<u64>,
}

/// Processes that were seen.
#[derive(Debug)]
pub struct Processes {
    known: LruCache<Key, Known>,
    evicted: u64,
}

impl Default for Processes {
    fn default() -> Self {
        Self::with_capacity(NonZeroUsize::new(CAPACITY).unwrap_or(NonZeroUsize::MIN))
    }
}

impl Processes {
    /// Remembers so many processes.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self {
            known: LruCache::new(capacity),
            evicted: 0,
        }
    }

    /// Remembers a process, in place of what was known of it. One that has ended stays as it was: what is recorded while it
    /// closes its sockets knows less of it.
    pub fn insert(&mut self, key: Key, process: Process) {
        let known = self.known.get(&key);
        if known.is_some_and(|known| known.exited_boot_ns.is_some()) {
            return;
        }
        let known = Known {
            process,
            exited_boot_ns: None,
        };
        if let Some((old, _)) = self.known.push(key, known)
            && old != key
        {
            self.evicted += 1;
        }
    }

    /// A process has started. What is known by its key may be of another one that started within the same tick.
    pub fn started(&mut self, key: Key, start_boot_ns: u64) {
        let is_other = |known: &Known| {
            known
                .process
                .start_boot_ns
                .is_some_and(|start| !start.0.is_multiple_of(TICK_NS) && start.0 != start_boot_ns)
        };
        if self.known.peek(&key).is_some_and(is_other) {
            self.known.pop(&key);
        }
    }

    /// The process has ended.
    pub fn exited(&mut self, key: Key, boot_ns: u64) {
        if let Some(known) = self.known.get_mut(&key) {
            known.exited_boot_ns = Some(boot_ns);
        }
    }

    /// What is known of a process.
    pub fn get(&mut self, key: Key) -> Option<&Known> {
        self.known.get(&key)
    }

    /// How many were dropped for room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn named(comm: &str) -> Process {
        Process {
            comm: comm.to_owned(),
            ..Process::default()
        }
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let mut processes = Processes::default();
        processes.insert(Key::new(7, 1_000_000_000), named("old"));
        processes.exited(Key::new(7, 1_000_000_000), 5);
        processes.insert(Key::new(7, 2_000_000_000), named("new"));
        let old = processes.get(Key::new(7, 1_004_000_000)).unwrap();
        assert_eq!(
            (old.process.comm.as_str(), old.exited_boot_ns),
            ("old", Some(5))
        );
        assert_eq!(
            processes
                .get(Key::new(7, 2_000_000_000))
                .unwrap()
                .exited_boot_ns,
            None
        );
    }

    #[test]
    fn what_has_ended_stays_so() {
        let mut processes = Processes::default();
        let key = Key::new(7, 1_000_000_000);
        processes.insert(key, named("whole"));
        processes.exited(key, 5);
        processes.insert(key, named("closing"));
        let known = processes.get(key).unwrap();
        assert_eq!(
            (known.process.comm.as_str(), known.exited_boot_ns),
            ("whole", Some(5))
        );
    }

    #[test]
    fn room_is_bounded_and_what_is_dropped_is_counted() {
        let mut processes = Processes::with_capacity(NonZeroUsize::new(2).unwrap());
        for pid in 1..=5 {
            processes.insert(Key::new(pid, 0), named("x"));
        }
        processes.insert(Key::new(5, 0), named("again"));
        assert_eq!(processes.evicted(), 3);
        assert!(processes.get(Key::new(3, 0)).is_none());
    }
}
