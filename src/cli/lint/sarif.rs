//! Findings as SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>), as code review reads them.
//!
//! Paths are relative to the folder that the command runs in, with `/`: GitHub finds the line by them.

use std::fmt::Write as _;
use std::path::{Component, Path};

use serde_json::{Value, json};

use super::Report;
use super::finding::{Finding, Rule, Severity};
use crate::cli::files::Place;
use crate::cli::shell::VERSION;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The log of one run, of which `folder` is the folder.
pub(super) fn log(report: &Report, folder: Option<&Path>) -> Value {
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "semanticVersion": VERSION,
                "rules": Rule::ALL.iter().map(|rule| described(*rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": report.findings.iter().map(|finding| result(finding, folder)).collect::<Vec<_>>(),
        }],
    })
}

fn described(rule: Rule) -> Value {
    json!({
        "id": rule.id(),
        "shortDescription": { "text": rule.short() },
        "fullDescription": { "text": rule.help() },
        "help": { "text": rule.help() },
        "defaultConfiguration": { "level": level(rule.severity()) },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn result(finding: &Finding, folder: Option<&Path>) -> Value {
    let Finding { rule, place, message, help, related, object } = finding;
    let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    let mut result = json!({
        "ruleId": rule.id(),
        "ruleIndex": Rule::ALL.iter().position(|one| one == rule),
        "level": level(rule.severity()),
        "message": { "text": format!("{message}{help}") },
        "locations": [location(place, folder)],
    });
    if let Some(object) = object {
        result["locations"][0]["logicalLocations"] = json!([{ "name": object, "kind": "object" }]);
    }
    if !related.is_empty() {
        let located = related.iter().enumerate().map(|(nth, (place, message))| {
            let mut one = location(place, folder);
            one["id"] = json!(nth + 1);
            one["message"] = json!({ "text": message });
            one
        });
        result["relatedLocations"] = located.collect();
    }
    result
}

fn location(place: &Place, folder: Option<&Path>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(&place.file, folder) } });
    if place.line > 0 {
        physical["region"] =
            json!({ "startLine": place.line, "startColumn": place.column, "endColumn": place.end_column.max(place.column + 1) });
    }
    json!({ "physicalLocation": physical })
}

/// The address of a file: relative where it is in the folder or is named so, else absolute.
fn uri(file: &str, folder: Option<&Path>) -> String {
    let path = Path::new(file);
    let inside = folder.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
    let mut uri = String::from(if inside.is_absolute() { "file://" } else { "" });
    for component in inside.components() {
        let part = match component {
            Component::Normal(part) => part.to_string_lossy(),
            Component::ParentDir => "..".into(),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => continue,
        };
        if !uri.is_empty() {
            uri.push('/');
        }
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                uri.push(char::from(byte));
            } else {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    if uri.is_empty() { ".".to_owned() } else { uri }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_with_slashes() {
        let folder = Some(Path::new("/repo"));
        for (file, expected) in [
            ("a.yaml", "a.yaml"),
            ("./shop/my file.yaml", "shop/my%20file.yaml"),
            ("/repo/shop/größe.yaml", "shop/gr%C3%B6%C3%9Fe.yaml"),
            ("/else/a.yaml", "file:///else/a.yaml"),
            ("../a:b.yaml", "../a%3Ab.yaml"),
            ("<stdin>", "%3Cstdin%3E"),
            (".", "."),
        ] {
            assert_eq!(uri(file, folder), expected);
        }
    }
}
