//! Manifests as text.
//!
//! Guarantees: every text is in double quotes, so that each reader of YAML, also one of version 1.1, takes `5`, `true`, `no` and
//! `1_000` for the texts that they are; no name, value or comment, whatever is in it, ends its line.

use std::fmt::Write as _;

use super::manifest::{Item, Manifest};
use crate::api::{GROUP, VERSION};
use crate::core::spec::Target;
use crate::model::document::Entry;

/// All items, each manifest as a document of its own, behind a head of comments.
pub(super) fn text(head: &[String], items: &[Item]) -> String {
    let mut out = String::new();
    for line in head {
        comment(&mut out, line);
    }
    for item in items {
        match item {
            Item::Skipped { connection, why } => {
                out.push('\n');
                comment(&mut out, &format!("skipped: {connection}: {why}"));
            }
            Item::Manifest(manifest) => document(&mut out, manifest),
        }
    }
    out
}

fn document(out: &mut String, manifest: &Manifest) {
    out.push_str("---\n");
    for note in &manifest.notes {
        comment(out, note);
    }
    let (member, connection) = match &manifest.target {
        Target::Name(name) => ("name", name.as_str()),
        Target::Id(id) => ("id", id.as_str()),
    };
    let mut line = |indent: usize, key: &str, value: &str| {
        // Writing to a text can't fail.
        let _ = writeln!(out, "{:indent$}{key}: {}", "", quoted(value));
    };
    line(0, "apiVersion", &format!("{GROUP}/{VERSION}"));
    line(0, "kind", "UpstreamParams");
    section(out, 0, "metadata");
    let mut line = |indent: usize, key: &str, value: &str| {
        let _ = writeln!(out, "{:indent$}{key}: {}", "", quoted(value));
    };
    line(2, "name", &manifest.name);
    line(2, "namespace", &manifest.namespace);
    section(out, 0, "spec");
    if let Some(tenant) = &manifest.tenant {
        section(out, 2, "tenantRef");
        let _ = writeln!(out, "    name: {}", quoted(tenant));
    }
    section(out, 2, "connection");
    let _ = writeln!(out, "    {member}: {}", quoted(connection));
    for (key, value) in [
        ("managementPolicy", manifest.policies.management.as_str()),
        ("adoptionPolicy", manifest.policies.adoption.as_str()),
        ("deletionPolicy", manifest.policies.deletion.as_str()),
    ] {
        let _ = writeln!(out, "  {key}: {}", quoted(value));
    }
    section(out, 2, "params");
    for (name, entry) in &manifest.params {
        let _ = writeln!(out, "    {}:", quoted(name));
        let (member, text) = match entry {
            Entry::Value(text) => ("value", text.as_str()),
            Entry::Alias(alias) => ("alias", alias.as_str()),
        };
        let _ = writeln!(out, "      {member}: {}", quoted(text));
    }
}

fn section(out: &mut String, indent: usize, key: &str) {
    let _ = writeln!(out, "{:indent$}{key}:", "");
}

fn comment(out: &mut String, text: &str) {
    let _ = writeln!(out, "# {}", escaped(text));
}

/// A text in double quotes: JSON's are YAML's too, but for what some reader takes for a line break or for nothing at all.
fn quoted(text: &str) -> String {
    escaped(&serde_json::Value::from(text).to_string())
}

fn escaped(text: &str) -> String {
    let unsafe_raw = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if unsafe_raw(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_and_stays_on_its_line() {
        for (text, expected) in [
            ("5", r#""5""#),
            ("no", r#""no""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("a: b # c", r#""a: b # c""#),
            ("a\u{2028}b\u{85}c\u{feff}", r#""a\u2028b\u0085c\ufeff""#),
            ("\u{1f600} é", "\"\u{1f600} é\""),
        ] {
            assert_eq!(quoted(text), expected);
        }
        let mut out = String::new();
        comment(&mut out, "a\nb\u{2029}c\r\u{85}");
        assert_eq!(out, "# a\\u000ab\\u2029c\\u000d\\u0085\n");
    }
}
