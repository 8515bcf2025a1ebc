//! What must hold of a log file, however the run that wrote it ended.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::parse_log;

/// The lines of a file. `cut_off`: the last one may have no end, and is left out then.
pub fn read_lines(path: &Path, cut_off: bool) -> Result<Vec<Vec<u8>>> {
    let log = fs::read(path).with_context(|| path.display().to_string())?;
    let mut lines: Vec<Vec<u8>> = log
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.last().is_some_and(|line| !line.ends_with(b"\n")) {
        ensure!(cut_off, "{} ends with half a line", path.display());
        lines.pop();
    }
    Ok(lines)
}

/// The records of a file that can be read alone: see [`check_file`].
pub fn read_file(path: &Path, cut_off: bool) -> Result<(Vec<Value>, u64)> {
    let records = parse_log(&read_lines(path, cut_off)?)?;
    let missing = check_file(&records).with_context(|| path.display().to_string())?;
    Ok((records, missing))
}

/// Whether a file can be read alone: it begins with `start`, nothing comes behind `stop`, and where numbers are missing
/// a `lost` record stands for them. Gives how many are missing.
pub fn check_file(records: &[Value]) -> Result<u64> {
    let first = records.first().context("no records")?;
    ensure!(first["type"] == "start", "the first record is {first}");
    let mut missing = 0;
    for pair in records.windows(2) {
        let [before, record] = pair else { continue };
        let seq = |record: &Value| record["seq"].as_u64().context("seq");
        let step = seq(record)?.checked_sub(seq(before)?);
        let stands_for = if record["type"] == "lost" && record["kind"] == "output" {
            record["count"].as_u64().context("count")?
        } else {
            1
        };
        // At the beginning of a file the others of them are missing behind the last record of the one before.
        let of_earlier = before == first && step == Some(1);
        ensure!(
            step == Some(stands_for) || of_earlier,
            "{before} is not {stands_for} before {record}"
        );
        if record["kind"] == "output" {
            missing += stands_for;
        }
        ensure!(before["type"] != "stop", "behind stop: {record}");
        ensure!(record["type"] != "start", "a second start: {record}");
    }
    Ok(missing)
}
