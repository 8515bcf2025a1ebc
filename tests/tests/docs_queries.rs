//! What docs/logs.md shows is what happens: its commands are run, and print what it says.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nix::sys::signal::Signal;
use portwatch_tests::{
    harness::{
        Run, can, can_trace, common_arguments, portwatch_binary, trace_command, wait_for_files,
    },
    lab::ports::Claim,
    made_up::Log,
    programs::{close_after_server, connect, duckdb, find},
};
use serde_json::Value;
use tempfile::TempDir;

/// A block of the page.
struct Block {
    /// Line of its first line.
    line: usize,
    /// The heading that it stands under.
    heading: String,
    language: String,
    text: String,
    /// Only empty lines are between the one before and this one.
    follows: bool,
}

/// A command, and what the page says that it prints.
struct Example {
    line: usize,
    heading: String,
    command: String,
    output: String,
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/logs.md");
    fs::read_to_string(page).unwrap()
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut heading, mut inside, mut follows) = (String::new(), false, false);
    for (index, line) in page.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            if !inside {
                blocks.push(Block {
                    line: index + 2,
                    heading: heading.clone(),
                    language: language.to_owned(),
                    text: String::new(),
                    follows,
                });
            }
            inside = !inside;
            follows = true;
        } else if inside {
            let text = &mut blocks.last_mut().unwrap().text;
            text.push_str(line);
            text.push('\n');
        } else if !line.is_empty() {
            follows = false;
            if let Some(title) = line.strip_prefix('#') {
                title.trim_matches(['#', ' ']).clone_into(&mut heading);
            }
        }
    }
    assert!(!inside, "a block has no end");
    blocks
}

/// All commands that are to be tried. One without a block of output directly behind it prints nothing.
fn examples() -> Vec<Example> {
    let mut blocks = blocks(&page()).into_iter().peekable();
    let mut examples = Vec::new();
    while let Some(block) = blocks.next() {
        if block.language != "sh" {
            continue;
        }
        let output = blocks.next_if(|next| next.follows && next.language != "sh");
        examples.push(Example {
            line: block.line,
            heading: block.heading,
            command: block.text,
            output: output.map(|output| output.text).unwrap_or_default(),
        });
    }
    assert!(examples.len() > 15, "only {} examples", examples.len());
    examples
}

/// The only block of a language.
fn block(language: &str) -> String {
    let mut blocks = blocks(&page())
        .into_iter()
        .filter(|block| block.language == language);
    let block = blocks.next().unwrap();
    assert!(blocks.next().is_none(), "two blocks of {language}");
    block.text
}

/// A directory with logs, and the programs that ask them.
struct Place {
    directory: TempDir,
    path: std::ffi::OsString,
}

impl Place {
    fn new() -> Option<Self> {
        let duckdb = duckdb();
        let missing = "DuckDB is not installed: `cargo xtask setup`";
        if !can(missing, duckdb.is_some()) {
            return None;
        }
        let (jq, duckdb) = (find("jq")?, duckdb?);
        let directory = tempfile::tempdir().unwrap();
        let programs = directory.path().join("programs");
        fs::create_dir(&programs).unwrap();
        symlink(portwatch_binary().unwrap(), programs.join("portwatch")).unwrap();
        let directories = [
            &programs,
            duckdb.parent().unwrap(),
            jq.parent().unwrap(),
            Path::new("/usr/bin"),
            Path::new("/bin"),
        ];
        let path = env::join_paths(directories).unwrap();
        Some(Self { directory, path })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, example: &Example) -> Output {
        Command::new("sh")
            .args(["-eu", "-c", &example.command])
            .current_dir(self.directory.path())
            .env_clear()
            // Where nobody has settings for these programs.
            .env("HOME", self.directory.path())
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", &self.path)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What a command prints, which must be all that it has to say.
    fn output(&self, example: &Example) -> String {
        let output = self.run(example);
        let said = String::from_utf8_lossy(&output.stderr);
        let at = format!("docs/logs.md:{}: {}", example.line, example.command);
        assert!(output.status.success(), "{at}{}: {said}", output.status);
        assert_eq!(said, "", "{at}");
        // Ends of lines are not seen in the page.
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| line.trim_end().to_owned() + "\n");
        lines.collect()
    }
}

#[test]
fn examples_print_what_the_page_says() {
    let Some(place) = Place::new() else { return };
    let write = |name: &str, records| {
        let mut log = Vec::new();
        Log::of(records).write(&mut log).unwrap();
        let log = String::from_utf8(log).unwrap();
        let host = if name == "binds.jsonl" {
            "web1"
        } else {
            "web2"
        };
        let log = log.replace(r#""host":"web1""#, &format!(r#""host":"{host}""#));
        fs::write(place.file(name), log).unwrap();
    };
    write("binds.jsonl", 1000);
    write("web2.jsonl", 200);
    let mut wrong = Vec::new();
    for example in examples() {
        let printed = place.output(&example);
        if printed != example.output {
            let Example { line, command, .. } = example;
            wrong.push(format!("docs/logs.md:{line}: {command}prints\n{printed}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Attempts in vain of the run that is recorded.
const FAILURES: usize = 3;

/// The same questions, to a log of what just happened here.
#[test]
fn examples_work_on_a_real_log() {
    if !can_trace() {
        return;
    }
    let Some(place) = Place::new() else { return };
    let claim = Claim::new().unwrap();
    let port = claim.port.to_string();
    let mut command = trace_command(&portwatch_binary().unwrap(), &["-p", &port]);
    command
        .args(["-o", "binds.jsonl"])
        .current_dir(place.directory.path());
    let run = Run::start(command).unwrap();
    run.wait_until_tracing().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", claim.port)).unwrap();
    let client = connect(claim.port).unwrap();
    drop(listener.accept().unwrap());
    close_after_server(client).unwrap();
    for _ in 0..FAILURES {
        TcpListener::bind(("127.0.0.1", claim.port)).unwrap_err();
    }
    // Whoever looks at open descriptors holds each of them for an instant, and would keep the port.
    wait_for_files(place.directory.path(), "records of the failures", || {
        let log = fs::read_to_string(place.file("binds.jsonl"));
        log.is_ok_and(|log| log.matches(r#""result":"EADDRINUSE""#).count() == FAILURES)
    })
    .unwrap();
    drop(listener);
    drop(TcpListener::bind(("127.0.0.1", claim.port)).unwrap());
    run.signal(Signal::SIGINT).unwrap();
    assert_eq!(run.finish().unwrap().code(), 0);
    fs::copy(place.file("binds.jsonl"), place.file("web2.jsonl")).unwrap();

    let mut checked = 0;
    for example in examples() {
        let printed = place.output(&example);
        let counted = |of: &str, count| counted(&printed, of, count);
        let is_so = match example.heading.as_str() {
            "By cause" => counted("self-conflict", FAILURES),
            "TIME_WAIT by port" => counted(&port, 1),
            "Episodes, and the attempts that belong to them" => counted("bound", FAILURES),
            // It may have become another minute meanwhile, and another hour.
            "Failures by the minute" => sum(&printed, |words| words.first().copied()) == FAILURES,
            "Attempts by the hour" => sum(&printed, |words| words.last().copied()) == FAILURES,
            _ => continue,
        };
        checked += 1;
        let Example { line, command, .. } = &example;
        assert!(is_so, "docs/logs.md:{line}: {command}prints\n{printed}");
    }
    assert_eq!(checked, 7, "examples have other headings now");
}

fn words(line: &str) -> Vec<&str> {
    let words = line.split(['│', ' ', '\t']);
    words.filter(|word| !word.is_empty()).collect()
}

/// Whether a line about something has this number.
fn counted(text: &str, of: &str, count: usize) -> bool {
    let count = count.to_string();
    let mut lines = text.lines().filter(|line| line.contains(of));
    lines.any(|line| words(line).contains(&count.as_str()))
}

/// Of a column, where it has a number.
fn sum<'a>(text: &'a str, column: impl Fn(Vec<&'a str>) -> Option<&'a str>) -> usize {
    let cells = text.lines().filter_map(|line| column(words(line)));
    cells.filter_map(|cell| cell.parse::<usize>().ok()).sum()
}

#[test]
fn the_settings_of_logrotate_rotate() {
    if !can_trace() {
        return;
    }
    let Some(logrotate) = find("logrotate") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("binds.jsonl");
    let claim = Claim::new().unwrap();
    let mut command = trace_command(&portwatch_binary().unwrap(), &[]);
    command
        .args(["-p", &claim.port.to_string(), "-o"])
        .arg(&log);
    let run = Run::start(command).unwrap();
    run.wait_until_tracing().unwrap();
    let signal = "systemctl reload portwatch.service";
    let settings = block("logrotate");
    assert!(settings.contains(signal));
    let settings = settings
        .replace("/var/log/portwatch/binds.jsonl", &log.display().to_string())
        .replace(signal, &format!("kill -HUP {}", run.pid()));
    let file = directory.path().join("settings");
    fs::write(&file, settings).unwrap();
    for _ in 0..3 {
        // One record more, in the file that is there now.
        let before = fs::metadata(&log).unwrap().len();
        drop(TcpListener::bind(("127.0.0.1", claim.port)).unwrap());
        let files = directory.path();
        let has_grown = || fs::metadata(&log).unwrap().len() > before;
        wait_for_files(files, "record", has_grown).unwrap();
        let output = Command::new(&logrotate)
            .arg("--force")
            .arg("--state")
            .args([&directory.path().join("state"), &file])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        wait_for_files(files, "new file", || log.exists()).unwrap();
    }
    drop(TcpListener::bind(("127.0.0.1", claim.port)).unwrap());
    run.signal(Signal::SIGINT).unwrap();
    assert_eq!(run.finish().unwrap().code(), 0);
    for name in ["binds.jsonl", "binds.jsonl.1", "binds.jsonl.2.gz"] {
        let mode = fs::metadata(directory.path().join(name)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let replayed = Command::new(portwatch_binary().unwrap())
        .args(["replay", "--rotated", "--format", "json"])
        .arg(&log)
        .output()
        .unwrap();
    let records: Vec<Value> = String::from_utf8(replayed.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let binds = records.iter().filter(|record| record["op"] == "bind");
    assert_eq!(
        binds.count(),
        4,
        "all of them, in three older files and this one"
    );
    assert_eq!(String::from_utf8_lossy(&replayed.stderr), "");
}

/// systemd finds nothing wrong with the unit, and what it starts traces with no more rights than the unit gives.
#[test]
fn the_unit_starts() {
    if !can_trace() {
        return;
    }
    let (Some(analyze), Some(setpriv)) = (find("systemd-analyze"), find("setpriv")) else {
        return;
    };
    let portwatch = portwatch_binary().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let unit = block("systemd");
    assert!(unit.contains("=/usr/local/bin/portwatch "));
    let unit = unit.replace("/usr/local/bin/portwatch", &portwatch.display().to_string());
    assert!(unit.contains("ExecReload=/bin/kill -HUP $MAINPID"));
    let file = directory.path().join("portwatch.service");
    fs::write(&file, &unit).unwrap();
    let output = Command::new(analyze).arg("verify").arg(&file).output();
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // It also speaks of other units of the machine.
    assert!(!said.contains("portwatch.service"), "{said}");
    assert!(output.status.success(), "{said}");

    let setting = |name: &str| {
        let lines = || unit.lines().filter_map(|line| line.split_once('='));
        lines().find(|(key, _)| *key == name).unwrap().1
    };
    let capabilities = setting("CapabilityBoundingSet").to_lowercase();
    let capabilities = capabilities.replace("cap_", "+").replace(' ', ",");
    let log = directory.path().join("binds.jsonl");
    let mut words = setting("ExecStart").split(' ');
    let mut command = Command::new(setpriv);
    command
        .arg(format!("--bounding-set=-all,{capabilities}"))
        .args(["--no-new-privs", words.next().unwrap()]);
    for word in words {
        match word {
            "/var/log/portwatch/binds.jsonl" => command.arg(&log),
            word => command.arg(word),
        };
    }
    command.args(common_arguments());
    let run = Run::start(command).unwrap();
    run.wait_until_tracing().unwrap();
    run.signal(Signal::SIGTERM).unwrap();
    let ended = run.finish().unwrap();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let text = fs::read_to_string(&log).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["type"], "stop");
}
