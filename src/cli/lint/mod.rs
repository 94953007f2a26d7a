//! `lint`: what is wrong with manifests, before the API server or the operator says it.
//!
//! Guarantees: talks to nobody; asks the rules that admission and the operator go by, and has none of its own about what is
//! refused; shows lines of documents of our kinds only.

mod connections;
mod document;
mod finding;
mod human;
mod machine;
mod sarif;
#[cfg(test)]
mod tests;
mod together;

use std::path::PathBuf;

use self::connections::Known;
use self::finding::{Finding, Rule, Severity};
use super::exit::Exit;
use super::files::{self, Files};
use super::output::{self, MachineFormat};
use crate::api::crd::crds;
use crate::core::admission::Admission;

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Text for people.
    #[default]
    Human,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// SARIF 2.1.0, for code review.
    Sarif,
    /// Commands of a GitHub workflow, which annotate the lines of a pull request.
    Github,
}

/// Flags of `lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 nothing is wrong, 1 errors (or warnings, with --strict), 2 wrong command line.")]
pub(super) struct Arguments {
    /// YAML or JSON files, folders (with all *.yaml, *.yml and *.json below, except hidden ones), or - for standard input.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,

    /// The output of `connections -o json`. Finds connections that the tenant does not have, or that cannot have parameters.
    /// Repeat it for each tenant.
    #[arg(long, value_name = "FILE")]
    connections: Vec<PathBuf>,

    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,

    /// The output format.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What was found, and in how much.
#[derive(Debug)]
struct Report {
    findings: Vec<Finding>,
    files: usize,
    documents: usize,
    others: usize,
}

/// Prints what is wrong.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let known = arguments.connections.iter().map(|path| Known::read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let report = Report::of(&files::read(&arguments.paths), &known);
    match arguments.output {
        Format::Human => output::print(&human::text(&report))?,
        Format::Json => output::print_value(&machine::Printed::of(&report), MachineFormat::Json)?,
        Format::Yaml => output::print_value(&machine::Printed::of(&report), MachineFormat::Yaml)?,
        Format::Sarif => output::print_value(&sarif::log(&report, std::env::current_dir().ok().as_deref()), MachineFormat::Json)?,
        Format::Github => output::print(&machine::workflow_commands(&report))?,
    }
    let is_wrong = report.count(Severity::Error) > 0 || (arguments.strict && report.count(Severity::Warning) > 0);
    Ok(if is_wrong { Exit::Wrong } else { Exit::Fine })
}

impl Report {
    /// What is wrong with these files, in the order of their places.
    fn of(files: &Files, known: &[Known]) -> Self {
        let admission = Admission::new(crds());
        let mut findings: Vec<Finding> = files.unread.iter().map(unread).collect();
        findings.extend(files.documents.iter().flat_map(|document| document::check(document, &admission)));
        findings.extend(together::check(files, &admission, known));
        let order = |finding: &Finding| (finding.place.file.clone(), finding.place.line, finding.place.column, finding.rule.severity());
        findings.sort_by_cached_key(order);
        findings.dedup();
        Self { findings, files: files.files, documents: files.documents.len(), others: files.others + files.namespaces.len() }
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.rule.severity() == severity).count()
    }
}

fn unread(unread: &files::Unread) -> Finding {
    let rule = match (unread.skipped, unread.place.line) {
        (true, _) => Rule::Skipped,
        (false, 0) => Rule::Unreadable,
        (false, _) => Rule::InvalidYaml,
    };
    Finding::new(rule, unread.place.clone(), &unread.message)
}
