use super::*;

#[test]
fn every_id_has_a_section_and_every_section_is_an_id() {
    let ids: Vec<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    let headings: Vec<&str> = sections(PAGE).iter().map(|section| section.id).collect();
    assert_eq!(headings, ids);
}

#[test]
fn every_section_says_why_what_to_do_and_what_it_is_not() {
    for section in sections(PAGE) {
        let sentence = section.first_sentence();
        assert!(
            sentence.ends_with('.') && sentence.len() > 20,
            "{section:?}"
        );
        let blocks = blocks(section.body);
        for label in LABELS {
            let has_it =
                |block: &Block| matches!(block, Block::Paragraph(text) if text.starts_with(label));
            let count = blocks.iter().filter(|block| has_it(block)).count();
            assert_eq!(count, 1, "{}: {label}", section.id);
        }
    }
}

/// What is named as a neighbour is one.
#[test]
fn words_that_look_like_ids_are_ids() {
    let is_one = |word: &str| Cause::ALL.iter().any(|cause| cause.as_str() == word);
    for section in sections(PAGE) {
        for block in blocks(section.body) {
            let Block::Paragraph(text) = block else {
                continue;
            };
            let Some(rest) = text.strip_prefix("Not this:") else {
                continue;
            };
            for word in rest.split('`').skip(1).step_by(2) {
                let looks =
                    word.contains('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                assert!(!looks || is_one(word), "{}: {word}", section.id);
                assert_ne!(word, section.id);
            }
        }
    }
}

#[test]
fn marks_are_paired() {
    for section in sections(PAGE) {
        for block in blocks(section.body) {
            if let Block::Paragraph(text) | Block::Item(text) = block {
                assert!(text.matches('`').count().is_multiple_of(2), "{text}");
                assert!(text.matches("**").count().is_multiple_of(2), "{text}");
            }
        }
    }
}

#[test]
fn all_sections_fit_a_terminal() {
    for &cause in Cause::ALL {
        let section = section(cause).unwrap();
        let text = section.render(&Theme::plain(), 60);
        assert!(text.starts_with(cause.as_str()));
        for line in text.lines().filter(|line| !line.starts_with("  ")) {
            assert!(line.chars().count() <= 60, "{cause:?}: {line}");
            assert!(
                !line.contains("**") && !line.contains('`'),
                "{cause:?}: {line}"
            );
        }
        let coloured = section.render(&Theme::coloured(), 60);
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), text);
    }
    for line in overview(&Theme::plain(), 80).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn markdown_becomes_text() {
    let section = Section {
        id: "an-id",
        body: "One sentence\nin `two lines`. And more.\n\n```text\n## not a heading\n  as it is\n```\n\nWhy: it **is so**, \
               and\nnot otherwise.\n\n- an item\n  of two lines\n- another",
    };
    assert_eq!(section.first_sentence(), "One sentence in `two lines`.");
    insta::assert_snapshot!(section.render(&Theme::plain(), 24), @r"
    an-id

    One sentence in two
    lines. And more.

      ## not a heading
        as it is

    Why: it is so, and not
    otherwise.

    - an item of two lines

    - another
    ");
}

#[test]
fn a_page_is_split_by_its_headings() {
    let page = "# t\n\n## a\n\nx\n```\n## no\n# no\n```\n## b\ny\n# c\nz\n## d\n";
    let of = |id, body| Section { id, body };
    assert_eq!(
        sections(page),
        [
            of("a", "x\n```\n## no\n# no\n```"),
            of("b", "y"),
            of("d", "")
        ]
    );
}
