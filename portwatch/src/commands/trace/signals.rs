//! Signals: those that end tracing, and SIGHUP.

use std::{
    io::{self, stderr, stdin, stdout},
    os::fd::AsFd,
};

use nix::{errno::Errno, unistd::isatty};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGINT: Ctrl-C, which a terminal sends to a command that runs under trace as well.
    Interrupt,
    /// SIGTERM, or SIGHUP because the terminal is gone.
    Terminate,
    /// SIGHUP otherwise: log files are to be opened again.
    Reopen,
}

/// Waits for signals.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// A file at the limit of `RLIMIT_FSIZE` is an error of writing, not a reason to die. Caught and not ignored:
    /// a command that is run under trace would inherit that.
    _file_size: Signal,
    /// How many signals have asked for an end.
    pub(super) count: u32,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
            count: 0,
        })
    }

    pub(super) async fn next(&mut self) -> Wish {
        let wish = tokio::select! {
            _ = self.interrupt.recv() => Wish::Interrupt,
            _ = self.terminate.recv() => Wish::Terminate,
            _ = self.hangup.recv() => if terminal_is_gone() {
                Wish::Terminate
            } else {
                Wish::Reopen
            },
        };
        self.count += u32::from(wish != Wish::Reopen);
        wish
    }

    /// Waits until there have been two in all: the first one asks for an end, the second one does not wait for it.
    pub(super) async fn impatience(&mut self) {
        while self.count < 2 {
            self.next().await;
        }
    }
}

/// Whether a terminal that we were given has hung up: the kernel lets nothing be asked of it any more.
fn terminal_is_gone() -> bool {
    let gone = |fd| isatty(fd) == Err(Errno::EIO);
    let (input, output, messages) = (stdin(), stdout(), stderr());
    [input.as_fd(), output.as_fd(), messages.as_fd()]
        .into_iter()
        .any(gone)
}
