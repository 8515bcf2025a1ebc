//! Where the work is done: a network namespace of its own, with nobody else on its ports.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, ensure};
use nix::{
    sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns, unshare},
    unistd::Pid,
};
use serde::Serialize;

use super::{
    figures::median,
    load::{self, TAKEN},
};
use portwatch_tests::lab::agent::raise_loopback;

/// The port that connections go to.
pub(super) const SERVED: u16 = 23_000;
/// A port that nobody uses.
pub(super) const OTHER: u16 = 24_000;

/// What is done over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    /// `socket()`, a `bind()` that succeeds, `close()`.
    Bind,
    /// The `bind()` of that, alone.
    BindAlone,
    /// `socket()`, a `bind()` that conflicts with a listener, `close()`.
    Refusal,
    /// The `bind()` of that, alone.
    RefusalAlone,
    /// The same where connections to the listener have left `TIME_WAIT`s.
    RefusalAmongTimeWaits,
    /// `connect()` over the loopback interface, `accept()`, `close()` at both ends.
    Connection,
}

impl Work {
    /// In a few words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bind => "socket, bind, close",
            Self::BindAlone => "bind alone",
            Self::Refusal => "socket, refused bind, close",
            Self::RefusalAlone => "refused bind alone",
            Self::RefusalAmongTimeWaits => "refused bind among TIME_WAITs",
            Self::Connection => "connect, accept, close",
        }
    }

    /// Operations of a batch. A batch is short: most are over before the machine does something else.
    const fn batch(self) -> usize {
        match self {
            Self::Bind | Self::BindAlone | Self::Refusal | Self::RefusalAlone => 50,
            Self::RefusalAmongTimeWaits => 5,
            Self::Connection => 10,
        }
    }

    const fn batches(self, size: Size) -> usize {
        match self {
            Self::Bind | Self::BindAlone => size.batches * 2,
            // The records of a tracer's whole run fit into its buffer: one that loses records would seem cheap.
            Self::Refusal | Self::RefusalAlone => size.batches / 2,
            Self::RefusalAmongTimeWaits | Self::Connection => size.batches,
        }
    }

    /// How many operations one measurement makes, those that warm up included.
    pub(super) const fn operations(self, size: Size) -> usize {
        self.batch() * (self.batches(size) + WARM_UP)
    }
}

/// Batches that are not counted.
const WARM_UP: usize = 2;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    batches: usize,
    /// Number of `TIME_WAIT`s.
    pub(super) time_waits: u32,
}

impl Size {
    pub(super) const FULL: Self = Self {
        batches: 50,
        time_waits: 20_000,
    };
    pub(super) const QUICK: Self = Self {
        batches: 10,
        time_waits: 2_000,
    };
}

/// A network namespace with a listener on [`TAKEN`] and one on [`SERVED`].
pub(super) struct Arena {
    netns: File,
    /// Stay on one processor: to move to another one costs time.
    processor: Option<CpuSet>,
    taken: TcpListener,
    served: TcpListener,
}

impl Arena {
    pub(super) fn new() -> Result<Self> {
        thread::scope(|scope| scope.spawn(Self::make).join()).map_err(|_| anyhow!("panic"))?
    }

    /// Leaves this thread in the namespace.
    fn make() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).context("a network namespace")?;
        raise_loopback()?;
        // Above all ports that are used here, and with room for the clients of all TIME_WAITs.
        for (setting, value) in [
            ("ip_local_port_range", "25000 65000"),
            ("tcp_max_tw_buckets", "262144"),
        ] {
            let path = format!("/proc/sys/net/ipv4/{setting}");
            fs::write(&path, value).context(path)?;
        }
        Ok(Self {
            netns: File::open("/proc/thread-self/ns/net")?,
            processor: last_processor()?,
            taken: TcpListener::bind((Ipv4Addr::LOCALHOST, TAKEN))?,
            served: TcpListener::bind((Ipv4Addr::UNSPECIFIED, SERVED))?,
        })
    }

    /// Runs something in the namespace, in a thread of its own: tracers are not to inherit where that is.
    fn inside<T: Send>(&self, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let run = || {
            setns(&self.netns, CloneFlags::CLONE_NEWNET).context("setns")?;
            if let Some(processor) = &self.processor {
                sched_setaffinity(Pid::from_raw(0), processor).context("sched_setaffinity")?;
            }
            run()
        };
        thread::scope(|scope| scope.spawn(run).join()).map_err(|_| anyhow!("panic"))?
    }

    /// Nanoseconds of one operation: the median over the batches.
    pub(super) fn time(&self, work: Work, size: Size) -> Result<f64> {
        self.inside(|| {
            let batch = work.batch();
            let mut client = 0;
            let mut one = || match work {
                Work::Bind => load::binds(batch),
                Work::BindAlone => load::binds_alone(batch),
                Work::Refusal => load::refusals(batch),
                Work::RefusalAlone | Work::RefusalAmongTimeWaits => load::refusals_alone(batch),
                Work::Connection => {
                    client += 1;
                    self.connections(client, batch)
                }
            };
            for _ in 0..WARM_UP {
                one()?;
            }
            let batches = (0..work.batches(size)).map(|_| one());
            let mut batches = batches.collect::<Result<Vec<f64>>>()?;
            Ok(median(&mut batches))
        })
    }

    /// Connects and closes, the client first. Each batch goes to another address, so that no port is still in
    /// `TIME_WAIT` from the last time.
    fn connections(&self, batch_number: u8, n: usize) -> Result<f64> {
        let to = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, batch_number), SERVED);
        let began = Instant::now();
        for _ in 0..n {
            let outgoing = TcpStream::connect(to)?;
            let (incoming, _) = self.served.accept()?;
            drop(outgoing);
            drop(incoming);
        }
        Ok(load::each(began, n))
    }

    /// Makes connections to the listener on [`TAKEN`] that leave `TIME_WAIT`s at its end, until there are so many.
    pub(super) fn crowd(&self, wanted: u32) -> Result<()> {
        self.inside(|| {
            let mut tries = 0;
            loop {
                let missing = wanted.saturating_sub(time_waits()?);
                if missing == 0 {
                    return Ok(());
                }
                for n in 0..missing {
                    // From several addresses: a port that comes again too soon ends the TIME_WAIT of its last time.
                    let outgoing =
                        load::connect_from(Ipv4Addr::new(127, 0, 0, 2 + (n % 16) as u8))?;
                    let (incoming, _) = self.taken.accept()?;
                    drop(incoming);
                    drop(outgoing);
                }
                // Some end early (RFC 1337), or take another one's place.
                tries += 1;
                ensure!(tries < 10, "{missing} of {wanted} TIME_WAITs are missing");
            }
        })
    }
}

/// `TIME_WAIT`s of this thread's network namespace.
fn time_waits() -> Result<u32> {
    let path = "/proc/thread-self/net/sockstat";
    let text = fs::read_to_string(path).context(path)?;
    let tcp = text.lines().find_map(|line| line.strip_prefix("TCP: "));
    let mut words = tcp.context(path)?.split_whitespace();
    words.find(|word| *word == "tw");
    let count = words.next().context("no tw in sockstat")?;
    Ok(count.parse()?)
}

/// The last processor that this process may use; none if there is but one.
fn last_processor() -> Result<Option<CpuSet>> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    let mut cpus: Vec<usize> = (0..CpuSet::count()).filter(is_allowed).collect();
    let Some(last) = cpus.pop().filter(|_| !cpus.is_empty()) else {
        return Ok(None);
    };
    let mut processor = CpuSet::new();
    processor.set(last)?;
    Ok(Some(processor))
}
