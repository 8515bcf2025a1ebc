//! Where the runs in a log begin and end.

use super::problem::Problem;
use portwatch_core::model::{
    number::Big,
    record::{Body, Start},
};

/// What a record is to its run.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// It begins a run, or another file of one.
    Start(&'a Start),
    /// It ends it.
    Stop,
    /// Neither.
    Other,
}

impl<'a> From<&'a Body> for Part<'a> {
    fn from(body: &'a Body) -> Self {
        match body {
            Body::Start(start) => Self::Start(start),
            Body::Stop(_) => Self::Stop,
            _ => Self::Other,
        }
    }
}

/// Follows the runs in a log, record by record.
#[derive(Debug, Default)]
pub struct Runs {
    run: Option<Run>,
}

/// What is being read between a `start` and a `stop`.
#[derive(Debug)]
struct Run {
    start: Start,
    boot_ns: Big,
    /// Number of its last record.
    seq: u64,
    /// The reason why its end is missing was reported.
    is_cut_off: bool,
}

impl Run {
    /// True if this `start` stands within the run, as at the beginning of another file of it. Such a one has the number
    /// of the record before; only if nothing has been recorded yet that is 1, as of a run of its own.
    fn goes_on_with(&self, seq: u64, boot_ns: Big, start: &Start) -> bool {
        let within = seq >= self.seq && (seq > 1 || self.seq == 1);
        self.start == *start && (within || boot_ns == self.boot_ns)
    }
}

/// What a record makes of the runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// It is a `start` that begins another file of the run that is being read, and not another run.
    pub continues: bool,
    /// The problem of the run before.
    pub problem: Option<Problem>,
}

impl Runs {
    /// Takes the next record.
    pub fn record(&mut self, seq: u64, boot_ns: Big, part: Part<'_>) -> Step {
        let mut step = Step::default();
        match part {
            Part::Start(start) => {
                let run = self.run.as_ref();
                step.continues = run.is_some_and(|run| run.goes_on_with(seq, boot_ns, start));
                if !step.continues {
                    step.problem = self.end();
                    self.run = Some(Run {
                        start: start.clone(),
                        boot_ns,
                        seq,
                        is_cut_off: false,
                    });
                }
            }
            Part::Stop => self.run = None,
            Part::Other => {}
        }
        if let Some(run) = &mut self.run {
            run.seq = run.seq.max(seq);
            run.is_cut_off = false;
        }
        step
    }

    /// Takes what is no record, and adds to it which version wrote it, where that is another one.
    pub fn problem(&mut self, problem: &mut Problem) {
        let Some(run) = &mut self.run else { return };
        match problem {
            Problem::CutOff | Problem::Io { .. } => run.is_cut_off = true,
            Problem::Unreadable { version, .. }
                if run.start.version != env!("CARGO_PKG_VERSION") =>
            {
                *version = Some(run.start.version.clone());
            }
            _ => {}
        }
    }

    /// The log ends: the problem of its last run.
    pub fn end(&mut self) -> Option<Problem> {
        let run = self.run.take()?;
        (!run.is_cut_off).then_some(Problem::NoStop)
    }
}
