//! Findings for machines: as data, and as commands of a GitHub workflow.

use std::fmt::Write as _;

use serde::Serialize;

use super::Report;
use super::finding::{Finding, Severity};
use crate::cli::files::Place;

/// What `-o json` and `-o yaml` print.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Printed<'a> {
    files: usize,
    objects: usize,
    /// Documents of other kinds, which were passed over.
    other_documents: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    findings: Vec<One<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    rule: &'static str,
    severity: Severity,
    message: &'a str,
    help: Option<&'a str>,
    object: Option<&'a str>,
    #[serde(flatten)]
    place: Where<'a>,
    related: Vec<Related<'a>>,
}

/// A place. Lines and columns (in characters) begin with 1; they are null where the whole file is meant.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Where<'a> {
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    /// The column after the last character.
    end_column: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Related<'a> {
    #[serde(flatten)]
    place: Where<'a>,
    message: &'a str,
}

impl<'a> Printed<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        Self {
            files: report.files,
            objects: report.documents,
            other_documents: report.others,
            errors: report.count(Severity::Error),
            warnings: report.count(Severity::Warning),
            notes: report.count(Severity::Note),
            findings: report.findings.iter().map(One::of).collect(),
        }
    }
}

impl<'a> One<'a> {
    fn of(finding: &'a Finding) -> Self {
        let Finding { rule, place, message, help, related, object } = finding;
        Self {
            rule: rule.id(),
            severity: rule.severity(),
            message,
            help: help.as_deref(),
            object: object.as_deref(),
            place: Where::of(place),
            related: related.iter().map(|(place, message)| Related { place: Where::of(place), message }).collect(),
        }
    }
}

impl<'a> Where<'a> {
    fn of(place: &'a Place) -> Self {
        let of_line = |number: usize| (place.line > 0).then_some(number);
        Self {
            file: &place.file,
            line: of_line(place.line),
            column: of_line(place.column),
            end_column: of_line(place.end_column.max(place.column + 1)),
        }
    }
}

/// A command for each finding, as GitHub reads them out of the log of a step.
pub(super) fn workflow_commands(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let Finding { rule, place, message, help, related: _, object: _ } = finding;
        let command = match rule.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let at = match Where::of(place) {
            Where { file, line: Some(line), column: Some(column), end_column: Some(end) } => {
                format!("file={},line={line},endLine={line},col={column},endColumn={end},", property(file))
            }
            Where { file, .. } => format!("file={},", property(file)),
        };
        let help = help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
        let _ = writeln!(text, "::{command} {at}title={}::{}", property(rule.id()), data(&format!("{message}{help}")));
    }
    text
}

/// The text of a command: a line break would end it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, which two more characters would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
