//! What is expected of portwatch: a scenario's [`truth`], and its records compared with it. [`play`] plays scenarios while
//! portwatch watches; [`log`] checks what must hold of every log.

mod changes;
mod episodes;
mod holding;
pub mod log;
mod means;
pub mod play;
mod proven;
mod race;
pub mod truth;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::means::{abilities, is_missing, passes_filter};
use self::truth::{Behalf, Change, Expected, Failure, Named, Primary, Truth};
pub use self::{
    means::{hides_calls, is_traced},
    proven::Proven,
};

/// States in which no process can reach a socket.
const OUT_OF_REACH: &[&str] = &["time_wait", "fin_wait1", "fin_wait2", "last_ack", "closing"];

/// Everything in which a log's records from `first` on differ from the truth; nothing if portwatch told it all.
///
/// The records of each process must be its attempts, one for one and in order. Other processes' are not looked at. What
/// takes a capability that the log's beginning reports as missing is not demanded.
#[must_use]
pub fn compare(truth: &Truth, log: &[Value], first: usize) -> Vec<String> {
    let without_connections = is_missing(log, "connections");
    let without_names = is_missing(log, "unix_names");
    let exact = is_traced(log, "conflicts");
    let staged = is_traced(log, "stages");
    let mut problems = changes::compare(&truth.changes, log, first);
    problems.extend(episodes::compare(&truth.episodes, log, first));
    for (pid, of_pid, recorded) in by_process(truth, log, first) {
        if of_pid.len() != recorded.len() {
            let told: Vec<String> = recorded.iter().map(|record| title(record)).collect();
            problems.push(format!(
                "pid {pid} made {} attempts; recorded are {}: {told:?}",
                of_pid.len(),
                recorded.len()
            ));
        }
        for (expected, record) in of_pid.iter().zip(recorded) {
            let mut difference = Difference {
                title: title(record),
                without_connections,
                without_names,
                exact,
                staged,
                sees: holding::Sees::of(log),
                problems: Vec::new(),
            };
            difference.attempt(expected, record);
            problems.append(&mut difference.problems);
        }
    }
    problems
}

/// The causes that the records prove which do not differ from the truth.
#[must_use]
pub fn proven(truth: &Truth, log: &[Value], first: usize) -> Proven {
    let mut proven = Proven::default();
    for (_, of_pid, recorded) in by_process(truth, log, first) {
        for (expected, record) in of_pid.iter().zip(recorded) {
            proven.look(expected, record);
        }
    }
    proven
}

type OfProcess<'a> = (u32, Vec<&'a Expected>, Vec<&'a Value>);

/// For each process, the expected attempts and the records, in order.
fn by_process<'a>(truth: &'a Truth, log: &'a [Value], first: usize) -> Vec<OfProcess<'a>> {
    let staged = is_traced(log, "stages");
    let expected = || {
        truth.expect.iter().filter(|entry| {
            // Only a function of the kernel shows what its own programs bind.
            !entry.before_tracing && (staged || !entry.kernel) && passes_filter(entry, log)
        })
    };
    let pids: BTreeSet<u32> = expected().map(|entry| entry.binder.pid).collect();
    let of = |pid| {
        let of_pid = expected().filter(|entry| entry.binder.pid == pid).collect();
        (pid, of_pid, attempts_of(&log[first..], pid))
    };
    pids.into_iter().map(of).collect()
}

/// Whether a log's records from `first` on may tell all of these changes.
#[must_use]
pub fn have_come(changes: &[Change], log: &[Value], first: usize) -> bool {
    changes::have_come(changes, log, first)
}

/// The records of a process's attempts, in order.
#[must_use]
pub fn attempts_of(records: &[Value], pid: u32) -> Vec<&Value> {
    let is_of = |record: &&Value| record["type"] == "attempt" && record["process"]["pid"] == pid;
    records.iter().filter(is_of).collect()
}

/// A record in a few words.
#[must_use]
pub fn title(record: &Value) -> String {
    if record["type"] != "attempt" {
        return text(&record["type"]);
    }
    format!(
        "{} {} {}:{} {} by {}",
        text(&record["op"]),
        text(&record["proto"]),
        text(&record["addr"]),
        record["port"],
        text(&record["result"]),
        record["process"]["pid"],
    )
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Collects what differs in one record.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a log can tell: each by itself"
)]
struct Difference {
    title: String,
    /// portwatch does not see who makes and who closes connections, as if it had come later.
    without_connections: bool,
    /// portwatch does not see who has a socket file.
    without_names: bool,
    /// portwatch sees what the kernel itself refuses for.
    exact: bool,
    /// portwatch sees how far a bind gets.
    staged: bool,
    sees: holding::Sees,
    problems: Vec<String>,
}

impl Difference {
    fn note(&mut self, problem: &str) {
        self.problems.push(format!("{}: {problem}", self.title));
    }

    fn same(&mut self, what: &str, told: &Value, truth: &Value) {
        if told != truth {
            self.note(&format!("{what} is {told}, and should be {truth}"));
        }
    }

    fn attempt(&mut self, expected: &Expected, record: &Value) {
        self.same("op", &record["op"], &json!(expected.op));
        self.same("result", &record["result"], &json!(expected.result));
        self.same("errno", &record["errno"], &json!(expected.errno));
        let facts = &record["facts"];
        let entry_unseen = stage_of(expected) == Some("seccomp");
        self.same("io_uring", &facts["io_uring"], &json!(expected.io_uring));
        self.same("kernel", &facts["kernel"], &json!(expected.kernel));
        self.same("entry_unseen", &facts["entry_unseen"], &json!(entry_unseen));
        if entry_unseen && !abilities().reads_arguments {
            // Then nothing leads to the socket.
            self.same("addr", &record["addr"], &Value::Null);
            self.same("port", &record["port"], &Value::Null);
        } else {
            self.socket(expected, record);
        }
        self.binder(expected, &record["process"]);
        if let Some(failure) = &expected.failure {
            self.stage(expected, failure, &record["stage"]);
            self.failure(failure, record);
        } else {
            self.same("verdict of a success", &record["verdict"], &Value::Null);
            self.same("stage of a success", &record["stage"], &Value::Null);
        }
    }

    fn socket(&mut self, expected: &Expected, record: &Value) {
        self.same("proto", &record["proto"], &json!(expected.proto));
        // Where a unix socket listens is not told: its bind was.
        let unnamed = expected.proto == "unix" && expected.op == "listen";
        let addr = if unnamed {
            Value::Null
        } else {
            json!(expected.addr)
        };
        self.same("addr", &record["addr"], &addr);
        self.same("port", &record["port"], &json!(expected.port));
        // Kernels before 6.1 leave the port to a socket that was refused in the end, and do not show it to the program.
        let kept = stage_of(expected) == Some("cgroup_post")
            && record["bound_port"] == json!(expected.port);
        if !kept {
            self.same(
                "bound_port",
                &record["bound_port"],
                &json!(expected.bound_port),
            );
        }
        self.same(
            "options",
            &reuse_options(&record["options"]),
            &sorted(&expected.options),
        );
        if expected.proto != "unix" {
            self.same("netns", &record["netns"], &json!(expected.netns));
            self.same(
                "netns_name",
                &record["netns_name"],
                &json!(expected.netns_name),
            );
        }
        // An io_uring request names a file, which need not have a descriptor.
        let no_fd = expected.io_uring && record["socket"]["fd"].is_null();
        if let (Some(fd), false) = (expected.fd, no_fd) {
            self.same("fd", &record["socket"]["fd"], &json!(fd));
        }
        if let Some(inode) = expected.inode {
            self.same("inode", &record["socket"]["inode"], &json!(inode));
        }
    }

    /// That a TCP or UDP port is in use is said by its errno already.
    fn stage(&mut self, expected: &Expected, failure: &Failure, stage: &Value) {
        let has_rule = ["tcp", "udp", "mptcp"].contains(&expected.proto.as_str());
        let in_use = expected.result == "EADDRINUSE" && has_rule;
        match &failure.stage {
            // A filter shows in any tier.
            Some(truth) if self.staged || truth == "seccomp" || !stage.is_null() => {
                self.same("stage", stage, &json!(truth));
            }
            None if in_use => self.same("stage", stage, &json!("port")),
            _ => {}
        }
    }

    fn binder(&mut self, expected: &Expected, process: &Value) {
        let binder = &expected.binder;
        if let Some(tid) = binder.tid {
            self.same("tid", &process["tid"], &json!(tid));
        }
        self.same("uid", &process["uid"], &json!(binder.uid));
        self.same("comm", &process["comm"], &json!(binder.comm));
        self.same("exe", &process["exe"], &json!(binder.exe));
        if let Some(cmdline) = &binder.cmdline {
            self.same("cmdline", &process["cmdline"], &json!(cmdline));
        }
    }

    fn failure(&mut self, failure: &Failure, record: &Value) {
        let verdict = &record["verdict"];
        let Some(cause) = &failure.cause else {
            return self.same("verdict", verdict, &Value::Null);
        };
        if verdict.is_null() {
            return self.note(&format!("no verdict; the cause is {cause}"));
        }
        if self.race(failure, record) {
            return;
        }
        let late = failure
            .primary
            .as_ref()
            .is_some_and(|primary| primary.before_tracing || self.without_connections);
        if let (true, Some(cause)) = (is_late(failure), &failure.cause_when_late) {
            self.same("cause", &verdict["cause"], &json!(cause));
            if let Some(primary) = &failure.primary {
                self.primary(primary, record);
            }
            return;
        }
        let excused = late && failure.cause_needs_history && verdict["cause"] == "unknown";
        if !excused {
            self.same("cause", &verdict["cause"], &json!(cause));
        }
        for also in &failure.also {
            if !strings(&verdict["also"]).contains(also) {
                self.note(&format!("also is {}, without {also}", verdict["also"]));
            }
        }
        let summary = text(&verdict["summary"]);
        if summary.is_empty() || summary.contains('\n') {
            self.note(&format!("the summary is not one line: {summary:?}"));
        }
        self.words("remedies", verdict, &failure.remedies_must_contain, true);
        self.words(
            "remedies",
            verdict,
            &failure.remedies_must_not_contain,
            false,
        );
        self.words(
            "would_succeed_if",
            verdict,
            &failure.would_succeed_if_contains,
            true,
        );
        self.words(
            "would_succeed_if",
            verdict,
            &failure.would_succeed_if_must_not_contain,
            false,
        );
        if let Some(primary) = &failure.primary {
            self.primary(primary, record);
        }
        if let Some(named) = &failure.named {
            self.named(named, &record["unix"]);
        }
    }

    fn named(&mut self, expected: &Named, unix: &Value) {
        self.same("file", &unix["file"], &json!(expected.file));
        if self.without_names && expected.file.is_some() {
            return;
        }
        self.same("served", &unix["served"], &json!(expected.served));
        let sockets = unix["sockets"].as_array().map_or(&[][..], Vec::as_slice);
        let told: BTreeSet<u64> = sockets
            .iter()
            .filter_map(|socket| socket["holders"].as_array())
            .flatten()
            .filter_map(|holder| holder["process"]["pid"].as_u64())
            .collect();
        let truth: BTreeSet<u64> = expected
            .holder_pids
            .iter()
            .map(|pid| u64::from(*pid))
            .collect();
        self.same("who has the name", &json!(told), &json!(truth));
    }

    fn words(&mut self, field: &str, verdict: &Value, words: &[String], wanted: bool) {
        let sentences = strings(&verdict[field]);
        for word in words {
            if sentences.iter().any(|sentence| sentence.contains(word)) != wanted {
                let which = if wanted {
                    "do not mention"
                } else {
                    "must not mention"
                };
                self.note(&format!("{field} {which} {word}: {sentences:?}"));
            }
        }
    }

    fn primary(&mut self, expected: &Primary, record: &Value) {
        let blockers = record["blockers"].as_array().map_or(&[][..], Vec::as_slice);
        let primaries: Vec<&Value> = blockers
            .iter()
            .filter(|blocker| blocker["primary"] == true)
            .collect();
        let [blocker] = primaries[..] else {
            let states: Vec<&Value> = blockers.iter().map(|blocker| &blocker["state"]).collect();
            return self.note(&format!(
                "{} primary blockers among {states:?}",
                primaries.len()
            ));
        };
        self.same("conflicts", &blocker["conflicts"], &json!(true));
        let certainty = &blocker["certainty"];
        if !expected.one_of_many {
            let truth = if self.exact { "exact" } else { "walked" };
            self.same("certainty", certainty, &json!(truth));
        }
        self.same("confidence", &record["verdict"]["confidence"], certainty);
        self.same("state", &blocker["state"], &json!(expected.state));
        self.same("substate", &blocker["substate"], &json!(expected.substate));
        self.same(
            "local addr",
            &blocker["local"]["addr"],
            &json!(expected.addr),
        );
        self.same(
            "local port",
            &blocker["local"]["port"],
            &json!(expected.port),
        );
        self.same(
            "remote port",
            &blocker["remote"]["port"],
            &json!(expected.remote_port),
        );
        self.same(
            "its options",
            &reuse_options(&blocker["options"]),
            &sorted(&expected.options),
        );
        // Only a function of the kernel shows what the kernel itself binds.
        let of_the_kernel = expected.owner_pid.is_none() && expected.holder_pids.is_empty();
        let bound = ["listen", "bound"].contains(&expected.state.as_str());
        if expected.before_tracing {
            self.same("since", &blocker["since"], &Value::Null);
        } else if bound && !of_the_kernel && blocker["since"].is_null() {
            self.note("since is null, and the socket got its port while tracing");
        }
        if expected.state == "time_wait" && !(1..=60_000).contains(&milliseconds(blocker)) {
            self.note(&format!("expires_in_ms is {}", blocker["expires_in_ms"]));
        }
        self.owner(expected, blocker);
        self.holding(expected, blocker);
        self.behalf(expected.on_behalf_of.as_ref(), &blocker["on_behalf_of"]);
    }

    fn behalf(&mut self, expected: Option<&Behalf>, told: &Value) {
        let Some(expected) = expected else {
            return self.same("on_behalf_of", told, &Value::Null);
        };
        self.same("role", &told["role"], &json!(expected.role));
        self.same("target", &told["target"], &json!(expected.target));
        let container = &told["container"]["id"];
        self.same("container", container, &json!(expected.container));
    }

    fn owner(&mut self, expected: &Primary, blocker: &Value) {
        let owner = &blocker["owner"];
        // Nothing in the kernel leads from such a socket to the process that left it before anyone watched.
        let unseen = expected.before_tracing || self.without_connections;
        let out_of_reach =
            OUT_OF_REACH.contains(&expected.state.as_str()) || expected.kept_by.is_some();
        let may_be_unknown = unseen && out_of_reach;
        if !(may_be_unknown && owner.is_null()) {
            if let Some(pid) = expected.owner_pid {
                self.same("owner pid", &owner["pid"], &json!(pid));
            }
            if let Some(alive) = expected.owner_alive {
                self.same("owner alive", &owner["alive"], &json!(alive));
            }
        }
        if let Some((how, pid)) = &expected.kept_by {
            let kept = &blocker["kept_by"];
            self.same("kept how", &kept["how"], &json!(how));
            self.same("kept by", &kept["process"]["pid"], &json!(pid));
        } else {
            self.same("kept by", &blocker["kept_by"], &Value::Null);
        }
        let holders = blocker["holders"].as_array().map_or(&[][..], Vec::as_slice);
        let told: BTreeSet<u64> = holders
            .iter()
            .filter_map(|holder| holder["process"]["pid"].as_u64())
            .collect();
        let truth: BTreeSet<u64> = expected
            .holder_pids
            .iter()
            .copied()
            .map(u64::from)
            .collect();
        if expected.owner_alive.is_some() || !truth.is_empty() {
            self.same("holders", &json!(told), &json!(truth));
        }
    }
}

/// The socket to act on is older than portwatch.
fn is_late(failure: &Failure) -> bool {
    let primary = failure.primary.as_ref();
    primary.is_some_and(|primary| primary.before_tracing)
}

/// The stage that refused, as far as the scenario says.
fn stage_of(expected: &Expected) -> Option<&str> {
    expected.failure.as_ref()?.stage.as_deref()
}

fn milliseconds(blocker: &Value) -> u64 {
    blocker["expires_in_ms"].as_u64().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn sorted(options: &[String]) -> Value {
    json!(options.iter().collect::<BTreeSet<_>>())
}

/// The two options that scenarios keep account of.
fn reuse_options(options: &Value) -> Value {
    let mut options = strings(options);
    options.retain(|option| ["SO_REUSEADDR", "SO_REUSEPORT"].contains(&option.as_str()));
    sorted(&options)
}
