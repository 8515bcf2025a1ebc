//! Checks of all that portwatch has recorded: it reads back, fits the schema, prints again as it was printed, and leads
//! to the same verdicts when it is judged again.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use jsonschema::Validator;
use portwatch_log::{
    json::{from_line, to_line},
    schema,
};

use crate::harness::{Finished, peak_memory};

/// Lines that are compared with the schema: on a busy machine a log has everybody's.
const VALIDATED: usize = 5_000;
/// Problems that are shown of many.
const SHOWN: usize = 20;

/// Checks the log of a run, line by line, and with this `portwatch`.
pub fn check(portwatch: &Path, finished: &Finished) -> Result<()> {
    let lines = &finished.lines;
    check_lines(lines)?;
    let log = joined(lines);
    let rechecked = replay(portwatch, &["--recheck"], &log)?;
    ensure!(
        rechecked.status.success() && rechecked.stdout.is_empty(),
        "judged again, the log of {} lines differs: {}{}",
        lines.len(),
        head(&rechecked.stdout),
        head(&rechecked.stderr)
    );
    let told = finished.text.as_ref().context("it told no text")?;
    let replayed = replay(portwatch, &[], &log)?;
    ensure!(
        replayed.status.success(),
        "replay: {}",
        head(&replayed.stderr)
    );
    ensure!(
        replayed.stdout == *told,
        "replay tells something else: {}",
        first_difference(told, &replayed.stdout)
    );
    Ok(())
}

/// Runs `portwatch replay` on a log, with times in UTC.
pub fn replay(portwatch: &Path, arguments: &[&str], log: &[u8]) -> Result<Output> {
    let mut child = Command::new(portwatch)
        .args(["replay", "-"])
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    thread::scope(|scope| {
        // What it does not read, it has told why.
        scope.spawn(move || stdin.write_all(log));
        Ok(child.wait_with_output()?)
    })
}

/// Peak memory of a program that is fed a log of at least so many bytes on its standard input: `first`, `line` over and over,
/// and a line of twice that length that does not end.
pub fn peak_while_fed(mut reader: Child, first: &[u8], line: &str, bytes: u64) -> Result<u64> {
    let mut stdin = reader.stdin.take().context("no stdin")?;
    stdin.write_all(first)?;
    for _ in 0..bytes / line.len() as u64 {
        stdin.write_all(line.as_bytes())?;
    }
    let endless = vec![b'x'; 1 << 20];
    for _ in 0..(2 * bytes) >> 20 {
        stdin.write_all(&endless)?;
    }
    let peak = peak_memory(reader.id())?;
    drop(stdin);
    let status = reader.wait()?;
    ensure!(status.success(), "{status}");
    Ok(peak)
}

/// Each line is what its record is written as, so that nothing was lost when it was read; and the schema allows it.
fn check_lines(lines: &[Vec<u8>]) -> Result<()> {
    let validator = validator()?;
    for (index, line) in lines.iter().enumerate() {
        let line = str::from_utf8(line)?;
        let record = from_line(line).with_context(|| line.to_owned())?;
        let mut again = Vec::new();
        to_line(&record, &mut again);
        ensure!(
            again.trim_ascii_end() == line.as_bytes(),
            "read and written again, {line} is {}",
            String::from_utf8_lossy(&again)
        );
        if index < VALIDATED {
            validate(&validator, line)?;
        }
    }
    Ok(())
}

fn validate(validator: &Validator, line: &str) -> Result<()> {
    let value = serde_json::from_str(line)?;
    let problems = validator
        .iter_errors(&value)
        .map(|problem| format!("{}: {problem}", problem.instance_path()));
    let problems: Vec<String> = problems.take(SHOWN).collect();
    ensure!(
        problems.is_empty(),
        "not as the schema says: {problems:?}: {line}"
    );
    Ok(())
}

/// The schema of the records, ready to validate with.
pub fn validator() -> Result<Validator> {
    jsonschema::draft202012::new(&schema::schema()).map_err(|error| anyhow!("the schema: {error}"))
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line, &b"\n"[..]])
        .flatten()
        .copied()
        .collect()
}

fn head(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().take(SHOWN).collect();
    format!("\n{}", lines.join("\n"))
}

fn first_difference(told: &[u8], replayed: &[u8]) -> String {
    let [told, replayed] = [told, replayed].map(String::from_utf8_lossy);
    let mut lines = told.lines().zip(replayed.lines()).enumerate();
    match lines.find(|(_, (told, replayed))| told != replayed) {
        Some((position, (told, replayed))) => {
            format!("line {}: {told:?}, replayed {replayed:?}", position + 1)
        }
        None => format!("{} bytes, replayed {}", told.len(), replayed.len()),
    }
}
