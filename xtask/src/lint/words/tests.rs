use super::*;

const MADE_UP: &str = r"
files = '\.(md|rs)$'

[[text]]
pattern = '\bfrobs? it\b'
instead = 'uses it'
allow = '\bnobody frobs it\b'

[[text]]
pattern = '\bgrue\b'
instead = 'lamp'
files = '\.md$'

[[name]]
pattern = '(^|_)grue(_|\.|$)'
instead = 'lamp'
";

/// Place and words of every hit.
fn hits(file: &str, text: &str) -> Vec<(String, String)> {
    let rules = Rules::parse(MADE_UP).unwrap();
    let mut hits = Vec::new();
    rules.check_name(file, &mut hits);
    if rules.read(file) {
        rules.check_file(file, text, &mut hits).unwrap();
    }
    hits.into_iter().map(|hit| (hit.place, hit.found)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(place, found): &(&str, &str)| ((*place).to_owned(), (*found).to_owned());
    expected.iter().map(owned).collect()
}

#[test]
fn a_phrase_is_found_across_lines_and_its_line_is_told() {
    let page = "One frob it.\n\nIt Frobs\nit, and `defrobs it`.\n";
    let expected = pairs(&[("a.md:1", "frob it"), ("a.md:3", "Frobs it")]);
    assert_eq!(hits("a.md", page), expected);
}

#[test]
fn what_is_allowed_is_not_found() {
    assert!(hits("a.md", "Nobody frobs it.").is_empty());
    assert_eq!(hits("a.md", "Somebody frobs it, nobody frobs it.").len(), 1);
}

#[test]
fn a_rule_is_for_its_files() {
    assert_eq!(hits("a.md", "a grue").len(), 1);
    assert!(hits("a.rs", "// a grue").is_empty());
    assert!(hits("a.toml", "frob it").is_empty());
}

#[test]
fn sources_have_texts_in_literals_and_comments_alone() {
    let source = r##"
//! It frobs
//! it.
fn frob(it: char) -> &'static str {
    frob!(it);
    // Here, frob it.
    let a = "frob \
             it"; // frob it
    /* frob
     * it */
    let b = r#"frob it"#;
    #[doc = "frob it"]
    let c = b"frob it";
    let frob = 'f'; let it = 1;
    "frob" // it
}
// frob

// it
"##;
    let expected = pairs(&[
        ("a.rs:2", "frobs it"),
        ("a.rs:6", "frob it"),
        ("a.rs:7", "frob it"),
        ("a.rs:8", "frob it"),
        ("a.rs:9", "frob it"),
        ("a.rs:11", "frob it"),
        ("a.rs:12", "frob it"),
        ("a.rs:13", "frob it"),
    ]);
    let found = hits("a.rs", source);
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(place, found)| (place, found.replace("frob \\ it", "frob it")))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn names_of_files_and_modules_count_and_those_of_functions_do_not() {
    assert_eq!(hits("src/grue/a.rs", "").len(), 1);
    assert_eq!(hits("src/the_grue.rs", "").len(), 1);
    assert!(hits("src/gruesome.rs", "").is_empty());
    let source = "fn grue() {}\nmod grue;\nmod a {\n    mod grue {}\n}\n";
    assert_eq!(hits("src/a.rs", source), pairs(&[("src/a.rs:4", "grue")]));
}

#[test]
fn rules_are_counted_apart() {
    let rules = Rules::parse(MADE_UP).unwrap();
    let mut hits = Vec::new();
    rules
        .check_file("a.md", "frob it, frob it, grue", &mut hits)
        .unwrap();
    rules.check_name("grue.png", &mut hits);
    let counts = rules.counts(&hits);
    let numbers: Vec<_> = counts
        .lines()
        .map(|line| line.trim().split(' ').next())
        .collect();
    assert_eq!(numbers, [Some("2"), Some("1"), Some("1")]);
}

#[test]
fn the_list_of_this_checkout_can_be_read() {
    let list = fs::read_to_string(root().join(LIST)).unwrap();
    let rules = Rules::parse(&list).unwrap();
    assert!(rules.read("README.md") && rules.read("xtask/src/main.rs"));
    assert!(!rules.read(LIST));
}
