//! DuckDB's command line, with which the documented queries are tried: from PyPI, for Debian has none. It is put into an
//! environment of its own in the cache, `duckdb/bin/duckdb`, where the tests look for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::kernels::cache;
use crate::shell::{output, run, say};

/// Its tables are compared with those in the documentation, so that it is always the same.
const VERSION: &str = "1.5.6";

/// Makes sure that it is there.
pub(crate) fn ensure() -> Result<()> {
    let directory = cache()?.join("duckdb");
    let program = directory.join("bin/duckdb");
    if is_right(&program) {
        return Ok(());
    }
    say(format!("Installing DuckDB {VERSION} ..."));
    // Debian's Python can make environments only with this; others bring it.
    if output(Command::new("python3").args(["-c", "import ensurepip"])).is_err() && apt::is_here() {
        apt::install(&["python3-venv"])?;
    }
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&directory))?;
    run(Command::new(directory.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check"])
        .arg(format!("duckdb-cli=={VERSION}")))?;
    output(Command::new(&program).arg("--version")).map(drop)
}

fn is_right(program: &Path) -> bool {
    output(Command::new(program).arg("--version"))
        .is_ok_and(|version| version.starts_with(&format!("v{VERSION} ")))
}
