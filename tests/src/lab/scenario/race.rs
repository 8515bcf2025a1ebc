//! A holder that lets go of its port in the very moment in which another one asks for it.

use std::thread::available_parallelism;

use anyhow::{Result, bail};
use portwatch::machine::clock::boot_now;

use super::Scenario;
use crate::lab::{Blame, Lab, Raced, loopback, protocol::Kind::Tcp4};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario::new("released-just-now", released_just_now)];

/// How often the moment is tried to meet.
const TRIES: u32 = 1000;
/// From the script's decision to the moment, in nanoseconds: longer than it takes to tell both processes.
const MARGIN_NS: u64 = 20_000_000;
/// How far the next try is moved at least and at most, in nanoseconds.
const STEPS_NS: [i64; 2] = [100, 1_000_000];

/// The kernel refuses for a listener, which is closed before anybody can look at it. That is a matter of a microsecond: the
/// close is moved towards the bind from wherever it was too early or too late, in steps that become smaller.
fn released_just_now(lab: &Lab) -> Result<()> {
    if available_parallelism()?.get() < 2 {
        return lab.skip("needs two processors");
    }
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let mut listener = holder.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let blame = Blame::cause("released-just-now")
        .released_by(&holder)
        // It was there still when it was looked at, whole or half closed; or gone, and nobody saw it go.
        .or("live-listener")
        .or("bound-not-listening")
        .or("pending-release")
        .or("unknown");
    let (mut later_ns, mut step_ns, mut was_bound) = (0_i64, STEPS_NS[1] / 8, None);
    for _ in 0..TRIES {
        let socket = binder.socket(Tcp4)?;
        let at = boot_now()? + MARGIN_NS;
        holder.close_at(listener, at.saturating_add_signed(later_ns))?;
        let is_bound = match binder.bind_at(socket, port, at)?.raced(&blame)? {
            Raced::Bound => true,
            Raced::Refused(None) => return Ok(()),
            Raced::Refused(Some(told)) if told == "released-just-now" => return Ok(()),
            Raced::Refused(Some(_)) => false,
        };
        step_ns = match was_bound.replace(is_bound) {
            Some(was_bound) if was_bound == is_bound => step_ns * 2,
            Some(_) => step_ns / 2,
            None => step_ns,
        }
        .clamp(STEPS_NS[0], STEPS_NS[1]);
        later_ns += if is_bound { step_ns } else { -step_ns };
        binder.close(socket)?;
        // portwatch looks at descriptors, and may have the file of one for an instant.
        lab.until_free(port)?;
        listener = holder.listener(Tcp4, port, &[])?;
    }
    bail!("in {TRIES} tries nobody was seen to let go in the middle of a bind")
}
