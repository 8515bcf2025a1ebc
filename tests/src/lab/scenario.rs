//! The scenarios: each makes one cause happen.

mod address;
mod binder;
mod connection;
mod episode;
mod inherited;
mod keeping;
mod listener;
mod namespace;
mod other;
mod policy;
mod proxy;
mod race;
mod refusal;
mod reuseport;
mod time_wait;
mod udp;
mod unix;
mod watched;

use anyhow::Result;
use nix::unistd::geteuid;

use super::{Lab, Pace};
use crate::expect::truth::Truth;

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, on the command line.
    pub name: &'static str,
    /// Whether it needs to be root (beside portwatch).
    pub root: bool,
    /// Whether it is about ports that portwatch is asked to watch ([`super::ports::WATCHED`]).
    pub watched: bool,
    script: fn(&Lab) -> Result<()>,
}

impl Scenario {
    const fn new(name: &'static str, script: fn(&Lab) -> Result<()>) -> Self {
        Self {
            name,
            root: false,
            watched: false,
            script,
        }
    }

    const fn root(name: &'static str, script: fn(&Lab) -> Result<()>) -> Self {
        Self {
            name,
            root: true,
            watched: false,
            script,
        }
    }

    const fn watched(mut self) -> Self {
        self.watched = true;
        self
    }

    /// Plays it.
    pub fn play(&self, pace: Pace) -> Result<Truth> {
        if self.root && !geteuid().is_root() {
            let skipped = Some("needs root".into());
            return Ok(Truth {
                scenario: self.name.into(),
                skipped,
                expect: Vec::new(),
                changes: Vec::new(),
                episodes: Vec::new(),
            });
        }
        Lab::play(self.name, pace, self.script)
    }
}

/// All scenarios.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        listener::SCENARIOS,
        inherited::SCENARIOS,
        address::SCENARIOS,
        time_wait::SCENARIOS,
        connection::SCENARIOS,
        reuseport::SCENARIOS,
        udp::SCENARIOS,
        binder::SCENARIOS,
        refusal::SCENARIOS,
        namespace::SCENARIOS,
        proxy::SCENARIOS,
        policy::SCENARIOS,
        unix::SCENARIOS,
        keeping::SCENARIOS,
        watched::SCENARIOS,
        episode::SCENARIOS,
        race::SCENARIOS,
        other::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// The scenario of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.name == name)
}
