//! `export`: manifests for the upstream parameters that a tenant has.
//!
//! Guarantees: applying them as they stand writes nothing to the tenant; the same tenant and cluster give the same bytes.

#![allow(clippy::doc_markdown, reason = "the comments are what --help prints, as plain text")]

mod manifest;
mod names;
mod yaml;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::bail;

use self::manifest::{Item, Policies, Wanted};
use super::exit::Exit;
use super::output;
use super::runtime::LogArguments;
use super::source::{Source, SourceArguments};
use crate::api::rules;
use crate::api::upstream_params::{AdoptionPolicy, DeletionPolicy, ManagementPolicy};
use crate::clock;

/// Flags of `export`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(super) struct Arguments {
    /// The namespace of the manifests [default: with --tenant that of the context, else `default`].
    #[arg(short, long)]
    namespace: Option<String>,

    /// Only connections with a matching name. `*` matches any characters.
    #[arg(long, value_name = "GLOB")]
    connection: Option<String>,

    /// The name for tenantRef in the manifests, without a cluster [default: that of --tenant, else `default`].
    #[arg(long, conflicts_with = "tenant", value_name = "NAME")]
    tenant_ref: Option<String>,

    /// Observe: the operator writes nothing, and shows in the status what it would write. Enforce: it sets back later changes.
    #[arg(long, value_name = "POLICY", default_value = "Observe", ignore_case = true)]
    management_policy: Management,

    /// Retain: the parameters stay when an object is deleted. Delete: the operator removes them.
    #[arg(long, value_name = "POLICY", default_value = "Retain", ignore_case = true)]
    deletion_policy: Deletion,

    /// Reserved parameters that allowedReservedParams of the tenant permits, separated by commas. --tenant reads them from the
    /// cluster.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    allow_reserved: Vec<String>,

    #[command(flatten)]
    source: SourceArguments,

    #[command(flatten)]
    log: LogArguments,
}

const HELP: &str = "\
The manifests declare what Auth0 has already, so applying them writes nothing to the tenant. Their policies are safe to start
with:

  managementPolicy: Observe   The operator writes nothing. When the status shows no change, set it to Enforce.
  adoptionPolicy: IfEqual     If somebody changes a parameter between export and apply, the operator leaves it alone.
  deletionPolicy: Retain      The parameters stay at Auth0 when an object is deleted. Set it to Delete when Git is the only
                              place where you change parameters.

Comments name what is left out: parameters of an unknown shape, of other objects, reserved ones, and values that the API server
refuses; and types of connections where upstream parameters do nothing.

  upstream-params-operator export -n shop | kubectl apply --server-side -f -";

/// `managementPolicy`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Management {
    Observe,
    Enforce,
}

/// `deletionPolicy`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Deletion {
    Retain,
    Delete,
}

/// Prints the manifests, and says on standard error what they are.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    if let Some(namespace) = &arguments.namespace {
        check_namespace(namespace)?;
    }
    if arguments.tenant_ref.as_deref().is_some_and(|name| !rules::is_dns_subdomain(name)) {
        bail!("--tenant-ref: {}", rules::OBJECT_NAME);
    }
    let (text, summary) = arguments.log.block_on(export(arguments))?;
    output::print(&text)?;
    output::say(&summary);
    Ok(Exit::Fine)
}

/// Refuses a namespace that would make every manifest a bad one.
fn check_namespace(namespace: &str) -> anyhow::Result<()> {
    if rules::is_dns_label(namespace) {
        return Ok(());
    }
    bail!("--namespace: a namespace name has at most 63 lower-case letters, digits and '-', and begins and ends with a letter or digit")
}

async fn export(arguments: &Arguments) -> anyhow::Result<(String, String)> {
    let started = clock::now();
    let Source { reader, cluster } = arguments.source.open(None, arguments.namespace.as_deref()).await?;
    let namespace = arguments.namespace.as_deref().or(cluster.as_ref().map(|cluster| cluster.default_namespace.as_str()));
    let namespace = namespace.unwrap_or("default");
    check_namespace(namespace)?;
    let found = reader.connections().await?;
    let reserved: BTreeSet<String> = arguments.allow_reserved.iter().map(|name| name.trim().to_owned()).collect();
    let wanted = Wanted {
        namespace,
        tenant: arguments.source.tenant.as_deref().or(arguments.tenant_ref.as_deref()),
        policies: policies(arguments),
        pattern: arguments.connection.as_deref(),
        reserved: &reserved,
    };
    let items = manifest::items(&found.documents, &wanted, cluster.as_ref());
    let notes = cluster.as_ref().map(|cluster| cluster.view.notes.clone()).unwrap_or_default();
    let unreadable = found.unreadable.iter().map(|one| {
        let called = one.called.as_deref().unwrap_or("a connection without a name");
        Item::Skipped { connection: called.to_owned(), why: one.error.to_string() }
    });
    let items: Vec<Item> = items.into_iter().chain(unreadable).collect();
    let head = [vec![format!("The upstream parameters of the connections of {}, as they are.", reader.domain())], notes].concat();
    let summary = summary(&items, found.documents.len(), reader.calls(), started);
    Ok((yaml::text(&head, &items), summary))
}

fn policies(arguments: &Arguments) -> Policies {
    Policies {
        management: match arguments.management_policy {
            Management::Observe => ManagementPolicy::Observe,
            Management::Enforce => ManagementPolicy::Enforce,
        },
        adoption: AdoptionPolicy::IfEqual,
        deletion: match arguments.deletion_policy {
            Deletion::Retain => DeletionPolicy::Retain,
            Deletion::Delete => DeletionPolicy::Delete,
        },
    }
}

fn summary(items: &[Item], connections: usize, calls: usize, started: Instant) -> String {
    let skipped = items.iter().filter(|item| matches!(item, Item::Skipped { .. })).count();
    let objects = items.len() - skipped;
    let seconds = clock::since(started).as_secs_f32();
    format!(
        "objects: {objects}; connections: {connections}, of which skipped: {skipped}; requests to the tenant: {calls}, in {seconds:.1} s"
    )
}
