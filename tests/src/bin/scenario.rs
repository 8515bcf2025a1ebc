//! Plays scenarios, and compares what portwatch says of them.

use std::{
    ffi::OsString,
    io::{BufWriter, Write, stdout},
    net::{Ipv4Addr, SocketAddr},
    os::fd::RawFd,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use portwatch_tests::{
    expect::play::{BATCH, Outcome, Runner},
    guest,
    harness::portwatch_binary,
    lab::{
        Pace, agent,
        scenario::{all, find},
    },
    load::{binds, churn, crowd, plays},
    made_up, rule,
};

#[derive(Parser)]
#[command(about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the names of the scenarios
    List,
    /// Play a scenario, and print what happened as a line of JSON
    Run {
        /// Its name
        name: String,
        /// Print a line and wait for one when the port is held, before it is asked for
        #[arg(long)]
        pause: bool,
        /// Print a line and wait for one after each failure
        #[arg(long)]
        pace: bool,
    },
    /// Play scenarios while portwatch watches, and compare its records with what happened
    Verify {
        /// Their names; all by default
        names: Vec<String>,
        /// The portwatch binary
        #[arg(long)]
        portwatch: Option<PathBuf>,
        /// One more argument for `portwatch trace`
        #[arg(long = "arg", allow_hyphen_values = true)]
        arguments: Vec<String>,
        /// Start portwatch when the port is held already
        #[arg(long)]
        late: bool,
    },
    /// Write a made-up log, always the same
    MadeUp {
        /// How many records
        #[arg(default_value_t = 1000)]
        records: u64,
        /// How many services of each sort
        #[arg(long, default_value_t = 1)]
        copies: u16,
        /// Connections of a service between two starts
        #[arg(long, default_value_t = 6)]
        connections: u32,
        /// With records lost, a pause of the tracing, and a unix address
        #[arg(long)]
        rough: bool,
    },
    /// Bind very often, and print how often
    Load {
        /// A free port: binds to it succeed
        free: u16,
        /// Another one: taken, so that binds to it fail
        taken: u16,
        /// How many succeed
        #[arg(long, default_value_t = 0)]
        ok: u64,
        /// How many fail
        #[arg(long, default_value_t = 0)]
        fail: u64,
    },
    /// Make very many processes and connections, none of which lasts
    Crowd {
        /// A free port, for the connections' listener
        port: u16,
        /// How many processes; each binds a socket
        #[arg(long, default_value_t = 0)]
        processes: u64,
        /// How many connections
        #[arg(long, default_value_t = 0)]
        connections: u64,
    },
    /// Play very many scenarios, several at once, and compare portwatch's records with what happened; needs root
    Stress {
        /// How many
        #[arg(long, default_value_t = 5000)]
        plays: usize,
        /// What decides which, and in which order [default: another one each time]
        #[arg(long)]
        seed: Option<u64>,
        /// The portwatch binary
        #[arg(long)]
        portwatch: Option<PathBuf>,
        /// One more argument for `portwatch trace`
        #[arg(long = "arg", allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Bind generated pairs of sockets, and compare the kernel's answers with portwatch's rule; needs root
    Rule {
        /// How many; from 32000 on they hold every pair of the core
        #[arg(long, default_value_t = 20_000)]
        pairs: usize,
        /// What they are made from
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Be a process of a scenario
    #[command(name = agent::SUBCOMMAND, hide = true)]
    Agent {
        /// A descriptor of the program that this process was before
        #[arg(long)]
        keep: Vec<RawFd>,
        /// Means nothing
        #[arg(last = true)]
        rest: Vec<OsString>,
    },
    /// Print a file
    #[command(hide = true)]
    Show {
        /// Its path
        path: PathBuf,
    },
    /// Be one of many that fight for a port
    #[command(hide = true)]
    Churn {
        /// What it does
        #[arg(value_parser = role)]
        role: churn::Role,
        /// Its name
        name: String,
        /// The port
        port: u16,
        /// How often
        times: u32,
    },
    /// Bind and end at once
    #[command(name = agent::ONCE, hide = true)]
    Once {
        /// Where to
        to: SocketAddr,
    },
    /// Be the first process of a guest
    #[command(name = guest::SUBCOMMAND, hide = true)]
    Guest,
}

fn main() -> Result<ExitCode> {
    if agent::is_stand_in() {
        agent::serve(&[])?;
        return Ok(ExitCode::SUCCESS);
    }
    match Cli::parse().command {
        Command::List => {
            for scenario in all() {
                writeln!(stdout(), "{}", scenario.name)?;
            }
        }
        Command::Run { name, pause, pace } => {
            let scenario = find(&name).with_context(|| format!("no scenario {name}"))?;
            let truth = scenario.play(Pace {
                at_checkpoint: pause,
                at_failures: pace,
            })?;
            writeln!(stdout(), "{}", serde_json::to_string(&truth)?)?;
        }
        Command::Verify {
            names,
            portwatch,
            arguments,
            late,
        } => {
            let portwatch = portwatch.map_or_else(portwatch_binary, Ok)?;
            let scenarios = std::env::current_exe()?;
            return verify(
                &names,
                &Runner {
                    portwatch,
                    scenarios,
                    arguments,
                },
                late,
            );
        }
        Command::MadeUp {
            records,
            copies,
            connections,
            rough,
        } => write_log(records, copies, connections, rough)?,
        Command::Load {
            free,
            taken,
            ok,
            fail,
        } => {
            let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let load = binds::run(at(free), at(taken), ok, fail)?;
            writeln!(stdout(), "{}", serde_json::to_string(&load)?)?;
        }
        Command::Crowd {
            port,
            processes,
            connections,
        } => {
            crowd::processes(processes)?;
            crowd::connections(port, connections)?;
        }
        Command::Stress {
            plays,
            seed,
            portwatch,
            arguments,
        } => {
            let runner = Runner {
                portwatch: portwatch.map_or_else(portwatch_binary, Ok)?,
                scenarios: std::env::current_exe()?,
                arguments,
            };
            play_many(&runner, plays, seed)?;
        }
        Command::Rule { pairs, seed } => {
            let report = rule::run(pairs, seed)?;
            writeln!(stdout(), "{report}")?;
            if report.mismatched > 0 {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Agent { keep, rest: _ } => agent::serve(&keep)?,
        Command::Show { path } => stdout().write_all(&std::fs::read(path)?)?,
        Command::Churn {
            role,
            name,
            port,
            times,
        } => {
            let part = churn::play(role, &name, port, times)?;
            writeln!(stdout(), "{}", serde_json::to_string(&part)?)?;
        }
        Command::Once { to } => agent::bind_once(to),
        Command::Guest => guest::serve()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn play_many(runner: &Runner, plays: usize, seed: Option<u64>) -> Result<()> {
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let report = plays::run(runner, plays, seed)?;
    writeln!(stdout(), "{report}")?;
    plays::judge(&report)
}

fn write_log(records: u64, copies: u16, connections: u32, rough: bool) -> Result<()> {
    let log = made_up::Log {
        copies,
        connections,
        rough,
        ..made_up::Log::of(records)
    };
    let mut out = BufWriter::with_capacity(1 << 20, stdout().lock());
    log.write(&mut out)?;
    Ok(out.flush()?)
}

fn role(text: &str) -> Result<churn::Role> {
    let mut all = [churn::Role::Holders, churn::Role::Binder].into_iter();
    all.find(|role| role.as_str() == text)
        .with_context(|| format!("no {text}"))
}

/// Prints a line for each scenario, and one for each thing that is wrong. Exit code 1 if anything is.
fn verify(names: &[String], runner: &Runner, late: bool) -> Result<ExitCode> {
    let is_wanted = |name: &&str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let those = |watched| -> Vec<_> {
        let of_this_kind = all().filter(|scenario| scenario.watched == watched);
        let names = of_this_kind.map(|scenario| scenario.name);
        names.filter(is_wanted).collect()
    };
    let (names, watched) = (those(false), those(true));
    let mut all_well = true;
    if late {
        for batch in names.chunks(BATCH) {
            for (name, outcome) in batch.iter().zip(runner.play_late(batch)?) {
                all_well &= tell(name, outcome)?;
            }
        }
    } else {
        let trace = runner.trace()?;
        for name in names {
            all_well &= tell(name, runner.play(&trace, name))?;
        }
        trace.stop()?;
        for (name, outcome) in watched.iter().zip(runner.play_watched(&watched)?) {
            all_well &= tell(name, outcome)?;
        }
    }
    Ok(if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints what came of a scenario; whether all is well.
fn tell(name: &str, outcome: Result<Outcome>) -> Result<bool> {
    let line = match outcome {
        Ok(Outcome {
            skipped: Some(reason),
            ..
        }) => format!("skip {name}: {reason}"),
        Ok(Outcome { problems, .. }) if problems.is_empty() => format!("ok   {name}"),
        Ok(Outcome { problems, .. }) => {
            format!("FAIL {name}\n     {}", problems.join("\n     "))
        }
        Err(error) => format!("FAIL {name}: {error:#}"),
    };
    writeln!(stdout(), "{line}")?;
    Ok(!line.starts_with("FAIL"))
}
