//! Signals that end tracing.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGINT: Ctrl-C, which a terminal sends to a command that runs under trace as well.
    Interrupt,
    /// SIGTERM, or SIGHUP when the terminal goes away.
    Terminate,
}

/// Waits for signals.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// A file at the limit of `RLIMIT_FSIZE` is an error of writing, not a reason to die. Caught and not ignored:
    /// a command that is run under trace would inherit that.
    _file_size: Signal,
    /// How many interrupts there have been.
    pub(super) interrupts: u32,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
            interrupts: 0,
        })
    }

    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.interrupt.recv() => {
                self.interrupts += 1;
                Wish::Interrupt
            }
            _ = self.terminate.recv() => Wish::Terminate,
            _ = self.hangup.recv() => Wish::Terminate,
        }
    }
}
