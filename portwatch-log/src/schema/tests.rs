use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;
use crate::json::to_line;
use portwatch_core::samples;

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn line(record: &Record) -> Value {
    let mut line = Vec::new();
    to_line(record, &mut line);
    serde_json::from_slice(&line).unwrap()
}

fn problems(validator: &Validator, line: &Value) -> Vec<String> {
    let problems = validator.iter_errors(line);
    problems
        .map(|problem| format!("{}: {problem}", problem.instance_path()))
        .collect()
}

#[test]
fn the_file_is_that_of_the_types() {
    let file: Value = serde_json::from_str(include_str!("../../../docs/schema.json")).unwrap();
    assert!(
        file == schema(),
        "make it again: portwatch generate schema > docs/schema.json"
    );
}

#[test]
fn samples_of_every_type_are_valid() {
    let validator = validator();
    for record in samples::all() {
        let line = line(&record);
        assert_eq!(problems(&validator, &line), [""; 0], "{line}");
    }
}

#[test]
fn the_documentation_shows_valid_lines() {
    let validator = validator();
    let text = include_str!("../../../docs/records.md");
    for example in text.lines().filter(|line| line.starts_with("{\"schema\"")) {
        let line = serde_json::from_str(example).unwrap();
        assert_eq!(problems(&validator, &line), [""; 0], "{example}");
    }
}

/// Sets what a path leads to.
fn with(record: &Record, path: &str, value: Value) -> Value {
    let mut line = line(record);
    let (parent, name) = path.rsplit_once('/').unwrap();
    line.pointer_mut(parent).unwrap()[name] = value;
    line
}

#[test]
fn what_is_no_record_is_not_valid() {
    let validator = validator();
    let conflict = samples::conflict(vec![samples::listener()], Some(samples::verdict()));
    let conflict = samples::of(conflict);
    for (path, value) in [
        ("/schema", json!(2)),
        ("/type", json!("tide")),
        ("/seq", json!("1")),
        ("/boot_ns", json!(1)),
        ("/boot_ns", json!("-1")),
        ("/port", json!(65_536)),
        ("/op", json!("connect")),
        ("/process/pid", json!(null)),
        ("/blockers/0/state", json!("lisp")),
        ("/blockers/0/cookie", json!(17)),
        ("/blockers/0/owner/alive", json!("yes")),
        ("/verdict/cause", json!("bad-luck")),
    ] {
        let line = with(&conflict, path, value);
        assert_ne!(problems(&validator, &line), [""; 0], "{path}");
    }
}

#[test]
fn fields_of_later_versions_are_valid_and_those_that_were_added_may_be_missing() {
    let validator = validator();
    let conflict = samples::conflict(vec![samples::listener()], Some(samples::verdict()));
    let record = samples::of(conflict);
    for path in [
        "/later",
        "/process/later",
        "/blockers/0/later",
        "/verdict/later",
    ] {
        let line = with(&record, path, json!([1]));
        assert_eq!(problems(&validator, &line), [""; 0], "{path}");
    }
    let mut older = line(&record);
    older
        .as_object_mut()
        .unwrap()
        .remove("netns_cookie")
        .unwrap();
    assert_eq!(problems(&validator, &older), [""; 0]);
    let mut broken = line(&record);
    broken.as_object_mut().unwrap().remove("errno").unwrap();
    assert_ne!(problems(&validator, &broken), [""; 0]);
}

#[test]
fn links_of_the_source_become_words_of_json() {
    assert_eq!(
        without_links("Of [`KeeperHow::IoUring`] the ring; of [`Message`] x; [`open"),
        "Of `io_uring` the ring; of `message` x; [`open"
    );
}
