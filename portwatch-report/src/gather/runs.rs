//! Runs of portwatch: where one begins, goes on in another log, or is followed by another one.

use super::{
    super::{line::Line, names::Name},
    Gather, NOTES, Session,
    hosts::Boot,
};
use portwatch_core::model::{number::Big, record::Start};

/// A run of portwatch, as far as its log was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    /// In the order of reading.
    pub(super) number: u32,
    /// Name of its host.
    pub(super) name: Name,
    /// And what it is called here.
    pub(super) host: Name,
    pub(super) boot: Name,
    /// When the host booted.
    pub(super) booted: i64,
    pub(super) session: Option<usize>,
    pub(super) started: i64,
    pub(super) last: i64,
    /// Number of its last record.
    pub(super) seq: u64,
}

impl Run {
    const fn boot(&self) -> Boot {
        Boot {
            id: self.boot,
            began: self.booted,
            last: self.last,
        }
    }
}

impl Gather {
    /// Another log begins: what was learnt of the run in the one before is available again when it goes on.
    pub(super) fn park(&mut self) {
        let run = self.run;
        if run.last != 0 {
            self.hosts.seen(run.name, run.host, run.boot());
            self.parked.push(run);
        }
        self.run = self.new_run();
    }

    /// A run that nothing is known about.
    fn new_run(&mut self) -> Run {
        self.runs += 1;
        Run {
            number: self.runs,
            ..Run::default()
        }
    }

    /// A run begins, or goes on that another log ended in: parts of a log that are not named as rotated files are.
    pub(super) fn start(&mut self, line: &Line<'_>, boot_ns: Big, start: &Start) {
        let name = self.names.name(&start.host);
        let boot = self
            .names
            .name(start.boot_id.as_deref().unwrap_or_default());
        let goes_on = |run: &Run| {
            (run.name, run.boot, run.seq) == (name, boot, line.seq)
                && line.seq > 1
                && run.last <= line.time
        };
        if self.run.last == 0
            && let Some(position) = self.parked.iter().position(goes_on)
        {
            self.run = self.parked.remove(position);
            return;
        }
        let before = self.run;
        let booted = line.time.saturating_sub_unsigned(boot_ns.0);
        self.run = Run {
            name,
            host: before.host,
            boot,
            booted,
            started: line.time,
            last: line.time,
            ..self.new_run()
        };
        // One log is of one host.
        if before.last == 0 || before.name != name {
            let boot = self.run.boot();
            self.run.host = self.hosts.label(name, boot, &mut self.names);
        }
        self.interrupt(before);
        if self.sessions.len() < NOTES {
            self.run.session = Some(self.sessions.len());
            self.sessions.push(Session {
                host: self.run.host,
                kernel: self.names.name(&start.kernel),
                version: self.names.name(&start.version),
                start: line.time,
                end: line.time,
                stopped: false,
            });
        } else {
            self.dropped += 1;
        }
    }

    /// Another run has begun, and knows nothing of what earlier ones saw.
    fn interrupt(&mut self, before: Run) {
        if before.last != 0 {
            self.hosts.seen(before.name, before.host, before.boot());
            self.close_all(before.number, before.last, false);
        }
        let now = self.run;
        let earlier = |run: &mut Run| run.host == now.host && run.last <= now.started;
        let over: Vec<Run> = self.parked.extract_if(.., earlier).collect();
        for run in over {
            self.close_all(run.number, run.last, false);
        }
    }
}
