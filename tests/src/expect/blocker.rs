//! Compares the blocker to act on first.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::attempt::{Difference, reuse_options, sorted};
use super::truth::{Primary, Proxy};

/// States in which no process can reach a socket.
const OUT_OF_REACH: &[&str] = &["time_wait", "fin_wait1", "fin_wait2", "last_ack", "closing"];
impl Difference {
    pub(super) fn primary(&mut self, expected: &Primary, record: &Value) {
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
        self.proxy(expected.on_behalf_of.as_ref(), &blocker["on_behalf_of"]);
    }

    fn proxy(&mut self, expected: Option<&Proxy>, told: &Value) {
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

fn milliseconds(blocker: &Value) -> u64 {
    blocker["expires_in_ms"].as_u64().unwrap_or_default()
}
