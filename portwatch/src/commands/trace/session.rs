//! One run of `trace`, from the first check to the last record.

use std::{
    process::{ExitCode, ExitStatus},
    sync::mpsc::{Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::{
    process::Child,
    sync::oneshot,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until},
};

use super::{
    child::{self, NotStarted},
    filters,
    losses::Losses,
    outlet::{Dropped, Limits, Outlet, Unfinished},
    outputs, prepare,
    pump::Pump,
    signals::{Signals, Wish},
    teller::{Ended, Message, Teller},
};
use crate::{
    bpf::{
        attach::{Attach, Attached},
        counters,
        load::{self, Request},
        plan::CAPABILITIES,
        privileges,
        ring::Reader,
    },
    cli::TraceArgs,
    machine::{host::Host, netns},
    sink::show,
};
use portwatch_core::model::record::{Body, Start};

/// How often the ring is read when nothing urgent is in it: only failures wake the reader.
const LOOK: Duration = Duration::from_millis(100);
/// How long the last records may take to be written once a signal has asked for an end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often losses are looked for.
const LOOK_FOR_LOSSES: Duration = Duration::from_secs(1);

pub(super) async fn run(args: &TraceArgs, verbose: bool) -> Result<ExitCode> {
    privileges::check()?;
    let kernel = load::kernel()?;
    let request = Request {
        object: args.bpf_object.as_deref(),
        config: filters::config(args),
        verbose,
    };
    let mut ebpf = load::load(&request, &kernel)?;
    filters::set_ports(&mut ebpf, &args.ports)?;
    #[cfg(feature = "debug-log")]
    crate::bpf::debug_log::start(&mut ebpf)?;
    let ring = Reader::new(&mut ebpf)?;
    let counters = counters::Reader::new(&ebpf)?;
    let attach = Attach {
        kernel: &kernel,
        tier: args.tier.map(Into::into),
    };
    let mut attached = attach.attach(&mut ebpf)?;
    let statistics = counters::Statistics::new(&ebpf, attached.programs());
    // Not earlier: a start that fails leaves no file behind.
    let sinks = outputs::open(args)?;
    // From here on events wait in the ring: whatever is newer than the snapshot is reported after it.
    let mut signals = Signals::new()?;
    let (messages, receiver) = channel();
    let (enough, wait_enough) = oneshot::channel();
    let assembler = prepare::assembler(ebpf, &attached)?;
    let outlet = Outlet::new(sinks, args.count, enough, Limits::default())
        .context("starting the threads that write")?;
    let unfinished = outlet.unfinished();
    let mut teller = Teller::new(assembler, outlet);
    teller.tell(Body::Start(Box::new(start(&attached, args))));
    teller.outlet.flush();
    let (mut pump, chunks) = Pump::new(ring, messages.clone());
    let thread = teller
        .spawn(receiver, chunks)
        .context("starting the teller's thread")?;
    announce(&attached);

    let mut losses = Losses::new(&counters);
    let ending = trace(
        args,
        &mut pump,
        &messages,
        &mut losses,
        &mut signals,
        wait_enough,
    )
    .await;

    attached.detach();
    let ended = tokio::select! {
        ended = finish(pump, messages, losses, &counters, &statistics, thread) => ended?,
        // The teller waits for a reader that does not read, or for a disk.
        () = signals.impatience() => return Err(cut_short(&unfinished, "a second signal")),
        () = sleep(PATIENCE), if signals.count > 0 => {
            return Err(cut_short(&unfinished, &format!("no end of it within {PATIENCE:?}")));
        }
    };
    conclude(args, &ended, ending?)
}

/// Reads what is left, and waits until it is written.
async fn finish(
    mut pump: Pump,
    messages: Sender<Message>,
    mut losses: Losses<'_>,
    counters: &counters::Reader,
    statistics: &counters::Statistics,
    thread: JoinHandle<Ended>,
) -> Result<Ended> {
    counters::wait_for_running_programs();
    pump.drain_all().await;
    losses.look(&messages);
    let totals = Box::new(counters.totals());
    let missed = statistics.missed();
    // A teller that is gone has told why.
    let _ = messages.send(Message::Finish { totals, missed });
    drop((messages, pump));
    let ended = tokio::task::spawn_blocking(|| thread.join()).await?;
    ended.map_err(|_| anyhow!("the teller's thread panicked"))
}

/// Why tracing ended.
enum Ending {
    /// A signal, the duration, the count, or a reader that is gone.
    Asked,
    /// The command ended.
    Command(ExitStatus),
    /// The command could not be started.
    NotStarted(NotStarted),
}

async fn trace(
    args: &TraceArgs,
    pump: &mut Pump,
    messages: &Sender<Message>,
    losses: &mut Losses<'_>,
    signals: &mut Signals,
    mut enough: oneshot::Receiver<()>,
) -> Result<Ending> {
    let mut command: Option<Child> = match child::spawn(&args.cmd) {
        Ok(command) => command,
        Err(not_started) => return Ok(Ending::NotStarted(not_started)),
    };
    let end = args.duration.map(|duration| Instant::now() + duration);
    let mut look = every(LOOK);
    let mut look_for_losses = every(LOOK_FOR_LOSSES);
    loop {
        tokio::select! {
            result = pump.turn() => result.context("reading the ring buffer")?,
            _ = look.tick() => pump.poke(),
            _ = look_for_losses.tick() => losses.look(messages),
            signal = signals.next() => {
                if signal == Wish::Reopen {
                    reopen(args, messages);
                    continue;
                }
                // The terminal's Ctrl-C reaches the command as well: its end is the end.
                if command.is_none() || signal != Wish::Interrupt || signals.count > 1 {
                    return Ok(Ending::Asked);
                }
            }
            status = child::wait(&mut command) => {
                return Ok(Ending::Command(status.context("waiting for the command")?));
            }
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                return Ok(Ending::Asked);
            }
            _ = &mut enough => return Ok(Ending::Asked),
        }
    }
}

/// SIGHUP, as logrotate sends it.
fn reopen(args: &TraceArgs, messages: &Sender<Message>) {
    if args.files().next().is_none() {
        anstream::eprintln!(
            "portwatch: SIGHUP: there is no log file to open again; tracing goes on"
        );
    }
    // When the teller is gone, tracing is about to end.
    let _ = messages.send(Message::Reopen);
}

/// Not everything is written, and it is not waited for.
fn cut_short(unfinished: &Unfinished, why: &str) -> anyhow::Error {
    let names = unfinished.names().join(" and ");
    anyhow!("ended before everything was written to {names}: {why}")
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn start(attached: &Attached, args: &TraceArgs) -> Start {
    let host = Host::this();
    Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: host.name,
        boot_id: host.boot_id,
        kernel: host.kernel,
        arch: host.arch,
        netns: netns::of_host(),
        hooks: attached.hooks.clone(),
        degraded: attached.degraded.clone(),
        filters: filters::record(args),
    }
}

/// On standard error: what began, and what this kernel does not give.
fn announce(attached: &Attached) {
    for lost in &attached.degraded {
        if CAPABILITIES
            .iter()
            .any(|capability| capability.name == lost.what)
        {
            anstream::eprintln!("portwatch: without {}: {}", lost.what, lost.why);
        }
    }
    anstream::eprintln!("tracing bind and listen in every network namespace of this host");
}

/// The last words, and the exit status.
fn conclude(args: &TraceArgs, ended: &Ended, ending: Ending) -> Result<ExitCode> {
    let files: Vec<String> = args.files().map(show).collect();
    if let (false, Some(stop)) = (files.is_empty(), &ended.stop) {
        // Where records were dropped nobody has counted the attempts among them.
        let told = if ended.dropped.is_empty() {
            format!("{} in {}, ", ended.told, files.join(" and "))
        } else {
            String::new()
        };
        anstream::eprintln!(
            "portwatch: {} attempts seen, {told}{} lost",
            stop.seen,
            stop.lost
        );
    }
    let status = match ending {
        Ending::NotStarted(not_started) => {
            anstream::eprintln!("portwatch: {:#}", not_started.error);
            not_started.status
        }
        Ending::Command(status) => child::code(status),
        Ending::Asked => 0,
    };
    if !ended.dropped.is_empty() {
        let of = |Dropped { name, count }: &Dropped| format!("{count} to {name}");
        let counts: Vec<String> = ended.dropped.iter().map(of).collect();
        bail!("records that could not be written: {}", counts.join(", "));
    }
    Ok(ExitCode::from(status))
}
