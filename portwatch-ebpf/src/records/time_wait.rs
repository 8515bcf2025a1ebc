//! Records of `TIME_WAIT` mini-sockets: beginning, re-arming and end.

use portwatch_common::{
    event::{Kind, time_wait::TimeWait},
    offsets::SOCK_COMMON_LEN,
};

use crate::{
    kernel::{
        read::read,
        sock::{self, Common},
    },
    records::{emit, port},
    state::{globals::offset, owners},
};

/// Sends a record. A function of its own, which the verifier looks at once for all hooks.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_time_wait(tw: u64, action: u32, reason: u32, flags: u32) -> u32 {
    let mut common = [0; SOCK_COMMON_LEN];
    // SAFETY: a buffer of that length, which outlives the copy.
    let Some(common) = (unsafe { Common::copy(tw, common.as_mut_ptr()) }) else {
        return 0;
    };
    let Some(mut entry) = emit::reserve::<TimeWait>() else {
        return 0;
    };
    let hash = read(tw, offset!(skc_hash));
    let record = entry.as_mut_ptr();
    // SAFETY: the reserved memory is written in full before it is submitted; `fill` and `of` read none of it.
    unsafe {
        (*record).header = emit::header(Kind::TimeWait, size_of::<TimeWait>());
        sock::fill(tw, common, &mut (*record).socket);
        owners::of(&(*record).socket, &mut (*record).owner);
        // Namespace and hash lead back to the mini-socket when its timer is due (`hooks/recheck.rs`).
        (*record).net = common.net();
        (*record).hash = hash;
        (*record).action = action;
        (*record).reason = reason;
        (*record).flags = flags;
        let wanted = port::is_streamed(&(*record).socket, &(*record).owner);
        emit::submit_if(wanted, entry);
    }
    0
}
