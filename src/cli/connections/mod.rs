//! `connections`: what a tenant has, and who owns what of it.

#![allow(clippy::doc_markdown, reason = "the comments are what --help prints, as plain text")]

mod report;

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use self::report::{Report, Row};
use super::exit::Exit;
use super::output::{self, Format};
use super::runtime::LogArguments;
use super::source::{ClusterSide, Source, SourceArguments};
use crate::core::tenant::glob_matches;
use crate::core::world::Kind;

/// Flags of `connections`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only connections with a matching name. `*` matches any characters.
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,

    /// Only connections that have upstream parameters.
    #[arg(long)]
    with_parameters: bool,

    /// Only connections that this namespace may use. Needs --tenant.
    #[arg(long, value_name = "NAMESPACE", requires = "tenant")]
    as_namespace: Option<String>,

    /// Look for owners in this namespace only, if you may not list all namespaces.
    #[arg(short, long, requires = "tenant")]
    namespace: Option<String>,

    /// The output format. JSON and YAML show values of upstream parameters, which are public, and no other options.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,

    #[command(flatten)]
    source: SourceArguments,

    #[command(flatten)]
    log: LogArguments,
}

/// Prints the connections.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let report = arguments.log.block_on(report(arguments))?;
    if let Some(machine) = arguments.output.machine() {
        output::print_value(&report, machine)?;
    } else {
        output::print(&report.table())?;
        for remark in report.remarks() {
            output::say(&output::printable(&remark));
        }
    }
    Ok(Exit::Fine)
}

async fn report(arguments: &Arguments) -> anyhow::Result<Report> {
    let Source { reader, cluster } = arguments.source.open(arguments.namespace.as_deref(), arguments.as_namespace.as_deref()).await?;
    let labels = match (&arguments.as_namespace, &cluster) {
        (Some(namespace), Some(cluster)) => Some(labels(cluster, namespace)?),
        _ => None,
    };
    let found = reader.connections().await?;
    let admitted = |name: &str| match (&labels, &cluster) {
        (Some(labels), Some(cluster)) => cluster.settings.admission(labels, name).is_some(),
        _ => true,
    };
    let matches = |name: &str| arguments.name.as_deref().is_none_or(|glob| glob_matches(glob, name)) && admitted(name);
    let rows = found.documents.iter().filter(|document| matches(&document.name)).map(|document| Row::of(document, cluster.as_ref()));
    let rows: Vec<Row> = rows.filter(|row| !arguments.with_parameters || row.has_parameters()).collect();
    let mut notes: Vec<String> = cluster.as_ref().map(|cluster| cluster.view.notes.clone()).unwrap_or_default();
    if let Some(namespace) = &arguments.namespace {
        notes.push(format!("owners in namespaces other than {namespace} are not shown"));
    }
    tracing::debug!(calls = reader.calls(), connections = found.documents.len(), "read");
    Ok(Report::new(reader.domain(), rows, &found.unreadable, notes))
}

fn labels(cluster: &ClusterSide, namespace: &str) -> anyhow::Result<BTreeMap<String, String>> {
    if let Some(labels) = cluster.view.world.labels(namespace) {
        return Ok(labels.clone());
    }
    if cluster.view.world.has_listed(Kind::Namespace) {
        bail!("--as-namespace: there is no namespace {namespace}");
    }
    None.with_context(|| format!("--as-namespace: the labels of {namespace} are not known, because you may not read namespaces"))
}
