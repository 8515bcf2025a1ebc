//! What made an address free: sockets that blocked it, and were seen to release it.

use crate::prelude::*;
use portwatch_common::event::{
    attempt::{self as raw, Candidate},
    socket::{Socket, flag},
};

use super::{
    Assembler, Surroundings,
    attempt::{given, protocol},
    time_wait::end,
};
use crate::{
    memory::{
        episodes::{Key as EpisodeKey, Open, Standing},
        processes::Key,
        releases::{Named, Place, Release},
        time_waits::Live,
    },
    model::{
        attempt::{Attempt, Blocker, Failure},
        freed::{Freed, FreedHow},
        socket::State,
    },
    verdict::{self, rule::Transport},
};

/// Of more sockets in the way it is not remembered which they were.
const STANDING: usize = 4;

/// A socket, as an event names it.
pub(super) fn named(socket: &Socket) -> Option<Named> {
    Some(Named {
        sk: socket.sk,
        inode: given(socket.inode),
        cookie: given(socket.cookie),
        local: end(&socket.local)?,
        remote: end(&socket.remote).filter(|remote| remote.port != 0),
    })
}

fn place(socket: &Socket, port: u16) -> Option<Place> {
    Some(Place {
        netns: socket.netns,
        transport: Transport::of(protocol(socket))?,
        port,
    })
}

/// The sockets that refused; `None` unless these are all, and few.
pub(super) fn standing(walk: &raw::Walk, failure: &Failure) -> Option<Vec<Standing>> {
    let counts = failure.blocker_counts.as_ref()?;
    if counts.truncated || counts.blockers_truncated {
        return None;
    }
    let kept = &walk.candidates[..(walk.candidates_len as usize).min(walk.candidates.len())];
    let refusing = failure
        .blockers
        .iter()
        .filter(|blocker| blocker.conflicts != Some(false) && !blocker.came_later);
    let standing: Option<Vec<Standing>> = refusing
        .take(STANDING + 1)
        .map(|blocker| stands(kept, blocker))
        .collect();
    standing.filter(|standing| (1..=STANDING).contains(&standing.len()))
}

fn stands(kept: &[Candidate], blocker: &Blocker) -> Option<Standing> {
    let socket = kept
        .iter()
        .filter_map(|kept| named(&kept.socket))
        .find(|named| {
            named.inode == blocker.inode
                && named.local == blocker.local
                && named.remote == blocker.remote
        })?;
    let owner = blocker.owner.as_ref().map(|owner| &owner.process);
    let mut holders = blocker.holders.iter().map(|holder| &holder.process);
    let first = holders.next();
    let alone = first
        .or(owner)
        .filter(|first| holders.all(|other| other.is_same(first)));
    Some(Standing {
        socket,
        state: blocker.state,
        owner: owner.cloned(),
        holder: alone.and_then(|process| Some(Key::new(process.pid, process.start_boot_ns?.0))),
        found_open: first.is_some(),
    })
}

impl<S: Surroundings> Assembler<S> {
    /// A socket has given its port back.
    pub(super) fn released(&mut self, raw: &portwatch_common::event::port::Port) {
        let socket = &raw.socket;
        let (Some(place), Some(named)) = (place(socket, socket.local.port), named(socket)) else {
            return;
        };
        let release = Release {
            boot_ns: raw.header.boot_ns,
            socket: named,
            v6only: socket.flags & flag::V6ONLY != 0,
            device: socket.bound_dev_if,
            time_wait: false,
            noticed_late: false,
            owner: raw.owner,
        };
        self.memory.releases.insert(place, release);
    }

    /// A `TIME_WAIT` is over.
    pub(super) fn time_wait_over(&mut self, live: &Live, boot_ns: u64, inferred: bool) {
        let place = Place {
            netns: live.netns,
            transport: Transport::Tcp,
            port: live.local.port,
        };
        let release = Release {
            boot_ns,
            socket: Named {
                sk: live.recheck.tw,
                inode: None,
                cookie: given(live.recheck.cookie),
                local: live.local,
                remote: Some(live.remote),
            },
            v6only: false,
            device: 0,
            time_wait: true,
            noticed_late: inferred,
            owner: live.owner,
        };
        self.memory.releases.insert(place, release);
    }

    /// What gave the port back that was asked for, while the call was under way, the last of them.
    pub(super) fn released_during(
        &mut self,
        raw: &raw::Attempt,
        attempt: &Attempt,
    ) -> Option<Freed> {
        let began = given(raw.enter_ns)?;
        let place = place(
            &raw.socket,
            given(raw.requested.port.into())?.try_into().ok()?,
        )?;
        let found = self
            .memory
            .releases
            .between(&place, began, raw.header.boot_ns)
            .filter(|release| !release.noticed_late && release.socket.sk != raw.socket.sk)
            .filter(|release| {
                let Release { v6only, device, .. } = **release;
                verdict::overlaps(attempt, release.socket.local, v6only, device)
            })
            .last()?
            .clone();
        let owner = self.owner_of(&socket_of(&found), &found.owner);
        let how = if found.time_wait {
            FreedHow::TimeWaitOver
        } else {
            FreedHow::Closed
        };
        Some(Freed {
            how,
            time: self.clock.rfc3339(found.boot_ns),
            owner: owner.map(|owner| owner.process),
            local: found.socket.local,
            remote: found.socket.remote,
        })
    }

    /// What made an address free, if every socket that blocked it was seen to go by this time: the last to go.
    pub(super) fn freed_by(&mut self, key: &EpisodeKey, open: &Open, by_ns: u64) -> Option<Freed> {
        let place = Place {
            netns: key.netns,
            transport: Transport::of(key.proto)?,
            port: key.port?,
        };
        let gone: Option<Vec<_>> = open
            .standing
            .as_ref()?
            .iter()
            .map(|standing| self.gone(place, standing, open.began_ns, by_ns))
            .collect();
        let (boot_ns, freed) = gone?.into_iter().max_by_key(|(boot_ns, _)| *boot_ns)?;
        Some(Freed {
            time: self.clock.rfc3339(boot_ns),
            ..freed
        })
    }

    /// How a socket went, and when.
    fn gone(
        &mut self,
        place: Place,
        standing: &Standing,
        from_ns: u64,
        to_ns: u64,
    ) -> Option<(u64, Freed)> {
        let exited = standing.holder.and_then(|holder| {
            let ended = self.memory.processes.get(holder)?.exited_boot_ns?;
            (from_ns..=to_ns).contains(&ended).then_some(ended)
        });
        let release = self
            .memory
            .releases
            .between(&place, from_ns, to_ns)
            .find(|release| release.socket.is_same(&standing.socket));
        let (boot_ns, how) = match (release, exited) {
            (Some(release), _) if release.time_wait => (release.boot_ns, FreedHow::TimeWaitOver),
            // A process closes its descriptors after its end is reported.
            (Some(release), Some(ended)) if ended <= release.boot_ns => {
                (release.boot_ns, FreedHow::Exited)
            }
            (Some(release), _) => (release.boot_ns, FreedHow::Closed),
            (None, Some(ended)) if goes_with_its_holder(place, standing) => {
                (ended, FreedHow::Exited)
            }
            (None, _) => return None,
        };
        let freed = Freed {
            how,
            time: String::new(),
            owner: standing.owner.clone(),
            local: standing.socket.local,
            remote: standing.socket.remote,
        };
        Some((boot_ns, freed))
    }
}

/// True of what nothing is left of when it is closed. A TCP connection goes on: it has to tell its peer.
fn goes_with_its_holder(place: Place, standing: &Standing) -> bool {
    let at_once = matches!(standing.state, State::Listen | State::Bound);
    standing.found_open && (at_once || place.transport == Transport::Udp)
}

fn socket_of(release: &Release) -> Socket {
    Socket {
        inode: release.socket.inode.unwrap_or(0),
        ..Socket::NONE
    }
}
