//! A file of our own by its name: when another one takes its place, and how.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    IfExists,
    open::{self, OpenError, Opened, show},
    outcome::Trouble,
    rotate::{Rotation, shift, unshift},
    target::Target,
};

/// How long after a rotation that did not work another one is tried, in ns.
const RETRY_NS: u64 = 1_000_000_000;

/// Where a file is.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    if_exists: IfExists,
    rotation: Rotation,
    json: bool,
    /// It has something else than a `start` record.
    pub(super) holds: bool,
    /// How old it was when it was opened.
    age: Duration,
    /// When it was as if made: nanoseconds since boot, negative before. `None` until its first record says what time it is.
    began_ns: Option<i128>,
    /// No rotation before this time, because one has failed.
    not_before_ns: u64,
    /// That was reported.
    told: bool,
}

impl Place {
    pub(super) fn new(
        path: &Path,
        if_exists: IfExists,
        rotation: Rotation,
        json: bool,
        opened: &Opened,
    ) -> Self {
        let mut place = Self {
            path: path.to_owned(),
            if_exists,
            rotation,
            json,
            holds: false,
            age: Duration::ZERO,
            began_ns: None,
            not_before_ns: 0,
            told: false,
        };
        place.renew(opened);
        place
    }

    /// Takes another file in.
    pub(super) fn renew(&mut self, opened: &Opened) {
        self.holds = opened.target.len() > 0;
        self.age = opened.age;
        self.began_ns = None;
    }

    /// Whether `target` still has this name.
    pub(super) fn is_at(&self, target: &Target) -> bool {
        self.path
            .symlink_metadata()
            .is_ok_and(|there| target.is(&there))
    }

    /// Opens or makes a file of this name.
    pub(super) fn open_again(&self) -> Result<Opened, OpenError> {
        open::again(&self.path, self.if_exists, self.json)
    }

    /// Whether a record belongs into a new file, with which this one would have `len` bytes. `waiting`: others are due to
    /// be written before it.
    pub(super) fn is_due(&mut self, now_ns: u64, len: u64, waiting: bool) -> bool {
        let Rotation { size, age, keep: _ } = self.rotation;
        let began_ns = *self
            .began_ns
            .get_or_insert(i128::from(now_ns) - self.age.as_nanos() as i128);
        if !(self.holds || waiting) || now_ns < self.not_before_ns {
            return false;
        }
        let old = |age: Duration| i128::from(now_ns) - began_ns >= age.as_nanos() as i128;
        size.is_some_and(|size| len > size) || age.is_some_and(old)
    }

    /// Gives `target` an older name, and makes a new file. `None`: that does not work, and was reported.
    pub(super) fn rotate(
        &mut self,
        target: &Target,
        now_ns: u64,
    ) -> Result<Opened, Option<Trouble>> {
        let result = self.make_room(target);
        match result {
            Ok(opened) => {
                self.told = false;
                Ok(opened)
            }
            Err(why) => {
                self.not_before_ns = now_ns.saturating_add(RETRY_NS);
                let name = show(&self.path);
                let told = std::mem::replace(&mut self.told, true);
                Err((!told).then_some(Trouble::NotRotated { name, why }))
            }
        }
    }

    fn make_room(&self, target: &Target) -> Result<Opened, String> {
        // What has this name now is somebody else's where it is not ours.
        let ours = self.is_at(target);
        if ours {
            shift(&self.path, self.rotation.keep).map_err(|error| error.to_string())?;
        }
        self.open_again().map_err(|error| {
            if ours {
                // Where this does not work either, the records go on to the file with its older name.
                let _ = unshift(&self.path);
            }
            error.why()
        })
    }
}
