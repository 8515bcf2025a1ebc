//! Columns of what a lane holds, and the numbers that names have in them.

use std::collections::HashMap;

use serde::Serialize;

use crate::{
    gather::Gather,
    lane::{self, Hold, Mark},
    names::{Actor, Name},
};
use portwatch_core::words::escape::escape;

/// Columns of [`Hold`].
#[derive(Default, Serialize)]
pub(super) struct Holds {
    kind: Vec<u8>,
    start: Vec<f64>,
    end: Vec<f64>,
    begun: Vec<u8>,
    ended: Vec<u8>,
    who: Vec<u32>,
    local: Vec<u32>,
    remote: Vec<u32>,
    count: Vec<u32>,
    busy: Vec<f64>,
}

/// Columns of [`Mark`].
#[derive(Default, Serialize)]
pub(super) struct Marks {
    time: Vec<f64>,
    last: Vec<f64>,
    failed: Vec<u8>,
    op: Vec<u8>,
    result: Vec<u32>,
    cause: Vec<usize>,
    who: Vec<u32>,
    addr: Vec<u32>,
    /// 4 for none.
    kind: Vec<u8>,
    blocker: Vec<u32>,
    summary: Vec<u32>,
    because: Vec<u32>,
    remedies: Vec<u32>,
    count: Vec<u32>,
}

impl Holds {
    pub(super) fn push(&mut self, used: &mut Used<'_>, clock: Clock, hold: &Hold) {
        self.kind.push(hold.kind as u8);
        self.start.push(clock.ms(hold.start));
        self.end.push(clock.ms(hold.end));
        self.begun.push(hold.begun.into());
        self.ended.push(hold.ended as u8);
        self.who.push(used.actor(hold.who));
        self.local.push(used.string(hold.local));
        self.remote.push(used.string(hold.remote));
        self.count.push(hold.count);
        self.busy.push(hold.busy as f64 / 1e6);
    }
}

impl Marks {
    pub(super) fn push(&mut self, used: &mut Used<'_>, clock: Clock, mark: &Mark) {
        self.time.push(clock.ms(mark.time));
        self.last.push(clock.ms(mark.last));
        self.failed.push(mark.failed.into());
        self.op.push(mark.op as u8);
        self.result.push(used.string(mark.result));
        self.cause.push(lane::number(mark.cause));
        self.who.push(used.actor(mark.who));
        self.addr.push(used.string(mark.addr));
        self.kind
            .push(mark.blocker.map_or(4, |(kind, _)| kind as u8));
        self.blocker
            .push(mark.blocker.map_or(0, |(_, who)| used.actor(who)));
        self.summary.push(used.string(mark.summary));
        self.because.push(used.string(mark.because));
        self.remedies.push(used.string(mark.remedies));
        self.count.push(mark.count);
    }
}

/// Gives numbers to the strings and processes that the page uses.
pub(super) struct Used<'a> {
    pub(super) found: &'a Gather,
    pub(super) strings: Vec<String>,
    string_index: HashMap<Name, u32>,
    pub(super) actors: Vec<[u32; 7]>,
    actor_index: HashMap<Actor, u32>,
}

impl<'a> Used<'a> {
    pub(super) fn new(found: &'a Gather) -> Self {
        Self {
            found,
            strings: vec![String::new()],
            string_index: HashMap::new(),
            actors: vec![[0; 7]],
            actor_index: HashMap::new(),
        }
    }

    pub(super) fn string(&mut self, name: Name) -> u32 {
        if name == Name::NONE {
            return 0;
        }
        let strings = &mut self.strings;
        *self.string_index.entry(name).or_insert_with(|| {
            // Lines of remedies stay lines; nothing else of a name may move what is around it.
            let lines = self.found.names.text(name).split('\n');
            let lines: Vec<_> = lines.map(|line| escape(line).to_string()).collect();
            strings.push(lines.join("\n"));
            strings.len() as u32 - 1
        })
    }

    /// A name on one line.
    pub(super) fn actor(&mut self, actor: Actor) -> u32 {
        let Some(process) = self.found.names.process(actor).copied() else {
            return 0;
        };
        if let Some(&number) = self.actor_index.get(&actor) {
            return number;
        }
        let row = [
            process.pid,
            self.string(process.comm),
            self.string(process.exe),
            self.string(process.user),
            self.string(process.unit),
            self.string(process.container),
            self.string(process.host),
        ];
        self.actors.push(row);
        let number = self.actors.len() as u32 - 1;
        self.actor_index.insert(actor, number);
        number
    }
}

#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) t0: i64,
}

impl Clock {
    /// Milliseconds since `t0`, to the microsecond.
    pub(super) fn ms(self, ns: i64) -> f64 {
        (i128::from(ns) - i128::from(self.t0) * 1_000_000) as f64 / 1e6
    }
}
