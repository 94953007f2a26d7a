//! The tables of the documentation that are made from the code: each stands in one page, and says what the code does.
//!
//! `UPDATE_EXPECT=1 cargo test --test it packaging::reference` writes them.

use std::fmt::Write as _;

use expect_test::expect_file;
use serde_json::Value;
use test_support::repository::{files, read, root};
use upstream_params_operator::api::crd::crds;
use upstream_params_operator::api::reason::{ConditionType, EventReason, Reason};
use upstream_params_operator::api::upstream_params::{Alias, ParamState};

use super::tidy::{run, scrape_of_everything};

/// Every generated part: the page, its name between the marks, and its text.
fn parts() -> Vec<(&'static str, &'static str, String)> {
    let fields = |kind: &str| {
        let crd = crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let schema = serde_json::to_value(&crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema).unwrap();
        fields_table(&schema["properties"])
    };
    let commands = ["lint", "plan", "export", "connections", "status", "reconcile", "verify"];
    let helps =
        ["help of lint", "help of plan", "help of export", "help of connections", "help of status", "help of reconcile", "help of verify"];
    let of_command = |(command, name): (&'static str, &'static str)| ("docs/command-line.md", name, help(command));
    let mut parts = vec![
        ("docs/reference/fields.md", "fields of UpstreamParams", fields("UpstreamParams")),
        ("docs/reference/fields.md", "aliases", meanings_table("alias", Alias::ALL, |alias| (alias.as_str(), alias.meaning()))),
        ("docs/reference/fields.md", "states", meanings_table("state", ParamState::ALL, |state| (state.as_str(), state.meaning()))),
        ("docs/reference/fields.md", "fields of ClusterAuth0Tenant", fields("ClusterAuth0Tenant")),
        ("docs/reference/reasons.md", "conditions", remedies(ConditionType::ALL, |name| [name.as_str(), name.meaning(), name.remedy()])),
        ("docs/reference/reasons.md", "reasons", remedies(Reason::ALL, |name| [name.as_str(), name.meaning(), name.remedy()])),
        ("docs/reference/events.md", "events", remedies(EventReason::ALL, |name| [name.as_str(), name.meaning(), name.remedy()])),
        ("docs/reference/metrics.md", "metrics", metrics_table()),
        ("docs/reference/flags.md", "flags", help("controller")),
    ];
    parts.extend(commands.into_iter().zip(helps).map(of_command));
    parts
}

/// What a command says of itself.
fn help(command: &str) -> String {
    format!("```text\n{}```\n", run(&[command, "-h"]))
}

fn marks(name: &str) -> (String, String) {
    (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"))
}

#[test]
fn the_generated_parts_of_the_documentation_are_what_the_code_says() {
    let parts = parts();
    let mut pages: Vec<&str> = parts.iter().map(|(page, _, _)| *page).collect();
    pages.dedup();
    for page in pages {
        let path = root().join(page);
        let mut text = read(&path);
        for (_, name, part) in parts.iter().filter(|(of, _, _)| *of == page) {
            let (begin, end) = marks(name);
            let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page} has no {begin:?}"));
            let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page} has no {end:?}"));
            text = format!("{before}{begin}\n{part}\n{end}{after}");
        }
        expect_file![path].assert_eq(&text);
    }
}

#[test]
fn each_generated_part_stands_in_one_page() {
    let documents: Vec<String> = files("docs", "md").iter().chain(&[root().join("README.md")]).map(|file| read(file)).collect();
    for (page, name, part) in parts() {
        let (begin, _) = marks(name);
        assert_eq!(documents.iter().map(|text| text.matches(&begin).count()).sum::<usize>(), 1, "{begin}");
        // A copy that somebody made by hand begins like it.
        let head: String = part.lines().skip(2).take(2).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(documents.iter().filter(|text| text.contains(&head)).count(), 1, "beside {page} another page has: {head}");
    }
}

/// Names with a meaning.
fn meanings_table<T: Copy>(what: &str, all: &[T], cells: fn(T) -> (&'static str, &'static str)) -> String {
    let mut table = format!("| {what} | meaning |\n|---|---|\n");
    for name in all {
        let (name, meaning) = cells(*name);
        assert!(meaning.ends_with('.'), "{name}: {meaning}");
        writeln!(table, "| `{name}` | {} |", meaning.trim_end_matches('.')).unwrap();
    }
    table
}

/// Names with a meaning and a remedy, each under a heading of its own, so that it can be linked.
fn remedies<T: Copy>(all: &[T], cells: fn(T) -> [&'static str; 3]) -> String {
    let sections = all.iter().map(|name| {
        let [name, meaning, remedy] = cells(*name);
        format!("### `{name}`\n\n{meaning}\n\n**What to do:** {remedy}\n")
    });
    sections.collect::<Vec<_>>().join("\n")
}

/// Every metric as a scrape shows it.
fn metrics_table() -> String {
    let text = scrape_of_everything();
    let mut table = String::from("| metric | type | labels | series, at most | what it says |\n|---|---|---|---|---|\n");
    for (name, help) in text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')) {
        let kind = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        let suffix = if kind == "counter" { "_total" } else { "" };
        let labels = text.lines().find_map(|line| line.strip_prefix(name)?.split_once('{')?.1.split_once('}').map(|(labels, _)| labels));
        let labels = labels.unwrap_or_default();
        let labels: Vec<&str> =
            labels.split(',').filter_map(|label| label.split('=').next()).filter(|label| !matches!(*label, "" | "le")).collect();
        // Lines of one histogram: its buckets, its sum and its count.
        let each = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with("_bucket{"))).count();
        let each = if kind == "histogram" { each + 2 } else { 1 };
        let (labels, series) = (labels.join(", "), series(&labels, each));
        writeln!(table, "| `{name}{suffix}` | {kind} | {labels} | {series} | {} |", help.trim_end_matches('.')).unwrap();
    }
    table
}

/// How many series a metric has at most. The page says which values a label has.
fn series(labels: &[&str], each: usize) -> String {
    let page = read(&root().join("docs/reference/metrics.md"));
    let values = |label: &str| {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| `{label}` | ")));
        row.unwrap_or_else(|| panic!("the page has no row for {label}")).matches('`').count() / 2
    };
    let (mut count, mut tail) = (each, String::new());
    for label in labels {
        match *label {
            "tenant" => tail.push_str(" a tenant"),
            "status" => tail.push_str(" and HTTP status"),
            "outcome" => count *= Reason::ALL.len(),
            "version" | "revision" => {}
            other => count *= values(other),
        }
    }
    format!("{count}{tail}")
}

/// The fields of one kind, spec first.
fn fields_table(properties: &Value) -> String {
    let mut table = String::from("| field | type | default | meaning |\n|---|---|---|---|\n");
    for part in ["spec", "status"] {
        rows(&mut table, part, &properties[part]);
    }
    table
}

/// Rows for what is in an object. What is defined by Kubernetes itself is one row.
fn rows(table: &mut String, path: &str, schema: &Value) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let default = &field["default"];
        let default = if let Some(text) = default.as_str() {
            format!("`{text}`")
        } else if default.is_object() {
            "see below".to_owned()
        } else if !default.is_null() {
            format!("`{default}`")
        } else if required.contains(&name.as_str()) {
            "required".to_owned()
        } else {
            String::new()
        };
        let meaning = field["description"].as_str().unwrap_or_default();
        let meaning = meaning.replace('|', "\\|").replace('*', "\\*").replace('<', "&lt;");
        writeln!(table, "| `{path}` | {} | {default} | {} |", type_of(field), meaning.trim_end_matches('.')).unwrap();
        if name != "conditions" && name != "namespaceSelector" {
            let (inner, suffix) = match field["type"].as_str() {
                Some("array") => (&field["items"], "[]"),
                Some("object") if field.get("additionalProperties").is_some() => (&field["additionalProperties"], ".NAME"),
                _ => (field, ""),
            };
            rows(table, &format!("{path}{suffix}"), inner);
        }
    }
}

fn type_of(field: &Value) -> String {
    let number = |name: &str| field[name].as_f64();
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return if values.len() > 4 { "see below".to_owned() } else { values.join(", ") };
    }
    match (field["type"].as_str().unwrap_or_default(), field["format"].as_str()) {
        ("string", Some("date-time")) => "time".to_owned(),
        ("string", _) => "text".to_owned(),
        ("integer", _) => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "number".to_owned(),
        },
        ("array", _) => "list".to_owned(),
        ("object", _) if field.get("additionalProperties").is_some() => "map".to_owned(),
        (other, _) => other.to_owned(),
    }
}
