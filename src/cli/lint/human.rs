//! Findings for people: each with its line, and what is meant in it underlined.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::Report;
use super::finding::{Finding, Severity};
use crate::cli::files::Place;
use crate::cli::output::{paint, printable, style};

/// All of it, with colours that go where nobody wants them.
pub(super) fn text(report: &Report) -> String {
    let renderer = Renderer::styled();
    let mut text = String::new();
    for finding in &report.findings {
        let _ = writeln!(text, "{}\n", one(&renderer, finding));
    }
    text.push_str(&summary(report));
    text
}

fn one(renderer: &Renderer, finding: &Finding) -> String {
    let level = match finding.rule.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(printable(&finding.message)).id(finding.rule.id());
    let mut group = shown(Group::with_title(title), &finding.place, AnnotationKind::Primary, "");
    for (place, message) in &finding.related {
        group = shown(group, place, AnnotationKind::Context, message);
    }
    if let Some(line) = finding.place.by_alias {
        group = group.element(Level::NOTE.message(format!("the alias in line {line} uses it")));
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    if let Some(object) = &finding.object {
        group = group.element(Level::NOTE.no_name().message(printable(object)));
    }
    renderer.render(&[group])
}

/// A place, with its line where that may be shown.
fn shown<'a>(group: Group<'a>, place: &Place, kind: AnnotationKind, label: &str) -> Group<'a> {
    let path = printable(&place.file);
    let Some(text) = place.text.as_ref().filter(|_| place.line > 0) else {
        let origin = Origin::path(path);
        return group.element(if place.line > 0 { origin.line(place.line).char_column(place.column) } else { origin });
    };
    // Of the control characters the renderer leaves those above ASCII, which terminals obey too.
    let text: String = text.chars().map(|c| if ('\u{80}'..='\u{9f}').contains(&c) { '\u{fffd}' } else { c }).collect();
    let byte = |column: usize| text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
    let span = byte(place.column)..byte(place.end_column);
    let annotation = kind.span(span);
    let annotation = if label.is_empty() { annotation } else { annotation.label(label.to_owned()) };
    group.element(Snippet::source(text).line_start(place.line).path(path).annotation(annotation))
}

fn summary(report: &Report) -> String {
    let count = |number: usize, one: &str, many: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {many}") };
    let (errors, warnings, notes) = (report.count(Severity::Error), report.count(Severity::Warning), report.count(Severity::Note));
    let found = match (errors, warnings) {
        (0, 0) => paint(style::GOOD, "nothing is wrong"),
        (0, warnings) => paint(style::WARN, count(warnings, "warning", "warnings")),
        (errors, 0) => paint(style::BAD, count(errors, "error", "errors")),
        (errors, warnings) => {
            format!(
                "{}, {}",
                paint(style::BAD, count(errors, "error", "errors")),
                paint(style::WARN, count(warnings, "warning", "warnings"))
            )
        }
    };
    let notes = if notes > 0 { format!(", {}", count(notes, "note", "notes")) } else { String::new() };
    let objects = match report.documents {
        0 => "no UpstreamParams and no ClusterAuth0Tenant".to_owned(),
        documents => count(documents, "object", "objects"),
    };
    let others = match report.others {
        0 => String::new(),
        others => format!("; {} of other kinds skipped", count(others, "document", "documents")),
    };
    paint(style::TITLE, format!("{found}{notes} in {objects} of {}{others}", count(report.files, "file", "files"))) + "\n"
}
