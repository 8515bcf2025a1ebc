//! From the ring to the teller: copies, and hands chunks of a fixed pool over.

use std::sync::mpsc::Sender;

use tokio::sync::mpsc::{Receiver, channel};

use super::teller::{Chunks, Message};
use crate::bpf::ring::{CHUNK_BYTES, CHUNKS, Reader};

/// The reader's side.
#[derive(Debug)]
pub(super) struct Pump {
    ring: Reader,
    free: Receiver<Vec<u8>>,
    teller: Sender<Message>,
    /// A chunk to fill; `None` while the teller has all of them.
    chunk: Option<Vec<u8>>,
    /// There may be records that no readiness will announce.
    behind: bool,
}

impl Pump {
    /// The pump, and what the teller gives chunks back through.
    pub(super) fn new(ring: Reader, teller: Sender<Message>) -> (Self, Chunks) {
        let (give_back, free) = channel(CHUNKS);
        for _ in 0..CHUNKS {
            // The channel has room for exactly so many.
            let _ = give_back.try_send(Vec::with_capacity(CHUNK_BYTES));
        }
        (
            Self {
                ring,
                free,
                teller,
                chunk: None,
                behind: true,
            },
            give_back,
        )
    }

    /// Waits until there is something to do, and does it. Cancel safe: a chunk in hand is kept.
    pub(super) async fn turn(&mut self) -> std::io::Result<()> {
        if self.chunk.is_none() {
            self.chunk = self.free.recv().await;
        }
        if !self.behind {
            self.ring.ready().await?;
        }
        self.drain();
        Ok(())
    }

    /// Takes everything out of the ring that is there now, waiting for the teller as long as it takes.
    pub(super) async fn drain_all(&mut self) {
        loop {
            if self.chunk.is_none() {
                self.chunk = self.free.recv().await;
            }
            self.drain();
            if !self.behind || self.chunk.is_none() && self.free.is_closed() {
                return;
            }
        }
    }

    fn drain(&mut self) {
        let Some(mut chunk) = self.chunk.take() else {
            return;
        };
        let emptied = self.ring.drain(&mut chunk);
        self.behind = !emptied;
        if chunk.is_empty() {
            self.chunk = Some(chunk);
        } else {
            // When the teller is gone, tracing is about to end.
            let _ = self.teller.send(Message::Chunk(chunk));
        }
    }

    /// Looks into the ring at the next turn, whatever the kernel announces.
    pub(super) const fn poke(&mut self) {
        self.behind = true;
    }
}
