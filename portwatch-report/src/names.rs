//! Strings and processes, each kept once and named by a number. Bounded: 0 stands for what is not known, and for what
//! there was no room for.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::line::{self, Who};

/// Strings that are kept.
const STRINGS: usize = 1 << 18;
/// Bytes of them.
const BYTES: usize = 32 << 20;
/// Processes that are kept.
const PROCESSES: usize = 1 << 17;
/// Processes that are known by how they stand in a line; some 400 bytes each.
const LINES: usize = 1 << 14;
/// Bytes of them, because arguments may be long.
const LINE_BYTES: usize = 16 << 20;

/// A string, by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub u32);

/// A process, by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor(pub u32);

impl Name {
    /// Nothing.
    pub const NONE: Self = Self(0);
}

impl Actor {
    /// Nobody that is known.
    pub const NONE: Self = Self(0);
}

/// A process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named after the fields of `model::process`")]
pub struct Process {
    pub pid: u32,
    pub comm: Name,
    pub exe: Name,
    pub user: Name,
    pub unit: Name,
    /// `docker:4f2a6d1b9c3e`.
    pub container: Name,
    pub start_boot_ns: u64,
    /// Pids of different hosts are different processes.
    pub host: Name,
}

/// All strings and processes.
#[derive(Debug)]
pub struct Names {
    strings: Vec<Arc<str>>,
    index: HashMap<Arc<str>, Name, RandomState>,
    bytes: usize,
    processes: Vec<Process>,
    actors: HashMap<Process, Actor, RandomState>,
    /// Processes as they stood in lines of the host.
    lines: HashMap<Box<str>, Actor, RandomState>,
    lines_host: Name,
    line_bytes: usize,
    /// Strings and processes that there was no room for.
    pub dropped: u64,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            strings: vec!["".into()],
            index: HashMap::default(),
            bytes: 0,
            processes: vec![Process::default()],
            actors: HashMap::default(),
            lines: HashMap::default(),
            lines_host: Name::NONE,
            line_bytes: 0,
            dropped: 0,
        }
    }
}

impl Names {
    /// The number of a string.
    pub fn name(&mut self, text: &str) -> Name {
        if text.is_empty() {
            return Name::NONE;
        }
        if let Some(&name) = self.index.get(text) {
            return name;
        }
        if self.strings.len() >= STRINGS || self.bytes + text.len() > BYTES {
            self.dropped += 1;
            return Name::NONE;
        }
        self.bytes += text.len();
        let name = Name(self.strings.len() as u32);
        let text: Arc<str> = text.into();
        self.strings.push(Arc::clone(&text));
        self.index.insert(text, name);
        name
    }

    /// The number of a process.
    pub fn actor(&mut self, host: Name, who: Who<'_>) -> Actor {
        if self.lines_host != host {
            self.lines.clear();
            self.line_bytes = 0;
            self.lines_host = host;
        }
        if let Some(&actor) = self.lines.get(who.0) {
            return actor;
        }
        let actor = who
            .read()
            .map_or(Actor::NONE, |process| self.read(host, &process));
        self.line_bytes += who.0.len();
        if self.lines.len() >= LINES || self.line_bytes > LINE_BYTES {
            self.lines.clear();
            self.line_bytes = who.0.len();
        }
        self.lines.insert(who.0.into(), actor);
        actor
    }

    fn read(&mut self, host: Name, who: &line::Process<'_>) -> Actor {
        let mut of = |text: &Option<line::Text<'_>>| {
            text.as_ref()
                .map_or(Name::NONE, |text| self.name(text.as_str()))
        };
        let (exe, user, unit) = (of(&who.exe), of(&who.user), of(&who.unit));
        let container = who.container.as_ref().map_or(Name::NONE, |container| {
            // Twelve digits are what the container tools themselves show and take.
            let id = container.id.as_str();
            let id = match id.get(..12) {
                Some(start) if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) => start,
                _ => id,
            };
            let runtime = container
                .runtime
                .as_ref()
                .map_or("container", |runtime| runtime.as_str());
            self.name(&format!("{runtime}:{id}"))
        });
        let process = Process {
            pid: who.pid,
            comm: self.name(who.comm.as_str()),
            exe,
            user,
            unit,
            container,
            start_boot_ns: who.start_boot_ns.map_or(0, |start| start.0),
            host,
        };
        match self.actors.get(&process) {
            Some(&actor) => actor,
            None if self.processes.len() < PROCESSES => {
                let actor = Actor(self.processes.len() as u32);
                self.processes.push(process);
                self.actors.insert(process, actor);
                actor
            }
            None => {
                self.dropped += 1;
                Actor::NONE
            }
        }
    }

    /// The string of a number.
    #[must_use]
    pub fn text(&self, name: Name) -> &str {
        self.strings.get(name.0 as usize).map_or("", |text| text)
    }

    /// The process of a number; `None` for nobody that is known.
    #[must_use]
    pub fn process(&self, actor: Actor) -> Option<&Process> {
        (actor != Actor::NONE)
            .then(|| self.processes.get(actor.0 as usize))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(pid: u32, comm: &str) -> String {
        format!(r#"{{"pid":{pid},"comm":"{comm}","uid":7}}"#)
    }

    #[test]
    fn the_same_is_kept_once() {
        let mut names = Names::default();
        let host = names.name("web1");
        let node = names.actor(host, Who(&who(7, "node")));
        assert_ne!(node, names.actor(host, Who(&who(8, "node"))));
        assert_eq!(node, names.actor(host, Who(&who(7, "node"))));
        let process = names.process(node).unwrap();
        assert_eq!((process.pid, names.text(process.comm)), (7, "node"));
        assert_eq!(names.process(Actor::NONE), None);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut names = Names::default();
        for pid in 0..PROCESSES as u32 + 9 {
            names.actor(Name::NONE, Who(&who(pid, "x")));
        }
        assert_eq!(names.dropped, 10, "number 0 stands for nobody");
        let long = "x".repeat(BYTES);
        assert_eq!(names.name(&long), Name::NONE);
        assert_eq!(names.text(Name::NONE), "");
        // Arguments are not kept, but lines are known by them.
        for pid in 0..100 {
            let arguments = "x".repeat(LINE_BYTES / 50);
            let line = format!(r#"{{"pid":{pid},"comm":"x","cmdline":["{arguments}"]}}"#);
            assert_ne!(names.actor(Name::NONE, Who(&line)), Actor::NONE);
            let kept: usize = names.lines.keys().map(|line| line.len()).sum();
            assert!(kept <= LINE_BYTES);
        }
    }
}
