//! Records that an output does not have, and what stands in their place.

use portwatch_core::model::{
    number::Big,
    record::{Body, Lost, Record},
};

/// What every record has, without what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) boot_ns: Big,
}

impl From<&Record> for Head {
    fn from(record: &Record) -> Self {
        let Record {
            seq,
            time,
            boot_ns,
            body: _,
        } = record;
        Self {
            seq: *seq,
            time: time.clone(),
            boot_ns: *boot_ns,
        }
    }
}

/// Records in a row that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    count: u64,
    from: String,
    last: Head,
}

impl Missing {
    /// This one.
    #[must_use]
    pub fn one(record: &Record) -> Self {
        Self::of(record.into())
    }

    pub(super) fn of(head: Head) -> Self {
        Self {
            count: 1,
            from: head.time.clone(),
            last: head,
        }
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// These, and then those.
    pub fn extend(&mut self, later: Self) {
        self.count += later.count;
        self.last = later.last;
    }

    /// `later` comes behind what `all` has.
    pub fn note(all: &mut Option<Self>, later: Self) {
        match all {
            Some(missing) => missing.extend(later),
            None => *all = Some(later),
        }
    }

    /// The record that stands for those that are missing. It has the place of the last of them in the order of `seq`.
    pub(super) fn record(&self) -> Record {
        let Self {
            count,
            from,
            last: Head { seq, time, boot_ns },
        } = self;
        let lost = Lost {
            kind: "output".to_owned(),
            count: *count,
            from: from.clone(),
            to: time.clone(),
        };
        Record {
            seq: *seq,
            time: time.clone(),
            boot_ns: *boot_ns,
            body: Body::Lost(lost),
        }
    }
}
