//! Tells hosts apart, also those that have the same name.
//!
//! A host is booted once at a time: two boots that were seen at the same time are of two hosts. Their ports and process
//! ids must not be mixed up.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::super::names::{Name, Names};

/// Hosts of one name that are told apart.
const SAME: usize = 64;
/// Boots of a host that are remembered.
const BOOTS: usize = 64;
/// How far clocks are trusted, in nanoseconds: they are set after a boot.
const SLACK: i64 = 60_000_000_000;

/// All hosts, by their names.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Name, Vec<Host>, RandomState>);

#[derive(Debug)]
struct Host {
    label: Name,
    boots: Vec<Boot>,
}

/// A boot of a host, as far as it was seen. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boot {
    /// Its id; 0 where that is not known.
    pub(super) id: Name,
    /// When the host booted.
    pub(super) began: i64,
    /// Last record.
    pub(super) last: i64,
}

impl Boot {
    /// True if a host can have had both.
    fn is_apart_from(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| a.began < b.began && a.last <= b.began + SLACK;
        self.id == Name::NONE
            || other.id == Name::NONE
            || self.id == other.id
            || before(self, other)
            || before(other, self)
    }
}

impl Hosts {
    /// What the host of this name and boot is called: its name, and a number where several have it.
    pub(super) fn label(&mut self, name: Name, boot: Boot, names: &mut Names) -> Name {
        let hosts = self.0.entry(name).or_default();
        let known = hosts
            .iter_mut()
            .find(|host| host.boots.iter().all(|known| known.is_apart_from(&boot)));
        if let Some(host) = known {
            host.add(boot);
            return host.label;
        }
        let label = match hosts.len() {
            0 => name,
            SAME.. => return hosts[SAME - 1].label,
            before => {
                let label = format!("{} ({})", names.text(name), before + 1);
                names.name(&label)
            }
        };
        hosts.push(Host {
            label,
            boots: vec![boot],
        });
        label
    }

    /// More was seen of a boot.
    pub(super) fn seen(&mut self, name: Name, label: Name, boot: Boot) {
        let hosts = self.0.get_mut(&name);
        let host = hosts.and_then(|hosts| hosts.iter_mut().find(|host| host.label == label));
        if let Some(host) = host {
            host.add(boot);
        }
    }
}

impl Host {
    fn add(&mut self, boot: Boot) {
        let room = self.boots.len() < BOOTS;
        match self.boots.iter_mut().find(|known| known.id == boot.id) {
            Some(known) => known.last = known.last.max(boot.last),
            None if room => self.boots.push(boot),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    /// Of minutes.
    fn boot(id: u32, began: i64, last: i64) -> Boot {
        Boot {
            id: Name(id),
            began: began * MINUTE,
            last: last * MINUTE,
        }
    }

    fn labels(boots: &[Boot]) -> Vec<String> {
        let (mut hosts, mut names) = (Hosts::default(), Names::default());
        let name = names.name("web1");
        let label = |boot: &Boot| {
            let label = hosts.label(name, *boot, &mut names);
            names.text(label).to_owned()
        };
        boots.iter().map(label).collect()
    }

    #[test]
    fn a_host_boots_again_but_not_while_it_runs() {
        assert_eq!(
            labels(&[boot(101, 0, 20), boot(102, 30, 50)]),
            ["web1", "web1"]
        );
        assert_eq!(
            labels(&[boot(101, 30, 50), boot(102, 0, 20)]),
            ["web1", "web1"]
        );
        assert_eq!(
            labels(&[boot(101, 0, 50), boot(102, 30, 60)]),
            ["web1", "web1 (2)"]
        );
        assert_eq!(
            labels(&[
                boot(101, 0, 50),
                boot(102, 5, 60),
                boot(101, 0, 58),
                boot(0, 0, 12),
            ]),
            ["web1", "web1 (2)", "web1", "web1"]
        );
    }
}
