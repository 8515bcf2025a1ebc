//! Messages about outputs, on standard error.
//!
//! Standard error may be the very pipe that nobody reads: a thread of its own waits for it, and nobody else.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread::Builder,
    time::Duration,
};

/// Messages that may wait to be read. More are dropped: they say what was said.
const WAITING: usize = 64;
/// How long the end waits for the last of them to be read.
const PATIENCE: Duration = Duration::from_secs(1);

/// The thread that prints.
#[derive(Debug)]
pub(super) struct Messenger {
    voice: Voice,
    ended: Receiver<()>,
}

/// Says something.
#[derive(Clone, Debug)]
pub(super) struct Voice(SyncSender<String>);

impl Voice {
    pub(super) fn say(&self, message: String) {
        let _ = self.0.try_send(message);
    }
}

impl Messenger {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, messages) = sync_channel::<String>(WAITING);
        let (end, ended) = channel();
        Builder::new().name("messenger".to_owned()).spawn(move || {
            for message in messages {
                anstream::eprintln!("portwatch: {message}");
            }
            // Nobody waits where the patience has been too short.
            let _ = end.send(());
        })?;
        let voice = Voice(sender);
        Ok(Self { voice, ended })
    }

    pub(super) fn voice(&self) -> Voice {
        self.voice.clone()
    }

    /// Waits for the last message. Every other voice must be gone.
    pub(super) fn finish(self) {
        let Self { voice, ended } = self;
        drop(voice);
        let _ = ended.recv_timeout(PATIENCE);
    }
}
