//! Five thousand plays of the scenarios at once and in a random order. Every attempt is recorded once and truly, and
//! holders that are gone before anyone looks are never mistaken for others.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    env,
    sync::{Mutex, PoisonError},
};

use portwatch_tests::{
    expect::play::Runner,
    harness::{can_trace, portwatch_binary},
    load::{churn, plays},
};

const PLAYS: usize = 5000;

/// Each portwatch would tell what the other test does, too.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn runner() -> Runner {
    Runner {
        portwatch: portwatch_binary().unwrap(),
        scenarios: env!("CARGO_BIN_EXE_scenario").into(),
        arguments: Vec::new(),
    }
}

/// `PORTWATCH_TEST_SEED` plays the same again.
#[test]
fn five_thousand_plays() {
    if !can_trace() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = env::var("PORTWATCH_TEST_SEED").ok();
    let seed = seed.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("seed {seed}");
    let report = plays::run(&runner(), PLAYS, seed).unwrap();
    eprintln!("{report}");
    plays::judge(&report).unwrap();
}

#[test]
fn holders_that_are_gone_at_once() {
    if !can_trace() {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let report = churn::run(&runner()).unwrap();
    eprintln!("{report}");
    churn::judge(&report).unwrap();
}
