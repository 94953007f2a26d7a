//! `status`: how objects and their tenants stand, and what to do.
//!
//! Guarantees: nothing is written; what may not be read is said, and is no error, but for the objects themselves.

pub(super) mod gather;
pub(super) mod render;
pub(super) mod report;
#[cfg(test)]
mod tests;

use anyhow::bail;

use self::gather::{Scope, gather};
use self::report::Report;
use super::cluster::ClusterArguments;
use super::exit::Exit;
use super::output::{self, Format};
use super::runtime::LogArguments;
use crate::api::rules;
use crate::clock::WallClock;

/// Flags of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The objects to tell all about, as NAME or NAMESPACE/NAME; without one, a table of all, those in trouble first.
    #[arg(value_name = "OBJECT", conflicts_with = "all_namespaces")]
    objects: Vec<String>,

    /// The namespace [default: that of the kubeconfig's context].
    #[arg(short, long)]
    namespace: Option<String>,

    /// The objects of all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,

    /// End with 3 where not all objects are ready.
    #[arg(long)]
    exit_code: bool,

    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,

    #[command(flatten)]
    cluster: ClusterArguments,

    #[command(flatten)]
    log: LogArguments,
}

/// Prints how they stand.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let now = WallClock::system().now_in_seconds();
    let report = arguments.log.block_on(async {
        let client = arguments.cluster.client().await?;
        let namespace = arguments.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let scope = if arguments.all_namespaces { Scope::All } else { Scope::of(&arguments.objects, &namespace)? };
        gather(&client, &scope, now).await
    })?;
    if let Some(machine) = arguments.output.machine() {
        output::print_value(&report, machine)?;
    } else {
        output::print(&text(&report, !arguments.objects.is_empty(), now))?;
        report.notes.iter().for_each(|note| output::say(&output::printable(note)));
    }
    let all_ready = report.counts.ready == report.counts.objects;
    Ok(if arguments.exit_code && !all_ready { Exit::Differs } else { Exit::Fine })
}

fn text(report: &Report, named: bool, now: jiff::Timestamp) -> String {
    if !named {
        return render::all(report, now);
    }
    let tenant = |name: &str| report.tenants.iter().find(|tenant| tenant.name == *name);
    let each: Vec<String> = report.objects.iter().map(|object| render::one(object, tenant(&object.tenant), now)).collect();
    format!("{}{}", each.join("\n"), render::operator(&report.operator))
}

/// An object as it is named on the command line: NAME or NAMESPACE/NAME.
pub(super) fn key(text: &str, namespace: &str) -> anyhow::Result<crate::model::identity::ObjectKey> {
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    if !rules::is_dns_subdomain(namespace) || !rules::is_dns_subdomain(name) {
        bail!("{}: name an object as NAME or NAMESPACE/NAME; a name has lower-case letters, digits, '-' and '.'", output::printable(text));
    }
    Ok(crate::model::identity::ObjectKey { namespace: namespace.to_owned(), name: name.to_owned() })
}
