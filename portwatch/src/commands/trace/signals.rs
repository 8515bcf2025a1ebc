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
    /// How many interrupts there have been.
    pub(super) interrupts: u32,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
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
