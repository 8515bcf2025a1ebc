//! Who made which process, what each has executed, and who asked it to end: only what was seen.
//!
//! A process that has ended is remembered for as long as one that it made is: nothing else can have inherited from it.

use crate::prelude::*;
use core::num::NonZeroUsize;

use lru::LruCache;

use super::processes::Key;

/// Processes that are remembered; some 200 bytes each.
pub const CAPACITY: usize = 32_768;
/// Executions that are remembered of a process, the last ones.
pub const EXECS: usize = 4;
/// How far a line is followed.
pub const GENERATIONS: usize = 16;

/// What was seen of a process.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Its name when it was made, or first seen.
    pub comm: String,
    /// When it started: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Who made it, and when that one had started; `None` where that was not seen.
    parent: Option<(Key, u64)>,
    /// What it has executed, in order.
    execs: Vec<Exec>,
    /// Some of that was dropped.
    execs_dropped: bool,
    /// The last signal that it was sent.
    pub signal: Option<Sent>,
    /// It has ended.
    has_ended: bool,
    /// How many of those that are remembered it has made.
    children: u32,
}

/// A process has executed a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// When: `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// The name that it has from that.
    pub comm: String,
    /// The executable.
    pub exe: Option<String>,
}

/// A signal that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When: `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// Its number.
    pub signal: u32,
    /// Who sent it; `None` for the kernel itself.
    pub by: Option<Sender>,
}

/// Who sent a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Process id.
    pub pid: u32,
    /// Start: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Name.
    pub comm: String,
}

impl Life {
    /// What was executed after a moment, in order; `None` if some of it was dropped.
    #[must_use]
    pub fn execs_since(&self, boot_ns: u64) -> Option<&[Exec]> {
        let first = self.execs.partition_point(|exec| exec.boot_ns < boot_ns);
        (first > 0 || !self.execs_dropped).then(|| &self.execs[first..])
    }

    /// True if it runs what its parent ran.
    #[must_use]
    pub fn executed_nothing(&self) -> bool {
        self.execs.is_empty() && !self.execs_dropped
    }

    /// Its name of what it executed last, else from when it was made.
    #[must_use]
    pub fn last_comm(&self) -> &str {
        self.execs.last().map_or(&self.comm, |exec| &exec.comm)
    }

    /// What it ran at a moment, if it had executed that itself while it was watched.
    fn image_at(&self, boot_ns: u64) -> Option<&Exec> {
        let end = self.execs.partition_point(|exec| exec.boot_ns <= boot_ns);
        self.execs[..end].last()
    }
}

/// A process of a line.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Which one it is.
    pub key: Key,
    /// What was seen of it.
    pub life: &'a Life,
}

/// Processes whose making, executions or signals were seen.
#[derive(Debug)]
pub struct Lineages {
    lives: LruCache<Key, Life>,
    evicted: u64,
}

impl Default for Lineages {
    fn default() -> Self {
        Self::with_capacity(NonZeroUsize::new(CAPACITY).unwrap_or(NonZeroUsize::MIN))
    }
}

impl Lineages {
    /// Remembers so many processes.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self {
            lives: LruCache::new(capacity),
            evicted: 0,
        }
    }

    /// A process was made: whatever was known by its key was of another one.
    pub fn forked(&mut self, parent: (Key, u64), child: (Key, u64), comm: &str) {
        self.forget(child.0);
        let made_by = self.life(parent.0, parent.1, comm);
        made_by.children += 1;
        let life = Life {
            comm: comm.to_owned(),
            start_boot_ns: child.1,
            parent: Some(parent),
            ..Life::default()
        };
        self.insert(child.0, life);
    }

    /// A process has executed a program.
    pub fn executed(&mut self, key: Key, start_boot_ns: u64, exec: Exec) {
        let life = self.life(key, start_boot_ns, &exec.comm);
        // It has survived what it was sent before.
        life.signal = None;
        if life.execs.len() == EXECS {
            life.execs.remove(0);
            life.execs_dropped = true;
        }
        life.execs.push(exec);
    }

    /// A process was sent a signal.
    pub fn signalled(&mut self, key: Key, start_boot_ns: u64, sent: Sent) {
        self.life(key, start_boot_ns, "").signal = Some(sent);
    }

    /// A process has ended. It goes, with all before it that were waiting for that.
    pub fn ended(&mut self, key: Key) {
        if let Some(life) = self.lives.peek_mut(&key) {
            life.has_ended = true;
        }
        let mut next = Some(key);
        while let Some(key) = next {
            let over = |life: &Life| life.has_ended && life.children == 0;
            if !self.lives.peek(&key).is_some_and(over) {
                return;
            }
            let parent = self.lives.pop(&key).and_then(|life| life.parent);
            self.lose_child(parent);
            next = parent.map(|(key, _)| key);
        }
    }

    /// What was seen of a process.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Life> {
        self.lives.peek(&key)
    }

    /// A process and those before it, as far as it was seen who made whom: the process first. At most
    /// [`GENERATIONS`] before it.
    #[must_use]
    pub fn line(&self, key: Key) -> Vec<Link<'_>> {
        let mut found = Vec::new();
        let mut next = self.lives.peek(&key).map(|life| Link { key, life });
        while let Some(link) = next
            && found.len() <= GENERATIONS
        {
            found.push(link);
            next = link.life.parent.and_then(|(key, start)| {
                let life = self.lives.peek(&key)?;
                // Within a tick its pid may have been given to another one.
                (life.start_boot_ns == start).then_some(Link { key, life })
            });
        }
        found
    }

    /// What a process ran at a moment: executed by itself, or by the nearest before it.
    #[must_use]
    pub fn image_at(&self, key: Key, boot_ns: u64) -> Option<&Exec> {
        let mut at = boot_ns;
        for Link { life, .. } in self.line(key) {
            if let Some(image) = life.image_at(at) {
                return Some(image);
            }
            if life.execs_dropped {
                return None;
            }
            at = life.start_boot_ns;
        }
        None
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lives.len()
    }

    /// True if none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lives.is_empty()
    }

    /// How many were dropped for room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn life(&mut self, key: Key, start_boot_ns: u64, comm: &str) -> &mut Life {
        if self.lives.peek(&key).is_none() {
            let life = Life {
                comm: comm.to_owned(),
                start_boot_ns,
                ..Life::default()
            };
            self.insert(key, life);
        }
        self.lives.get_or_insert_mut(key, Life::default)
    }

    fn insert(&mut self, key: Key, life: Life) {
        if let Some((dropped, life)) = self.lives.push(key, life)
            && dropped != key
        {
            self.evicted += 1;
            self.lose_child(life.parent);
        }
    }

    fn forget(&mut self, key: Key) {
        if let Some(life) = self.lives.pop(&key) {
            self.lose_child(life.parent);
        }
    }

    fn lose_child(&mut self, parent: Option<(Key, u64)>) {
        if let Some((key, start)) = parent
            && let Some(life) = self.lives.peek_mut(&key)
            && life.start_boot_ns == start
        {
            life.children = life.children.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
