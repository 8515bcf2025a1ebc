//! Compares the record of one attempt with what the scenario knows of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::truth::{Expected, Failure, Named};
use super::{
    holding,
    means::{abilities, is_missing, is_traced},
    strings, text, title,
};

/// Everything in which a record differs from what is expected, as far as the log can tell it.
pub(super) fn compare(expected: &Expected, record: &Value, log: &[Value]) -> Vec<String> {
    let mut difference = Difference {
        title: title(record),
        without_connections: is_missing(log, "connections"),
        without_names: is_missing(log, "unix_names"),
        exact: is_traced(log, "conflicts"),
        staged: is_traced(log, "stages"),
        sees: holding::Sees::of(log),
        problems: Vec::new(),
    };
    difference.attempt(expected, record);
    difference.problems
}

/// Collects what differs in one record.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a log can tell: each by itself"
)]
pub(super) struct Difference {
    title: String,
    /// portwatch does not see who makes and who closes connections, as if it had come later.
    pub(super) without_connections: bool,
    /// portwatch does not see who has a socket file.
    without_names: bool,
    /// portwatch sees what the kernel itself refuses for.
    pub(super) exact: bool,
    /// portwatch sees how far a bind gets.
    staged: bool,
    pub(super) sees: holding::Sees,
    problems: Vec<String>,
}

impl Difference {
    pub(super) fn note(&mut self, problem: &str) {
        self.problems.push(format!("{}: {problem}", self.title));
    }

    pub(super) fn same(&mut self, what: &str, told: &Value, truth: &Value) {
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
pub(super) fn sorted(options: &[String]) -> Value {
    json!(options.iter().collect::<BTreeSet<_>>())
}

/// The two options that scenarios keep account of.
pub(super) fn reuse_options(options: &Value) -> Value {
    let mut options = strings(options);
    options.retain(|option| ["SO_REUSEADDR", "SO_REUSEPORT"].contains(&option.as_str()));
    sorted(&options)
}
