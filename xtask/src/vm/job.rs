//! What guests run: commands, one after the other.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

/// Where portwatch gets what it knows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Functions of the kernel.
    Fexit,
    /// Tracepoints alone.
    Tracepoint,
}

impl Tier {
    pub(crate) const ALL: &'static [Self] = &[Self::Fexit, Self::Tracepoint];

    /// As `--tier` of `portwatch trace` and `portwatch doctor` has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fexit => "fexit",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// For every command. What the tests wait for takes longer in an emulated machine.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/bin"),
    ("HOME", "/"),
    ("PORTWATCH_BIN", "/bin/portwatch"),
    ("PORTWATCH_TEST_TIMEOUT", "120"),
    ("PORTWATCH_TEST_AGAIN", "1"),
];

/// Names the file for what the scenarios have proven.
pub(super) const PROVEN: &str = "PORTWATCH_TEST_PROVEN";

/// That file in a guest.
fn proven(tier: Tier) -> String {
    format!("/tmp/proven-{}", tier.name())
}

/// Pairs for the rule: enough for every clause, and done in half a minute.
const PAIRS: &str = "20000";

/// Scenarios that take two processors: what they do must meet in a microsecond.
const RACES: &str = "released-just-now";

/// A command.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// What it is called.
    pub(super) title: String,
    words: Vec<String>,
    /// The one that portwatch is bound to in the tests.
    pub(super) tier: Option<Tier>,
    /// Its standard output answers this question of ours, and is none of the guest's output.
    pub(super) answers: Option<Question>,
}

/// What is asked of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// What portwatch can know there.
    Capabilities,
    /// Which causes the scenarios have proven.
    Proven,
}

impl Job {
    /// A command as it was typed.
    pub(super) fn typed(words: &[String], tier: Option<Tier>) -> Self {
        Self::new(&words.join(" "), words.to_vec(), tier)
    }

    fn new(title: &str, words: Vec<String>, tier: Option<Tier>) -> Self {
        let title = match tier {
            Some(tier) => format!("{title}, tier {}", tier.name()),
            None => title.to_owned(),
        };
        Self {
            title,
            words,
            tier,
            answers: None,
        }
    }

    /// Everything that has to hold on a kernel: the scenarios in each tier, and the rule.
    pub(super) fn all(tiers: &[Tier], object: Option<&str>) -> Vec<Self> {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect();
        let mut jobs = Vec::new();
        for &tier in tiers {
            jobs.push(Self::new("scenarios", words("live"), Some(tier)));
            jobs.push(Self::proven(tier));
            jobs.push(Self::capabilities(tier, object));
        }
        let rule = words(&format!("scenario rule --pairs {PAIRS}"));
        jobs.push(Self::new("rule", rule, None));
        jobs
    }

    /// What has to hold on a kernel with two processors, and cannot be tried with one.
    pub(super) fn races(tiers: &[Tier]) -> Vec<Self> {
        let of = |&tier| {
            let words = ["live", "--exact", RACES].map(str::to_owned).into();
            [Self::new("races", words, Some(tier)), Self::proven(tier)]
        };
        tiers.iter().flat_map(of).collect()
    }

    /// Answers with what portwatch can know.
    fn capabilities(tier: Tier, object: Option<&str>) -> Self {
        let mut words = vec!["portwatch"];
        words.extend(doctor(tier));
        if let Some(object) = object {
            words.extend(["--bpf-object", object]);
        }
        let words = words.into_iter().map(str::to_owned).collect();
        Self {
            answers: Some(Question::Capabilities),
            ..Self::new("capabilities", words, Some(tier))
        }
    }

    /// Answers with what the scenarios have left there.
    fn proven(tier: Tier) -> Self {
        let words = ["scenario", "show", &proven(tier)].map(str::to_owned);
        Self {
            answers: Some(Question::Proven),
            ..Self::new("proven", words.into(), Some(tier))
        }
    }

    /// As the guest's first process reads it: `portwatch_tests::guest`.
    fn described(&self, object: Option<&str>) -> Value {
        let mut environment: BTreeMap<&str, &str> = ENVIRONMENT.iter().copied().collect();
        environment.extend(self.tier.map(|tier| ("PORTWATCH_TEST_TIER", tier.name())));
        environment.extend(object.map(|object| ("PORTWATCH_BPF_OBJECT", object)));
        let proven = self.tier.map(proven);
        environment.extend(proven.as_deref().map(|path| (PROVEN, path)));
        json!({
            "title": self.title,
            "words": self.words,
            "environment": environment,
            "answers": self.answers.is_some(),
        })
    }
}

/// Arguments with which portwatch says in JSON what it can know.
pub(super) fn doctor(tier: Tier) -> [&'static str; 5] {
    ["doctor", "--format", "json", "--tier", tier.name()]
}

/// Jobs as the guest's first process reads them; `object` is the path there of a BPF object that is not portwatch's own.
pub(super) fn described(jobs: &[Job], object: Option<&str>) -> Result<Vec<u8>> {
    let jobs: Vec<_> = jobs.iter().map(|job| job.described(object)).collect();
    Ok(serde_json::to_vec(&jobs)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_tried_in_each_tier() {
        let jobs = Job::all(Tier::ALL, Some("/bin/o"));
        let titles: Vec<_> = jobs.iter().map(|job| job.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "scenarios, tier fexit",
                "proven, tier fexit",
                "capabilities, tier fexit",
                "scenarios, tier tracepoint",
                "proven, tier tracepoint",
                "capabilities, tier tracepoint",
                "rule"
            ]
        );
        let told: Value =
            serde_json::from_slice(&described(&jobs, Some("/bin/o")).unwrap()).unwrap();
        assert_eq!(told[0]["environment"]["PORTWATCH_TEST_TIER"], "fexit");
        assert_eq!(told[0]["environment"]["PORTWATCH_BPF_OBJECT"], "/bin/o");
        assert_eq!(told[0]["environment"][PROVEN], told[1]["words"][2]);
        assert_eq!(told[2]["words"][7], "/bin/o");
        assert_eq!(told[6]["environment"]["PORTWATCH_TEST_TIER"], Value::Null);
    }
}
