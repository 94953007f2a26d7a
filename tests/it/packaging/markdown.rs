//! What tests read in Markdown: code, links, and what a link to a heading may name.

use std::collections::BTreeSet;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

fn parsed(markdown: &str) -> Parser<'_> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES)
}

/// The text of code blocks and of code between back ticks. A block begins with a line that names its language, if it has one.
pub(super) fn code_of(markdown: &str) -> Vec<String> {
    code(markdown, true)
}

/// The text of code blocks, each with its first line.
pub(super) fn fences_of(markdown: &str) -> Vec<String> {
    code(markdown, false)
}

fn code(markdown: &str, inline: bool) -> Vec<String> {
    let (mut found, mut block) = (Vec::new(), None::<String>);
    for event in parsed(markdown) {
        if let Event::Start(Tag::CodeBlock(kind)) = event {
            let language = if let CodeBlockKind::Fenced(language) = kind { language.into_string() } else { String::new() };
            block = Some(format!("{language}\n"));
        } else if let (Event::Text(text), Some(block)) = (&event, &mut block) {
            block.push_str(text);
        } else if let Event::End(TagEnd::CodeBlock) = event {
            found.extend(block.take());
        } else if let Event::Code(code) = event
            && inline
        {
            found.push(code.into_string());
        }
    }
    found
}

/// Where links and images lead.
pub(super) fn links_of(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    for event in parsed(markdown) {
        if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
            found.push(dest_url.into_string());
        }
    }
    found
}

/// What a link to a heading may name, as GitHub makes it of the heading's text.
pub(super) fn anchors_of(markdown: &str) -> BTreeSet<String> {
    let (mut found, mut heading) = (BTreeSet::new(), None::<String>);
    for event in parsed(markdown) {
        if let Event::Start(Tag::Heading { .. }) = event {
            heading = Some(String::new());
        } else if let (Event::Text(text) | Event::Code(text), Some(heading)) = (&event, &mut heading) {
            heading.push_str(text);
        } else if let Event::End(TagEnd::Heading(_)) = event {
            found.extend(heading.take().map(|text| anchor(&text)));
        }
    }
    found
}

fn anchor(heading: &str) -> String {
    let kept: String = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect();
    kept.replace(' ', "-")
}

#[test]
fn code_links_and_anchors_are_found_where_they_stand() {
    let text = "# A `b` c-d!\n\nSee [it](#a-b-c-d) and ![x](y.png).\n\n1. one\n\n   ```yaml\n   a: [1](2)\n   ```\n";
    assert_eq!(anchors_of(text), BTreeSet::from(["a-b-c-d".to_owned()]));
    assert_eq!(links_of(text), ["#a-b-c-d", "y.png"]);
    assert_eq!(code_of(text), ["b", "yaml\na: [1](2)\n"]);
    assert_eq!(fences_of(text), ["yaml\na: [1](2)\n"]);
}
