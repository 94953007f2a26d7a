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
    /// The namespace of the objects [default: with --tenant that of the context, else `default`].
    #[arg(short, long)]
    namespace: Option<String>,

    /// Only connections whose name matches; `*` stands for any characters.
    #[arg(long, value_name = "GLOB")]
    connection: Option<String>,

    /// The ClusterAuth0Tenant that the objects name, where no cluster is asked [default: that of --tenant, else `default`].
    #[arg(long, conflicts_with = "tenant", value_name = "NAME")]
    tenant_ref: Option<String>,

    /// Observe: the operator writes nothing, and says in status what it would write. Enforce: what somebody changes later is set
    /// back.
    #[arg(long, value_name = "POLICY", default_value = "Observe", ignore_case = true)]
    management_policy: Management,

    /// Retain: deleting an object leaves its parameters. Delete: it removes them.
    #[arg(long, value_name = "POLICY", default_value = "Retain", ignore_case = true)]
    deletion_policy: Deletion,

    /// Reserved parameters that the access of the tenant allows (allowedReservedParams), separated by commas. With --tenant those
    /// that it allows the namespace are known.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    allow_reserved: Vec<String>,

    #[command(flatten)]
    source: SourceArguments,

    #[command(flatten)]
    log: LogArguments,
}

const HELP: &str = "\
Applying the manifests as they stand writes nothing to the tenant: they declare what is there. They begin with the policies that
can do no harm, for a team that tries it out:

  managementPolicy: Observe   Nothing is written until you say so. When status shows no change, change it to Enforce.
  adoptionPolicy: IfEqual     A parameter that somebody changes between export and apply is left alone, and status says so.
  deletionPolicy: Retain      Deleting an object, or rolling it back, leaves the tenant as it is. Change it to Delete when the
                              objects are where parameters are kept, so that what goes from Git goes from Auth0.

What is left out is said in comments: entries of another shape, types of connections without an authorization request, parameters
that other objects have, reserved ones, and values that the API server would refuse.

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
    bail!(
        "--namespace: the name of a namespace consists of at most 63 lower-case letters, digits and '-', and begins and ends with a letter or digit"
    )
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
