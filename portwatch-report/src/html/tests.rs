use super::{
    super::{
        gather::Wanted,
        samples::{found, gather, lines, log},
    },
    *,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use portwatch_core::model::record::Body;
use sha2::{Digest, Sha256};

fn page(found: &Gather) -> String {
    let mut out = Vec::new();
    write(found, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    rest.split_once(to).unwrap().0
}

#[test]
fn the_policy_allows_what_is_in_the_page_and_nothing_else() {
    let page = page(&found());
    let policy = between(&page, r#"Content-Security-Policy" content=""#, "\"");
    let script = between(&page, "<script>", "</script>");
    let style = between(&page, "<style>", "</style>");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    for (name, text, known) in [
        ("SCRIPT_SHA256", script, SCRIPT_SHA256),
        ("STYLE_SHA256", style, STYLE_SHA256),
    ] {
        let hash = STANDARD.encode(Sha256::digest(text));
        assert_eq!(known, hash, "write this into {name} of html.rs");
        assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.contains("{{"), "everything is filled in");
    assert!(!page.contains("src="), "nothing is loaded");
    let hosts = page.match_indices("http").map(|(at, _)| &page[at..at + 21]);
    assert!(
        hosts
            .into_iter()
            .all(|host| host.starts_with("http-equiv") || host == "http://www.w3.org/200")
    );
}

#[test]
fn no_name_ends_the_data() {
    let mut records = log();
    let hostile = "</script><script>alert(1)</script>\u{202e}";
    for record in &mut records {
        match &mut record.body {
            Body::Attempt(attempt) => hostile.clone_into(&mut attempt.process.comm),
            Body::Start(start) => hostile.clone_into(&mut start.host),
            _ => {}
        }
    }
    let page = page(&gather(vec![lines(&records)], Wanted::default()));
    let data = between(&page, r#"id="data">"#, "</script>");
    assert!(!data.contains('<'));
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let strings = data["strings"].as_array().unwrap();
    let shown = r"</script><script>alert(1)</script>\u{202e}";
    assert!(strings.iter().any(|string| string == shown), "{strings:?}");
    let title = between(&page, "<title>", "</title>");
    assert_eq!(
        title,
        r"Ports of &lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;\u{202e} - portwatch"
    );
}

#[test]
fn the_same_log_makes_the_same_page() {
    assert!(page(&found()) == page(&found()));
}
